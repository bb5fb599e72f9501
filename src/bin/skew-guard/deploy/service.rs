//! The versioned services, and which of their pods are ready.

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use skew_guard::version::Version;

use super::list::List;
use super::workload::{Workload, written};
use crate::cluster::objects::Pod;
use crate::cluster::service::{Endpoint, place};
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
        Self::read_all(kubectl, &list.versioned_services(), namespace)
    }

    /// Those of them that a release has.
    pub fn of(
        kubectl: &Kubectl,
        list: &List,
        version: &Version,
        namespace: &str,
    ) -> Result<Vec<Self>> {
        Self::read_all(kubectl, &list.services_of(version), namespace)
    }

    fn read_all(kubectl: &Kubectl, services: &[&Value], namespace: &str) -> Result<Vec<Self>> {
        services
            .iter()
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

    /// Whether this object is the same Service with a selector by which it would lose pods.
    pub fn loses_pods_by(&self, object: &Value, default: &str) -> bool {
        let text = |path| object.pointer(path).and_then(Value::as_str);
        let is_it = text("/kind") == Some("Service")
            && text("/metadata/name") == Some(self.name.as_str())
            && text("/metadata/namespace").unwrap_or(default) == self.namespace;
        let selector = object.pointer("/spec/selector").and_then(Value::as_object);
        let is_as_wide = selector.is_some_and(|selector| {
            let mut pairs = selector.iter();
            !selector.is_empty()
                && pairs.all(|(name, value)| self.selector.get(name) == Some(value))
        });
        is_it && !is_as_wide && !self.selector.is_empty()
    }

    /// What is missing until its pods with these labels are ready: at least one, and none that is not.
    pub fn missing(
        &self,
        kubectl: &Kubectl,
        labels: &Map<String, Value>,
    ) -> Result<Option<String>> {
        let own = self.endpoints(kubectl, labels)?;
        let ready = own.iter().filter(|endpoint| endpoint.is_ready).count();
        let Self { name, .. } = self;
        Ok(match (own.len(), ready) {
            (0, _) => Some(format!(
                "service {name} has no pod with the labels {}",
                written(labels)
            )),
            (all, ready) if ready < all => {
                let late = own.iter().find(|endpoint| !endpoint.is_ready);
                let late = late.map_or("", |endpoint| &endpoint.pod);
                Some(format!(
                    "service {name}: {ready} of {all} pods are ready ({late} is not)"
                ))
            }
            _ => None,
        })
    }

    /// Its endpoints that are pods with these labels, and are to stay.
    fn endpoints(&self, kubectl: &Kubectl, labels: &Map<String, Value>) -> Result<Vec<Endpoint>> {
        let scope = Scope::Namespace(&self.namespace);
        let pods: Vec<Pod> = kubectl.list("pods", scope, &written(labels))?;
        let names: Vec<_> = pods
            .iter()
            .filter(|pod| !pod.is_terminating() && !pod.has_ended())
            .map(|pod| pod.metadata.name.as_str())
            .collect();
        let all = Endpoint::all(kubectl, &self.namespace, &self.name)?.into_iter();
        Ok(all
            .filter(|endpoint| names.contains(&endpoint.pod.as_str()))
            .collect())
    }
}

/// The first of these services that has no ready pod of a release, in words; none where each has one.
pub fn lacks_ready_pod<'s>(
    kubectl: &Kubectl,
    services: impl IntoIterator<Item = &'s Service>,
    list: &List,
    version: &Version,
) -> Result<Option<String>> {
    let labels = list.labels(version);
    for service in services {
        let endpoints = service.endpoints(kubectl, &labels)?;
        if !endpoints.iter().any(|endpoint| endpoint.is_ready) {
            let name = &service.name;
            return Ok(Some(format!(
                "service {name} has no ready pod of {version}"
            )));
        }
    }
    Ok(None)
}
