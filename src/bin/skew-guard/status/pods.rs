//! The pods of each release, as the cluster's services have them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::release::Pods;
use crate::cluster::objects::{DESTINATION_RULES, Metadata, Object, Pod, selects};
use crate::cluster::service::{Endpoint, place};
use crate::cluster::{Installation, Kubectl, Problem, Scope};

/// What the chart makes for each versioned service.
#[derive(Deserialize)]
struct Rule {
    host: String,
    #[serde(default)]
    subsets: Vec<Subset>,
}

#[derive(Deserialize)]
struct Subset {
    /// The route.
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// The pods of all releases, by route.
pub fn by_route(
    kubectl: &Kubectl,
    installation: &Installation,
) -> Result<BTreeMap<String, Vec<Pods>>, Problem> {
    let namespace = &installation.namespace;
    let own = installation.own_selector();
    let mut rules: Vec<Object<Rule>> = Vec::new();
    for place in &installation.rule_namespaces {
        rules.extend(kubectl.list(DESTINATION_RULES, Scope::Namespace(place), &own)?);
    }
    let mut by_route: BTreeMap<String, Vec<Pods>> = BTreeMap::new();
    for rule in rules {
        let service = Service::read(kubectl, &rule.spec.host, namespace)?;
        for subset in rule.spec.subsets {
            let pods = service.pods_of(&subset.labels);
            by_route.entry(subset.name).or_default().push(pods);
        }
    }
    Ok(by_route)
}

/// A service with all of its endpoints.
struct Service {
    name: String,
    endpoints: Vec<Endpoint>,
    pods: BTreeMap<String, Metadata>,
}

impl Service {
    fn read(kubectl: &Kubectl, host: &str, own: &str) -> Result<Self, Problem> {
        let (name, namespace) = place(host, own);
        let pods: Vec<Pod> = kubectl.list("pods", Scope::Namespace(namespace), "")?;
        let pods = pods.into_iter().map(|pod| pod.metadata);
        Ok(Self {
            name: name.to_owned(),
            endpoints: Endpoint::all(kubectl, namespace, name)?,
            pods: pods.map(|pod| (pod.name.clone(), pod)).collect(),
        })
    }

    fn pods_of(&self, labels: &BTreeMap<String, String>) -> Pods {
        let is_own = |endpoint: &&Endpoint| {
            let pod = self.pods.get(&endpoint.pod);
            pod.is_some_and(|pod| selects(labels, &pod.labels))
        };
        let own: Vec<_> = self.endpoints.iter().filter(is_own).collect();
        let ready = own.iter().filter(|endpoint| endpoint.is_ready);
        Pods {
            service: self.name.clone(),
            ready: ready.count(),
            all: own.len(),
        }
    }
}
