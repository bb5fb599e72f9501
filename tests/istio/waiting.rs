//! `skew-guard wait` with nothing but a kubeconfig: it finds the gateways, the revision and the routes by itself.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, GatewayName};

use crate::chart::Chart;
use crate::said::Said;
use crate::testbed::Testbed;

/// Waits like a pipeline, and fails if the tool does.
pub async fn until_in_force(chart: &Chart<'_>) -> Result<Said> {
    wait(chart, &["--timeout", "60s"]).await?.ends(0)
}

async fn wait(chart: &Chart<'_>, arguments: &[&str]) -> Result<Said> {
    chart.tool("wait", arguments).await
}

impl Said {
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

/// It waits for a gateway as soon as it exists, and no longer than it exists.
pub async fn finds_gateways_as_they_come_and_go(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "found").await?;
    testbed.deploy("1.4.2").await?;
    testbed.chart.list(&[("1.4.2", "live")], json!("1.4.2"));
    testbed.chart.upgrade().await?;
    let said = until_in_force(&testbed.chart).await?;
    ensure!(said.state_of(GatewayName::First) == "in_force", "{said:?}");
    ensure!(
        said.state_of(GatewayName::Second) == "not there",
        "{said:?}"
    );

    let second = cluster.start_gateway(GatewayName::Second).await?;
    second.discovery().pause();
    testbed.chart.upgrade().await?;
    let said = wait(&testbed.chart, &["--timeout", "8s"]).await?.ends(1)?;
    ensure!(said.state_of(GatewayName::First) == "in_force", "{said:?}");
    ensure!(said.state_of(GatewayName::Second) == "other", "{said:?}");
    let skip = [
        "--skip-gateway",
        GatewayName::Second.label(),
        "--timeout",
        "60s",
    ];
    let said = wait(&testbed.chart, &skip).await?.ends(0)?;
    ensure!(said.state_of(GatewayName::Second) == "skipped", "{said:?}");
    second.stop().await?;
    until_in_force(&testbed.chart).await?;
    testbed.tear_down().await
}

/// Another team's object makes Envoy refuse all routes of the port; the plugin's part arrives separately.
pub async fn while_the_routes_are_refused(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "refused").await?;
    testbed.deploy("1.4.2").await?;
    testbed.step(&[("1.4.2", "live")], json!("1.4.2")).await?;
    refuse_routes(cluster).await?;
    testbed
        .chart
        .list(&[("2.0.0", "live"), ("1.4.2", "live")], json!("1.4.2"));
    let revision = testbed.chart.upgrade().await?;
    testbed.chart.in_force(&testbed.gateway, revision).await?;
    let said = wait(&testbed.chart, &["--timeout", "8s"]).await?.ends(1)?;
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
    until_in_force(&testbed.chart).await?;
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
