//! What istiod knows of refusals, where it can be asked.

use std::collections::BTreeMap;

use super::kubectl::{Kubectl, Scope};
use super::objects::Pod;
use super::problem::Problem;

/// Where istiod shows its metrics.
const MONITORING: u16 = 15_014;

/// How often a proxy refused the routes that it was sent.
const REFUSALS: &str = "pilot_xds_rds_reject{";

/// How often each proxy, `pod.namespace`, has refused routes since its istiod started.
pub fn refused_routes(
    kubectl: &Kubectl,
    root_namespace: &str,
) -> Result<BTreeMap<String, u64>, Problem> {
    let scope = Scope::Namespace(root_namespace);
    let istiods: Vec<Pod> = kubectl.list("pods", scope, "app=istiod")?;
    let mut refusals = BTreeMap::new();
    for istiod in istiods.iter().filter(|pod| pod.is_ready()) {
        let name = &istiod.metadata.name;
        let metrics = kubectl.raw(&format!(
            "/api/v1/namespaces/{root_namespace}/pods/{name}:{MONITORING}/proxy/metrics"
        ))?;
        for (proxy, count) in metrics.lines().filter_map(refusal) {
            *refusals.entry(proxy.to_owned()).or_default() += count;
        }
    }
    Ok(refusals)
}

/// Of `pilot_xds_rds_reject{err="INTERNAL",node="gateway-7d4b.istio-ingress"} 3`.
fn refusal(line: &str) -> Option<(&str, u64)> {
    let (labels, count) = line.strip_prefix(REFUSALS)?.rsplit_once(' ')?;
    let (_, node) = labels.split_once("node=\"")?;
    let (node, _) = node.split_once('"')?;
    Some((node, count.parse().ok()?))
}
