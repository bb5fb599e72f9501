//! The shipped access log, in a real mesh.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE};
use skew_guard_lab::wait;

use crate::testbed::Testbed;

/// As shipped, except for the namespace: the mesh's provider, and the Telemetry that uses it.
fn shipped() -> Result<[Value; 2]> {
    let text = include_str!("../../envoy/observability/istio-access-log.yaml");
    let parts: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let [mesh, mut telemetry] = <[Value; 2]>::try_from(parts)
        .ok()
        .context("a mesh's configuration and a Telemetry")?;
    telemetry["metadata"]["namespace"] = json!(GATEWAY_NAMESPACE);
    Ok([mesh, telemetry])
}

/// One request of an old tab, and one of a tab whose release is retired.
pub async fn as_shipped(cluster: &Cluster) -> Result<()> {
    let [mesh, telemetry] = shipped()?;
    cluster.configure_mesh(mesh)?;
    cluster.kubernetes().apply(&telemetry).await?;
    let mut testbed = Testbed::set_up(cluster, "logged").await?;
    testbed.chart.values()["config"]["logOutcome"] = json!(true);
    testbed.deploy("1.4.2").await?;
    let releases = [("1.4.2", "live"), ("1.3.0", "retired")];
    testbed.step(&releases, json!("1.4.2")).await?;
    let answered = line_of(&testbed, "1.4.2").await?;
    for (key, value) in [
        ("outcome", json!("pinned")),
        ("release", json!("v1-4-2")),
        ("status", json!(200)),
        ("details", json!("via_upstream")),
        ("path", json!("/api/cart")),
    ] {
        ensure!(answered[key] == value, "{key}: {answered}");
    }
    let gone = line_of(&testbed, "1.3.0").await?;
    for (key, value) in [
        ("outcome", json!("gone")),
        ("release", Value::Null),
        ("status", json!(409)),
        ("details", json!("skew_guard_retired")),
    ] {
        ensure!(gone[key] == value, "{key}: {gone}");
    }
    let kubernetes = cluster.kubernetes();
    kubernetes
        .delete(GATEWAY_NAMESPACE, "telemetry", "skew-guard-access-log")
        .await?;
    cluster.configure_mesh(json!({}))?;
    testbed.tear_down().await
}

/// The log line of a request with this version, which must not contain the query. The request is repeated until there
/// is a line: nothing tells when the gateway has learnt of the log.
async fn line_of(testbed: &Testbed<'_>, version: &str) -> Result<Value> {
    wait::until_some("a line of the access log", async || {
        let said = [("x-bundle-version", version)];
        testbed.ask("/api/cart?secret", &said).await?;
        let log = testbed.gateway.log();
        ensure!(!log.contains("?secret"), "the query is in the log");
        let mut lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(lines.rfind(|line| line["version"] == version && !line["outcome"].is_null()))
    })
    .await
}
