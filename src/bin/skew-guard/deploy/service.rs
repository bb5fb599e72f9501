//! The services whose pods are of one release each, and which of their pods are ready.

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::list::List;
use super::workload::{Workload, written};
use crate::cluster::objects::Pod;
use crate::cluster::{Kubectl, Scope};

/// A service of Kubernetes.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: String,
    pub namespace: String,
    /// Whether it serves the pages: the root of the site.
    pub is_of_pages: bool,
    selector: Map<String, Value>,
}

impl Service {
    /// The versioned services of a list, as they are in the cluster.
    pub fn all(kubectl: &Kubectl, list: &List, namespace: &str) -> Result<Vec<Self>> {
        let services = list.versioned_services().into_iter();
        services
            .map(|service| {
                let host = service
                    .get("host")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let paths = service.get("paths").and_then(Value::as_array);
                let is_of_pages = paths.into_iter().flatten().any(|path| path == "/");
                Self::read(kubectl, host, namespace, is_of_pages)
            })
            .collect()
    }

    fn read(kubectl: &Kubectl, host: &str, own: &str, is_of_pages: bool) -> Result<Self> {
        let (name, namespace) = place(host, own);
        let service: Option<Value> = kubectl.object("service", namespace, name)?;
        let service = service.with_context(|| {
            format!("there is no Service {name} in namespace {namespace}, which the list names as {host}")
        })?;
        let selector = service.pointer("/spec/selector").and_then(Value::as_object);
        Ok(Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            is_of_pages,
            selector: selector.cloned().unwrap_or_default(),
        })
    }

    /// Whether the pods of a workload are its own.
    pub fn selects(&self, workload: Workload<'_>, default: &str) -> bool {
        !self.selector.is_empty()
            && workload.namespace(default) == self.namespace
            && workload.has_pods_with(&self.selector)
    }

    /// What is missing until its pods with these labels are ready: at least one, and none that is not.
    pub fn missing(
        &self,
        kubectl: &Kubectl,
        labels: &Map<String, Value>,
    ) -> Result<Option<String>> {
        let scope = Scope::Namespace(&self.namespace);
        let pods: Vec<Pod> = kubectl.list("pods", scope, &written(labels))?;
        let names: Vec<_> = pods
            .iter()
            .filter(|pod| !pod.is_terminating() && !pod.has_ended())
            .map(|pod| pod.metadata.name.as_str())
            .collect();
        let of_service = format!("kubernetes.io/service-name={}", self.name);
        let slices: Vec<Value> = kubectl.list("endpointslices", scope, &of_service)?;
        let endpoints = slices
            .iter()
            .filter_map(|slice| slice.get("endpoints")?.as_array())
            .flatten();
        let own: Vec<_> = endpoints
            .filter(|endpoint| names.contains(&target(endpoint)))
            .collect();
        let is_ready = |endpoint: &&&Value| {
            // Not said means ready.
            endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false))
        };
        let ready = own.iter().filter(is_ready).count();
        let Self { name, .. } = self;
        Ok(match (own.len(), ready) {
            (0, _) => Some(format!(
                "service {name} has no pod with the labels {}",
                written(labels)
            )),
            (all, ready) if ready < all => {
                let late = own.iter().find(|endpoint| !is_ready(endpoint));
                let late = late.map_or("", |endpoint| target(endpoint));
                Some(format!(
                    "service {name}: {ready} of {all} pods are ready ({late} is not)"
                ))
            }
            _ => None,
        })
    }

    /// Whether a pod with these labels is ready in it.
    pub fn has_ready_pod(&self, kubectl: &Kubectl, labels: &Map<String, Value>) -> Result<bool> {
        let pods: Vec<Pod> =
            kubectl.list("pods", Scope::Namespace(&self.namespace), &written(labels))?;
        let of_service = format!("kubernetes.io/service-name={}", self.name);
        let scope = Scope::Namespace(&self.namespace);
        let slices: Vec<Value> = kubectl.list("endpointslices", scope, &of_service)?;
        Ok(slices
            .iter()
            .filter_map(|slice| slice.get("endpoints")?.as_array())
            .flatten()
            .filter(|endpoint| endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false)))
            .any(|endpoint| pods.iter().any(|pod| pod.metadata.name == target(endpoint))))
    }
}

fn target(endpoint: &Value) -> &str {
    let name = endpoint.pointer("/targetRef/name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// Name and namespace of a service's host, in full or in short.
fn place<'a>(host: &'a str, own: &'a str) -> (&'a str, &'a str) {
    let mut parts = host.split('.');
    let name = parts.next().unwrap_or(host);
    (name, parts.next().unwrap_or(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_by_its_host_in_full_and_in_short() {
        assert_eq!(place("api", "shop"), ("api", "shop"));
        assert_eq!(place("api.other", "shop"), ("api", "other"));
        assert_eq!(
            place("api.other.svc.cluster.local", "shop"),
            ("api", "other")
        );
    }
}
