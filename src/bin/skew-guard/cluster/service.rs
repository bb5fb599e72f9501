//! A service of Kubernetes, and the Pods behind it.

use serde::Deserialize;

use super::kubectl::{Kubectl, Scope};
use super::problem::Problem;

/// A Pod of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub pod: String,
    pub is_ready: bool,
}

#[derive(Deserialize)]
struct Slice {
    /// Null where there is none.
    endpoints: Option<Vec<InSlice>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InSlice {
    #[serde(default)]
    conditions: Conditions,
    target_ref: Option<Target>,
}

#[derive(Default, Deserialize)]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(default)]
    name: String,
}

impl Endpoint {
    /// Those of a service, by its EndpointSlices.
    pub fn all(kubectl: &Kubectl, namespace: &str, service: &str) -> Result<Vec<Self>, Problem> {
        let of_service = format!("kubernetes.io/service-name={service}");
        let scope = Scope::Namespace(namespace);
        let slices: Vec<Slice> =
            kubectl.list("endpointslices.discovery.k8s.io", scope, &of_service)?;
        let endpoints = slices
            .into_iter()
            .flat_map(|slice| slice.endpoints.unwrap_or_default());
        let pods = endpoints.filter_map(|endpoint| {
            Some(Self {
                pod: endpoint.target_ref?.name,
                // Absent means ready.
                is_ready: endpoint.conditions.ready != Some(false),
            })
        });
        Ok(pods.collect())
    }
}

/// Name and namespace of a service by its host, in full or in short.
pub fn place<'a>(host: &'a str, own: &'a str) -> (&'a str, &'a str) {
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
