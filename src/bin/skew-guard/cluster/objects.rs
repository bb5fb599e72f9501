//! The parts of Kubernetes' objects that are read.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The kinds of Istio's objects, as kubectl is asked for them.
pub const GATEWAYS: &str = "gateways.networking.istio.io";
pub const VIRTUAL_SERVICES: &str = "virtualservices.networking.istio.io";
pub const DESTINATION_RULES: &str = "destinationrules.networking.istio.io";

/// The routes' word for the sidecars of callers, which are no gateway.
pub const MESH: &str = "mesh";

/// What `kubectl get` answers where it is asked for several.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    pub items: Vec<T>,
}

/// An object of any kind, of which that much is read.
#[derive(Clone, Debug, Deserialize)]
pub struct Object<Spec> {
    pub metadata: Metadata,
    pub spec: Spec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// RFC 3339 in UTC, which sorts as text does.
    pub creation_timestamp: String,
    pub deletion_timestamp: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Pod {
    pub metadata: Metadata,
    #[serde(default)]
    pub spec: PodSpec,
    #[serde(default)]
    pub status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodSpec {
    pub containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    pub image: String,
    pub ports: Vec<ContainerPort>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    pub name: String,
    pub container_port: u16,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    pub phase: String,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
}

impl Pod {
    /// The ports that its containers name.
    pub fn named_ports(&self) -> BTreeMap<String, u16> {
        let containers = self.spec.containers.iter();
        let ports = containers.flat_map(|container| &container.ports);
        ports
            .map(|port| (port.name.clone(), port.container_port))
            .collect()
    }

    pub fn is_ready(&self) -> bool {
        let mut conditions = self.status.conditions.iter();
        conditions.any(|condition| condition.kind == "Ready" && condition.status == "True")
    }

    pub fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether its containers have ended for good: an evicted Pod stays listed.
    pub fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }
}

/// Whether something with these labels is meant by this selector.
pub fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    let mut wanted = selector.iter();
    wanted.all(|(name, value)| labels.get(name) == Some(value))
}

/// Whether a host of Istio's, which may begin with an asterisk, holds all of another.
pub fn covers(wide: &str, narrow: &str) -> bool {
    match wide.strip_prefix('*') {
        Some(suffix) => narrow.ends_with(suffix),
        None => wide == narrow,
    }
}

/// Labels as a selector of kubectl's.
pub fn selector(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(",")
}
