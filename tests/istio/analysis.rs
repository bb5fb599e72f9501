//! What Istio's own analysis says about the chart's output.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, GatewayName};

use crate::testbed::Testbed;

/// The gateways that the shop's `Gateway` resources select.
const GATEWAYS: [GatewayName; 2] = [GatewayName::First, GatewayName::Second];

/// A reference to something that does not exist.
const REFERENCE_NOT_FOUND: &str = "IST0101";

/// It reports nothing. Without the suppression that the chart sets it reports only the catch-all, whose subset is
/// missing on purpose.
pub async fn reports_only_the_catch_all(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "analysis").await?;
    testbed.deploy("1.4.2").await?;
    testbed.step(&[("1.4.2", "live")], json!("1.4.2")).await?;
    let kubernetes = cluster.kubernetes();
    for name in GATEWAYS {
        kubernetes.apply(&gateway_pod(name)).await?;
        kubernetes.apply(&gateway_service(name)).await?;
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
    // Other scenarios would wait for these Pods to have the plugin.
    for name in GATEWAYS {
        let (label, pod) = (name.label(), pod_name(name));
        kubernetes.delete(GATEWAY_NAMESPACE, "pod", &pod).await?;
        kubernetes
            .delete(GATEWAY_NAMESPACE, "service", label)
            .await?;
    }
    testbed.tear_down().await
}

fn pod_name(name: GatewayName) -> String {
    format!("gateway-{}", name.label())
}

/// The gateway runs without a Pod and a Service, and the analysis looks for both behind each `Gateway` resource.
fn gateway_pod(name: GatewayName) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(name),
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
