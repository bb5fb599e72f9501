//! Whether every gateway that serves the routes runs the plugin.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Finding;
use crate::cluster::objects::{GATEWAYS, Object, Pod, selector, selects};
use crate::cluster::{
    Gateway, GatewayReference, Gateways, Installation, Kubectl, Listener, Problem, Scope,
};

/// An Istio `Gateway`, read for its Pods.
#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    selector: BTreeMap<String, String>,
}

pub fn findings(
    kubectl: &Kubectl,
    installation: &Installation,
    gateways: &Gateways,
) -> Result<Vec<Finding>, Problem> {
    let covered = gateways.list(kubectl, installation)?;
    let mut findings = Vec::new();
    if covered.is_empty() {
        findings.push(Finding::Problem(format!(
            "no gateway runs the plugin: there are no {}",
            gateways.in_words(installation)
        )));
    }
    for reference in installation.gateway_references() {
        let GatewayReference {
            written,
            namespace,
            name,
        } = reference;
        let Some(gateway) = kubectl.object::<Object<Spec>>(GATEWAYS, namespace, name)? else {
            findings.push(Finding::Problem(format!(
                "the routes are for Gateway {namespace}/{name}, which does not exist"
            )));
            continue;
        };
        let labels = selector(&gateway.spec.selector);
        let pods: Vec<Pod> = kubectl.list("pods", Scope::All, &labels)?;
        if pods.is_empty() {
            findings.push(Finding::Warning(format!(
                "Gateway {namespace}/{name} has no pods: none has the labels {labels}"
            )));
        }
        for pod in pods.iter().filter(|pod| !pod.has_ended()) {
            let (namespace, pod) = (&pod.metadata.namespace, &pod.metadata.name);
            let runs_it = covered
                .iter()
                .any(|gateway| gateway.namespace == *namespace && gateway.pod == *pod);
            if !runs_it {
                findings.push(Finding::Problem(format!(
                    "{namespace}/{pod} serves Gateway {written} without the plugin: old tabs are skewed there, and a client can choose its release by the route header. Add its pods to plugins"
                )));
            }
        }
    }
    findings.extend(ports(kubectl, installation, gateways, &covered));
    Ok(findings)
}

/// A plugin that is kept to some ports does not run at the others.
fn ports(
    kubectl: &Kubectl,
    installation: &Installation,
    gateways: &Gateways,
    covered: &[Gateway],
) -> Vec<Finding> {
    let plugins = &installation.plugins;
    if plugins.iter().all(|plugin| plugin.ports.is_empty()) {
        return Vec::new();
    }
    let listeners = match Listener::all(kubectl, installation, covered) {
        Ok(listeners) => listeners,
        Err(error) => return vec![Finding::Unseen(format!("ports of the gateways: {error:#}"))],
    };
    let without = listeners.iter().filter(|listener| {
        let Gateway {
            namespace, labels, ..
        } = &listener.gateway;
        let mut there = plugins.iter().filter(|plugin| {
            let sees = [namespace, &gateways.root_namespace].contains(&&plugin.namespace);
            sees && selects(&plugin.selector, labels)
        });
        !there.any(|plugin| plugin.ports.is_empty() || plugin.ports.contains(&listener.port))
    });
    without
        .map(|listener| {
            Finding::Problem(format!(
                "{listener} is served without the plugin, which is kept to other ports: old tabs are skewed there, and a client can choose its release. plugin.ports names ports of the pods, which those of their Service may lead to"
            ))
        })
        .collect()
}
