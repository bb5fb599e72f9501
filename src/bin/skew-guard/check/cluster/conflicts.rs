//! Rules and routes of others, for what is ours.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Finding;
use crate::cluster::{Installation, Kubectl, Problem, Scope};

const RULES: &str = "destinationrules.networking.istio.io";
const ROUTES: &str = "virtualservices.networking.istio.io";

/// Of an object of anybody's.
#[derive(Deserialize)]
struct Found<Spec> {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    creation_timestamp: String,
}

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
    let all: Vec<Found<Rule>> = kubectl.list(RULES, Scope::All, "")?;
    let (ours, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|rule| is_ours(&rule.metadata, installation));
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
            if !takes(&in_full(&other.spec.host, namespace), &host) {
                continue;
            }
            if *namespace == own.metadata.namespace {
                findings.push(Finding::Warning(format!(
                    "DestinationRule {namespace}/{name} is for {host}, too, and merged with ours: of two traffic policies or subsets of one name the older rule's counts"
                )));
            } else if callers.contains(namespace.as_str()) {
                findings.push(Finding::Problem(format!(
                    "DestinationRule {namespace}/{name} is for {host} and stands beside the gateways, where it wins over ours: every release answers 503 there. Delete it, or move it to {}",
                    own.metadata.namespace
                )));
            }
        }
    }
    Ok(findings)
}

/// A gateway tries the routes of several VirtualServices by their age, catch-alls last.
fn routes(kubectl: &Kubectl, installation: &Installation) -> Result<Vec<Finding>, Problem> {
    let all: Vec<Found<Routes>> = kubectl.list(ROUTES, Scope::All, "")?;
    let (ours, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|routes| is_ours(&routes.metadata, installation));
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
                // RFC 3339 in UTC, which sorts as text does.
                if *creation_timestamp < own.metadata.creation_timestamp {
                    format!("{which} older: where it has a path or a condition, it wins over ours")
                } else {
                    format!("{which} newer: what ours has a path for never reaches it")
                },
            ));
        }
    }
    Ok(findings)
}

fn is_ours(metadata: &Metadata, installation: &Installation) -> bool {
    let label = |name: &str| metadata.labels.get(name).map(String::as_str);
    label("app.kubernetes.io/name") == Some("skew-guard")
        && label("app.kubernetes.io/instance") == Some(&installation.helm_release)
        && label("skew-guard/release-namespace") == Some(&installation.namespace)
}

/// As Istio completes it.
fn in_full(host: &str, namespace: &str) -> String {
    if host.contains(['.', '*']) {
        host.to_owned()
    } else {
        format!("{host}.{namespace}.svc.cluster.local")
    }
}

/// Whether a host with or without a wildcard is this one.
fn takes(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.ends_with(suffix),
        None => pattern == host,
    }
}

fn common<'h>(ours: &'h [String], theirs: &[String]) -> Option<&'h str> {
    let is_theirs = |host: &&String| {
        let mut theirs = theirs.iter();
        theirs.any(|their| takes(their, host) || takes(host, their))
    };
    ours.iter().find(is_theirs).map(String::as_str)
}

fn shares_gateway(own: &Found<Routes>, other: &Found<Routes>) -> bool {
    let ours = gateways(own);
    gateways(other).iter().any(|gateway| ours.contains(gateway))
}

/// Where none is named, the sidecars are meant.
fn gateways(routes: &Found<Routes>) -> Vec<String> {
    if routes.spec.gateways.is_empty() {
        return vec!["mesh".to_owned()];
    }
    let named = routes.spec.gateways.iter();
    let in_full = |gateway: &String| {
        if gateway == "mesh" || gateway.contains('/') {
            gateway.clone()
        } else {
            format!("{}/{gateway}", routes.metadata.namespace)
        }
    };
    named.map(in_full).collect()
}
