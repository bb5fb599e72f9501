//! How Istio applies the chart's routes and subsets, as far as a request can tell: a model of the rules that Istio
//! documents for a VirtualService and a DestinationRule.

use anyhow::{Context, Result, bail};
use regex::Regex;
use serde_json::Value;

use crate::helm::Manifests;

/// Where the mesh sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To the pods of one subset, by its name.
    Subset { host: String, subset: String },
    /// To all pods of a service.
    AllPods { host: String },
    /// Nowhere: the route of this name leads to a missing subset, and Envoy answers 503.
    NoCluster { route: String },
}

impl Destination {
    /// The pods of one subset.
    pub fn subset(host: &str, subset: &str) -> Self {
        Self::Subset {
            host: host.to_owned(),
            subset: subset.to_owned(),
        }
    }

    /// All pods of a service.
    pub fn all_pods(host: &str) -> Self {
        Self::AllPods {
            host: host.to_owned(),
        }
    }

    /// The service behind it; a dead end has none.
    pub fn host(&self) -> Result<&str> {
        match self {
            Self::Subset { host, .. } | Self::AllPods { host } => Ok(host),
            Self::NoCluster { route } => bail!("the route {route} is a dead end"),
        }
    }

    /// A dead end.
    pub fn no_cluster(route: &str) -> Self {
        Self::NoCluster {
            route: route.to_owned(),
        }
    }
}

/// The mesh of a gateway that has learned the routes of one rendering and the subsets of another, or of the same.
#[derive(Debug, Clone, Copy)]
pub struct Mesh<'a> {
    pub routes: &'a Manifests,
    pub subsets: &'a Manifests,
}

impl<'a> Mesh<'a> {
    /// The mesh that has learned a complete rendering.
    pub fn of(manifests: &'a Manifests) -> Self {
        Self {
            routes: manifests,
            subsets: manifests,
        }
    }

    /// The destination of a request with this path and these headers, by lower-case name.
    pub fn send(self, path: &str, headers: &[(&str, &str)]) -> Result<Destination> {
        let routes = list(&self.routes.one("VirtualService")?["spec"]["http"]);
        let route = routes
            .iter()
            .find(|route| matches(route, path, headers))
            .context("a route")?;
        let [target] = list(&route["route"]) else {
            bail!("more or less than one destination: {route}")
        };
        let host = text(&target["destination"]["host"])?;
        let Some(subset) = target["destination"]["subset"].as_str() else {
            return Ok(Destination::all_pods(host));
        };
        if self.has(host, subset) {
            return Ok(Destination::subset(host, subset));
        }
        Ok(Destination::no_cluster(text(&route["name"])?))
    }

    fn has(self, host: &str, subset: &str) -> bool {
        self.subsets
            .all("DestinationRule")
            .iter()
            .filter(|rule| rule["spec"]["host"] == host)
            .flat_map(|rule| list(&rule["spec"]["subsets"]))
            .any(|known| known["name"] == subset)
    }
}

/// At least one condition must hold, with all that it requires; a route without conditions takes everything.
fn matches(route: &Value, path: &str, headers: &[(&str, &str)]) -> bool {
    let Some(conditions) = route["match"].as_array() else {
        return true;
    };
    conditions.iter().any(|condition| {
        path_matches(&condition["uri"], path)
            && condition["headers"]
                .as_object()
                .into_iter()
                .flatten()
                .all(|(name, value)| {
                    headers
                        .iter()
                        .any(|(given, held)| given == name && value_matches(value, held))
                })
    })
}

/// `prefix` compares characters, not segments; `regex` must match the whole path.
fn path_matches(uri: &Value, path: &str) -> bool {
    let whole = |regex: &str| Regex::new(&format!("^(?:{regex})$"));
    let by_regex = uri["regex"].as_str().map(whole);
    by_regex.is_some_and(|regex| regex.is_ok_and(|regex| regex.is_match(path)))
        || uri["exact"].as_str().is_some_and(|exact| path == exact)
        || uri["prefix"]
            .as_str()
            .is_some_and(|prefix| path.starts_with(prefix))
}

/// An empty condition only requires the header to be present.
fn value_matches(value: &Value, held: &str) -> bool {
    value["exact"].as_str().is_none_or(|exact| exact == held)
}

/// The items of a list; none if there is no list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A required text.
pub fn text(value: &Value) -> Result<&str> {
    value
        .as_str()
        .with_context(|| format!("not a text: {value}"))
}
