//! The Pods that run a plugin.

use std::collections::BTreeMap;
use std::fmt;

use super::installation::{Installation, Plugin};
use super::kubectl::{Kubectl, Scope};
use super::objects::{Pod, selector};
use super::problem::Problem;

/// As Istio is usually installed.
const ROOT_NAMESPACE: &str = "istio-system";

/// Which Pods count as the gateways of a plugin.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Gateways")]
pub struct Gateways {
    /// Istio's root namespace: a plugin there runs in the gateways of all namespaces
    #[arg(long, value_name = "NAMESPACE", default_value = ROOT_NAMESPACE)]
    pub root_namespace: String,
    /// Where the gateways of such a plugin are, instead of everywhere (repeatable)
    #[arg(long, value_name = "NAMESPACE")]
    pub gateway_namespace: Vec<String>,
    /// Do not ask this gateway, POD or NAMESPACE/POD (repeatable): your word that no visitor comes through it
    #[arg(long, value_name = "POD")]
    pub skip_gateway: Vec<String>,
}

/// A Pod that runs the plugin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gateway {
    pub namespace: String,
    pub pod: String,
    pub is_ready: bool,
    /// It was told to end, and takes no new connections.
    pub is_leaving: bool,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// The ports that its containers name.
    pub ports: BTreeMap<String, u16>,
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.pod)
    }
}

impl From<Pod> for Gateway {
    fn from(pod: Pod) -> Self {
        Self {
            is_ready: pod.is_ready(),
            is_leaving: pod.is_terminating(),
            ports: pod.named_ports(),
            namespace: pod.metadata.namespace,
            pod: pod.metadata.name,
            labels: pod.metadata.labels,
            annotations: pod.metadata.annotations,
        }
    }
}

impl Gateways {
    /// An option that was given; for commands that may not ask a cluster at all.
    pub fn given(&self) -> Option<&'static str> {
        let options = [
            ("--root-namespace", self.root_namespace != ROOT_NAMESPACE),
            ("--gateway-namespace", !self.gateway_namespace.is_empty()),
            ("--skip-gateway", !self.skip_gateway.is_empty()),
        ];
        options
            .into_iter()
            .find_map(|(option, is_given)| is_given.then_some(option))
    }

    /// The Pods of now, in the order of their names. Those that are to be skipped are among them.
    pub fn list(
        &self,
        kubectl: &Kubectl,
        installation: &Installation,
    ) -> Result<Vec<Gateway>, Problem> {
        let mut gateways = Vec::new();
        for plugin in &installation.plugins {
            let labels = selector(&plugin.selector);
            for scope in self.scopes(plugin) {
                let pods = kubectl.list::<Pod>("pods", scope, &labels)?;
                let running = pods.into_iter().filter(|pod| !pod.has_ended());
                gateways.extend(running.map(Gateway::from));
            }
        }
        gateways.sort();
        gateways.dedup();
        Ok(gateways)
    }

    /// Whether a person said not to ask it.
    pub fn skips(&self, gateway: &Gateway) -> bool {
        let full = gateway.to_string();
        let mut skipped = self.skip_gateway.iter();
        skipped.any(|name| *name == gateway.pod || *name == full)
    }

    /// Which Pods those are, in words.
    pub fn in_words(&self, installation: &Installation) -> String {
        let plugins = installation.plugins.iter();
        let words: Vec<_> = plugins.map(|plugin| self.pods_in_words(plugin)).collect();
        words.join(" and no ")
    }

    fn pods_in_words(&self, plugin: &Plugin) -> String {
        let labels = match selector(&plugin.selector) {
            labels if labels.is_empty() => "pods".to_owned(),
            labels => format!("pods with the labels {labels}"),
        };
        let places: Vec<_> = self
            .scopes(plugin)
            .into_iter()
            .map(|scope| match scope {
                Scope::Namespace(namespace) => format!("namespace {namespace}"),
                Scope::All => "all namespaces".to_owned(),
            })
            .collect();
        format!("{labels} in {}", places.join(" and "))
    }

    fn scopes<'a>(&'a self, plugin: &'a Plugin) -> Vec<Scope<'a>> {
        if plugin.namespace != self.root_namespace {
            vec![Scope::Namespace(&plugin.namespace)]
        } else if self.gateway_namespace.is_empty() {
            vec![Scope::All]
        } else {
            let named = self.gateway_namespace.iter();
            named.map(|name| Scope::Namespace(name)).collect()
        }
    }
}
