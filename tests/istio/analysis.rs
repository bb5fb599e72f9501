//! What Istio's own analysis says about the chart's output.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, GatewayName};

use crate::testbed::Testbed;

/// A reference to something that does not exist.
const REFERENCE_NOT_FOUND: &str = "IST0101";

/// It reports nothing. Without the suppression that the chart sets it reports only the catch-all, whose subset is
/// missing on purpose.
pub async fn reports_only_the_catch_all(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "analysis").await?;
    testbed.deploy("1.4.2").await?;
    testbed.step(&[("1.4.2", "live")], json!("1.4.2")).await?;
    for name in [GatewayName::First, GatewayName::Second] {
        cluster.kubernetes().apply(&gateway_pod(name)).await?;
        cluster.kubernetes().apply(&gateway_service(name)).await?;
    }
    let found = cluster.analyze(testbed.shop.namespace()).await?;
    ensure!(found.is_empty(), "istioctl analyze: {found:#?}");

    let annotation = "galley.istio.io/analyze-suppress-";
    testbed
        .shop
        .kubectl(&["annotate", "virtualservice", "--all", annotation])
        .await?;
    let found = cluster.analyze(testbed.shop.namespace()).await?;
    let codes: BTreeSet<_> = found
        .iter()
        .filter_map(|finding| finding["code"].as_str())
        .collect();
    ensure!(
        codes == BTreeSet::from([REFERENCE_NOT_FOUND]),
        "istioctl analyze: {found:#?}"
    );
    for finding in &found {
        let message = finding["message"].as_str().unwrap_or_default();
        ensure!(
            message.contains("skew-guard-absent"),
            "istioctl analyze: {finding:#}"
        );
    }
    testbed.tear_down().await
}

/// The gateway runs without a Pod and a Service, and the analysis looks for both behind each `Gateway` resource.
fn gateway_pod(name: GatewayName) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("gateway-{}", name.label()),
            "namespace": GATEWAY_NAMESPACE,
            "labels": { "istio": "ingressgateway", "gateway": name.label() },
        },
        "spec": { "containers": [{ "name": "istio-proxy", "image": "gateway" }] },
    })
}

pub fn gateway_service(name: GatewayName) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name.label(), "namespace": GATEWAY_NAMESPACE },
        "spec": {
            "selector": { "gateway": name.label() },
            "ports": [{ "name": "http", "port": name.port(), "targetPort": name.port() }],
        },
    })
}
