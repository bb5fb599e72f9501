//! Other teams' rules and routes for our hosts and services.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Finding;
use crate::cluster::objects::{
    DESTINATION_RULES, MESH, Metadata, Object, VIRTUAL_SERVICES, covers,
};
use crate::cluster::{Installation, Kubectl, Problem, Scope};

#[derive(Deserialize)]
struct Rule {
    host: String,
}

#[derive(Deserialize)]
struct Routes {
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    gateways: Vec<String>,
}

pub fn findings(
    kubectl: &Kubectl,
    installation: &Installation,
    root_namespace: &str,
) -> Result<Vec<Finding>, Problem> {
    let mut findings = rules(kubectl, installation, root_namespace)?;
    findings.extend(routes(kubectl, installation)?);
    Ok(findings)
}

/// Istio looks for a rule in the namespace of the caller, if that is not its root namespace, and then in that of the
/// service. Those of one namespace are merged.
fn rules(
    kubectl: &Kubectl,
    installation: &Installation,
    root_namespace: &str,
) -> Result<Vec<Finding>, Problem> {
    let all: Vec<Object<Rule>> = kubectl.list(DESTINATION_RULES, Scope::All, "")?;
    let (ours, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|rule| installation.owns(&rule.metadata));
    let callers: BTreeSet<_> = installation
        .plugins
        .iter()
        .map(|plugin| plugin.namespace.as_str())
        .filter(|namespace| *namespace != root_namespace)
        .collect();
    let mut findings = Vec::new();
    for own in &ours {
        let host = in_full(&own.spec.host, &own.metadata.namespace);
        for other in &others {
            let Metadata {
                name, namespace, ..
            } = &other.metadata;
            if !covers(&in_full(&other.spec.host, namespace), &host) {
                continue;
            }
            if *namespace == own.metadata.namespace {
                findings.push(Finding::Warning(format!(
                    "DestinationRule {namespace}/{name} is for {host}, too, and is merged with the chart's: if both have a traffic policy, or a subset of the same name, the older rule's counts"
                )));
            } else if callers.contains(namespace.as_str()) {
                findings.push(Finding::Problem(format!(
                    "DestinationRule {namespace}/{name} is for {host} and is in the gateways' namespace, where it wins over the chart's: every release answers 503 there. Delete it, or move it to {}",
                    own.metadata.namespace
                )));
            }
        }
    }
    Ok(findings)
}

/// A gateway tries the routes of several VirtualServices by their age, catch-alls last.
fn routes(kubectl: &Kubectl, installation: &Installation) -> Result<Vec<Finding>, Problem> {
    let all: Vec<Object<Routes>> = kubectl.list(VIRTUAL_SERVICES, Scope::All, "")?;
    let (ours, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|routes| installation.owns(&routes.metadata));
    let mut findings = Vec::new();
    for own in &ours {
        for other in &others {
            let Some(host) = common(&own.spec.hosts, &other.spec.hosts) else {
                continue;
            };
            if !shares_gateway(own, other) {
                continue;
            }
            let Metadata {
                name,
                namespace,
                creation_timestamp,
                ..
            } = &other.metadata;
            let which = format!("VirtualService {namespace}/{name} is for {host}, too, and");
            findings.push(Finding::Warning(
                if *creation_timestamp < own.metadata.creation_timestamp {
                    format!("{which} is older: where it has a path or a condition, it wins over the chart's")
                } else {
                    format!("{which} is newer: requests for the chart's paths never reach it")
                },
            ));
        }
    }
    Ok(findings)
}

/// As Istio completes it.
fn in_full(host: &str, namespace: &str) -> String {
    if host.contains(['.', '*']) {
        host.to_owned()
    } else {
        format!("{host}.{namespace}.svc.cluster.local")
    }
}

fn common<'h>(ours: &'h [String], theirs: &[String]) -> Option<&'h str> {
    let is_theirs = |host: &&String| {
        let mut theirs = theirs.iter();
        theirs.any(|their| covers(their, host) || covers(host, their))
    };
    ours.iter().find(is_theirs).map(String::as_str)
}

fn shares_gateway(own: &Object<Routes>, other: &Object<Routes>) -> bool {
    let ours = gateways(own);
    gateways(other).iter().any(|gateway| ours.contains(gateway))
}

/// If none is named, the sidecars are meant.
fn gateways(routes: &Object<Routes>) -> Vec<String> {
    if routes.spec.gateways.is_empty() {
        return vec![MESH.to_owned()];
    }
    let named = routes.spec.gateways.iter();
    let in_full = |gateway: &String| {
        if gateway == MESH || gateway.contains('/') {
            gateway.clone()
        } else {
            format!("{}/{gateway}", routes.metadata.namespace)
        }
    };
    named.map(in_full).collect()
}
