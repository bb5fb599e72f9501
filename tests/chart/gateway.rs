//! A gateway that has learned its routes, its subsets and its plugin at different moments: the plugin decides with its
//! real code, and the mesh is a model of Istio's.

use anyhow::{Result, bail};
use skew_guard::config::Config;
use skew_guard::decision::rules::decide;
use skew_guard::decision::{Action, LocalReply};
use skew_guard::headers::{self, Headers};
use skew_guard::policy::Policy;
use skew_guard::reply::amend::amend;
use skew_guard::reply::response::Response;
use skew_guard::request::{Environment, Request};
use skew_guard::telemetry::AnswerKind;
use skew_guard_traffic::browsers::Load;

use crate::helm::Manifests;
use crate::mesh::{Destination, Mesh};

/// One upgrade as the plugin and the mesh see it.
#[derive(Debug)]
pub struct Rendering {
    pub manifests: Manifests,
    pub policy: Policy,
}

impl Rendering {
    pub fn of(manifests: Manifests) -> Result<Self> {
        let config = manifests.plugin_config()?.to_string();
        match Config::load(config.as_bytes()).map(Policy::from) {
            Ok(policy) => Ok(Self { manifests, policy }),
            Err(problems) => bail!("the plugin refuses {config}: {problems}"),
        }
    }
}

/// What a gateway has learned: each part from one of two renderings.
#[derive(Debug, Clone, Copy)]
pub struct Gateway<'a> {
    pub mesh: Mesh<'a>,
    pub plugin: &'a Policy,
    /// Which part is from which rendering, for failure messages.
    pub learned: [&'static str; 3],
}

impl<'a> Gateway<'a> {
    /// Every possible gateway between two upgrades, including those that have one of them completely. Resources
    /// arrive in any order, and a refused part stays as it was.
    pub fn between(old: &'a Rendering, new: &'a Rendering) -> Vec<Self> {
        let both = [("old", old), ("new", new)];
        let mut gateways = Vec::new();
        for (routes_age, routes) in both {
            for (subsets_age, subsets) in both {
                for (plugin_age, plugin) in both {
                    gateways.push(Self {
                        mesh: Mesh {
                            routes: &routes.manifests,
                            subsets: &subsets.manifests,
                        },
                        plugin: &plugin.policy,
                        learned: [routes_age, subsets_age, plugin_age],
                    });
                }
            }
        }
        gateways
    }

    /// What the client gets.
    pub fn answer(&self, request: &Sent) -> Result<Answer> {
        let map = headers::serialize(&request.headers);
        let asked = Request::new(Headers::new(&map), request);
        let Some(decision) = decide(self.plugin, &asked) else {
            bail!("out of scope: {request:?}");
        };
        match &decision.action {
            Action::Reply(LocalReply::Gone { .. }) => return Ok(Answer::Reload),
            Action::Reply(other) => bail!("not expected: {other:?}"),
            Action::Forward(_) => {}
        }
        let header = decision
            .release()
            .map(|release| (self.plugin.route_header.as_str(), release.route.as_str()));
        match self.mesh.send(request.path(), header.as_slice())? {
            Destination::Subset { subset, .. } => Ok(Answer::Pods(subset)),
            Destination::AllPods { .. } => Ok(Answer::AnyPod),
            Destination::NoCluster { route } => {
                let amendment = amend(self.plugin, &decision, &NoCluster::on(route));
                let is_replaced = matches!(amendment.counted, Some(AnswerKind::Gone));
                Ok(if is_replaced {
                    Answer::Reload
                } else {
                    Answer::Unavailable
                })
            }
        }
    }

    /// What the client gets if the plugin passes requests through: after a start with a configuration that it
    /// refuses, or without the module under FAIL_OPEN.
    pub fn answer_without_plugin(&self, path: &str) -> Result<Answer> {
        Ok(match self.mesh.send(path, &[])? {
            Destination::Subset { subset, .. } => Answer::Pods(subset),
            Destination::AllPods { .. } => Answer::AnyPod,
            Destination::NoCluster { .. } => Answer::Unavailable,
        })
    }
}

/// What a client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A pod of the release with this route.
    Pods(String),
    /// Any pod, whatever its release.
    AnyPod,
    /// The reload answer, or an uncacheable 404: what a page can act on.
    Reload,
    /// Envoy's own 503.
    Unavailable,
}

/// A browser's request.
#[derive(Debug, Clone)]
pub struct Sent {
    headers: Vec<(&'static str, String)>,
    draw: u32,
}

impl Sent {
    /// A page is opened. The number places the visitor among weighted releases.
    pub fn navigation(draw: u32) -> Self {
        Self::new("/", Load::Navigation, &[], draw)
    }

    /// A page of a checkout leads to another one, which keeps its version.
    pub fn checkout(version: &str) -> Self {
        Self::new(
            &format!("/checkout?dpl={version}"),
            Load::Navigation,
            &[],
            0,
        )
    }

    /// A page calls its API.
    pub fn fetch(version: &str) -> Self {
        Self::new(
            "/api/cart",
            Load::Fetch,
            &[("x-bundle-version", version)],
            0,
        )
    }

    /// A page loads one of its parts.
    pub fn asset(version: &str) -> Self {
        Self::new(
            &format!("/assets/v-{version}/chunk.js"),
            Load::Script,
            &[],
            0,
        )
    }

    fn new(target: &str, load: Load, headers: &[(&'static str, &str)], draw: u32) -> Self {
        let pseudo = [
            (":method", "GET"),
            (":authority", "shop.example.com"),
            (":path", target),
        ];
        let headers = pseudo
            .iter()
            .chain(&load.fetch_metadata())
            .chain(headers)
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        Self { headers, draw }
    }

    fn path(&self) -> &str {
        let target = self
            .headers
            .iter()
            .find(|(name, _)| *name == ":path")
            .map_or("", |(_, value)| value);
        target.split('?').next().unwrap_or_default()
    }
}

impl Environment for Sent {
    fn now(&self) -> u64 {
        0
    }

    fn draw(&self) -> u32 {
        self.draw
    }
}

/// Envoy's reply on a route without a cluster: no body, and a response flag that says why.
struct NoCluster {
    route: String,
    headers: Vec<u8>,
}

impl NoCluster {
    fn on(route: String) -> Self {
        Self {
            route,
            headers: headers::serialize(&[(":status", "503")]),
        }
    }
}

impl Response for NoCluster {
    fn headers(&self) -> Headers<'_> {
        Headers::new(&self.headers)
    }

    fn attribute(&self, path: &[&str]) -> Option<Vec<u8>> {
        match path {
            ["response", "flags"] => Some(0x0100_0000_u64.to_le_bytes().to_vec()),
            ["response", "code_details"] => Some(b"cluster_not_found".to_vec()),
            ["xds", "route_name"] => Some(self.route.clone().into_bytes()),
            _ => None,
        }
    }

    fn has_body(&self) -> bool {
        false
    }
}
