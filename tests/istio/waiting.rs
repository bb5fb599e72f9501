//! `skew-guard wait` with nothing but a kubeconfig: it finds gateways, revision and routes, and judges them correctly.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, GatewayName};
use skew_guard_lab::tool;

use crate::chart::Chart;
use crate::testbed::Testbed;

/// The tool's answer in its machine-readable form.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub answer: Value,
}

/// Runs the tool on a chart, and returns when it has ended.
pub async fn run(
    cluster: &Cluster,
    command: &str,
    chart: &Chart<'_>,
    arguments: &[&str],
) -> Result<Said> {
    let chart = [
        "--helm-release",
        chart.name(),
        "--namespace",
        chart.namespace(),
    ];
    let all = [&["--output", "json", command], &chart[..], arguments].concat();
    let output = cluster.run(&tool::path()?, &all).await?;
    let progress = String::from_utf8(output.stderr)?;
    Ok(Said {
        code: output.status.code().context("it was killed")?,
        answer: serde_json::from_slice(&output.stdout)
            .with_context(|| format!("an answer, not: {progress}"))?,
    })
}

/// Waits like a pipeline, and fails if the tool does.
pub async fn holds(cluster: &Cluster, chart: &Chart<'_>) -> Result<()> {
    run(cluster, "wait", chart, &["--timeout", "60s"])
        .await?
        .ends(0)
        .map(drop)
}

impl Said {
    fn ends(self, code: i32) -> Result<Self> {
        ensure!(self.code == code, "not {code}: {self:?}");
        Ok(self)
    }

    /// What it says about a gateway.
    fn state_of(&self, gateway: GatewayName) -> &str {
        let name = format!("{GATEWAY_NAMESPACE}/{}", gateway.label());
        let gateways = self.answer["gateways"].as_array();
        let mut gateways = gateways.into_iter().flatten();
        let found = gateways.find(|gateway| gateway["gateway"] == *name);
        found.map_or("not there", |found| {
            found["state"].as_str().unwrap_or_default()
        })
    }
}

/// It waits for a gateway as soon as there is one, and no longer when it is gone.
pub async fn finds_the_gateways_of_each_moment(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "found").await?;
    testbed.deploy("1.4.2").await?;
    testbed.chart.list(&[("1.4.2", "live")], json!("1.4.2"));
    testbed.chart.upgrade().await?;
    let said = run(cluster, "wait", &testbed.chart, &["--timeout", "60s"]).await?;
    let said = said.ends(0)?;
    ensure!(said.state_of(GatewayName::First) == "in_force", "{said:?}");
    ensure!(
        said.state_of(GatewayName::Second) == "not there",
        "{said:?}"
    );

    let second = cluster.start_gateway(GatewayName::Second).await?;
    second.gate().close();
    testbed.chart.upgrade().await?;
    let said = run(cluster, "wait", &testbed.chart, &["--timeout", "8s"])
        .await?
        .ends(1)?;
    ensure!(said.state_of(GatewayName::First) == "in_force", "{said:?}");
    ensure!(said.state_of(GatewayName::Second) == "other", "{said:?}");
    let skip = [
        "--skip-gateway",
        GatewayName::Second.label(),
        "--timeout",
        "60s",
    ];
    let said = run(cluster, "wait", &testbed.chart, &skip).await?.ends(0)?;
    ensure!(said.state_of(GatewayName::Second) == "skipped", "{said:?}");
    second.stop().await?;
    run(cluster, "wait", &testbed.chart, &["--timeout", "60s"])
        .await?
        .ends(0)?;
    testbed.tear_down().await
}

/// Another team's object makes Envoy refuse all routes of the port; the plugin's part arrives separately.
pub async fn routes_that_were_refused(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "refused").await?;
    testbed.deploy("1.4.2").await?;
    testbed.step(&[("1.4.2", "live")], json!("1.4.2")).await?;
    refuse_routes(cluster).await?;
    testbed
        .chart
        .list(&[("2.0.0", "live"), ("1.4.2", "live")], json!("1.4.2"));
    let revision = testbed.chart.upgrade().await?;
    testbed.chart.in_force(&testbed.gateway, revision).await?;
    let said = run(cluster, "wait", &testbed.chart, &["--timeout", "8s"])
        .await?
        .ends(1)?;
    ensure!(
        said.state_of(GatewayName::First) == "old_routes",
        "{said:?}"
    );
    let hints = said.answer["hints"].to_string();
    ensure!(
        hints.contains("refusals of routes by first.istio-system"),
        "{said:?}"
    );
    take_routes_again(cluster).await?;
    run(cluster, "wait", &testbed.chart, &["--timeout", "60s"])
        .await?
        .ends(0)?;
    testbed.tear_down().await
}

/// Another team's object that Istio accepts and Envoy refuses, with all routes of the port: no route may
/// remove `:path`.
pub async fn refuse_routes(cluster: &Cluster) -> Result<()> {
    let filter = json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": { "name": "bad", "namespace": GATEWAY_NAMESPACE },
        "spec": { "configPatches": [{
            "applyTo": "VIRTUAL_HOST",
            "match": { "context": "GATEWAY" },
            "patch": {
                "operation": "MERGE",
                "value": { "request_headers_to_remove": [":path"] },
            },
        }] },
    });
    cluster.kubernetes().apply(&filter).await
}

/// Removes it.
pub async fn take_routes_again(cluster: &Cluster) -> Result<()> {
    let kubernetes = cluster.kubernetes();
    kubernetes
        .delete(GATEWAY_NAMESPACE, "envoyfilter", "bad")
        .await
}
