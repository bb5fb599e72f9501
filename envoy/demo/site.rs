//! The shop behind Envoy: its pods, and what the gateway knows about them.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::{Map, json};
use skew_guard_lab::bootstrap::Bootstrap;
use skew_guard_lab::envoy::{self, Envoy};
use skew_guard_lab::load::Load;
use skew_guard_lab::pods::{Pod, Role, addresses};
use skew_guard_lab::xds::Files;

use crate::filter::ConfiguredFilter;

/// The first release.
pub const OLD: &str = "1.4.2";
/// The release that is rolled out.
pub const NEW: &str = "2.0.0";
/// How many pods each has.
pub const PODS: usize = 4;

/// How the gateway chooses a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// Any pod, as a mesh does.
    Plain,
    /// Any pod, while skew-guard watches and counts (`"enforce": false`).
    Observed,
    /// Any pod of the release that the page came from.
    SkewGuard,
}

/// After this many answers every worker has caught up with the main thread.
const ANSWERS_TO_FOLLOW: u64 = 500;

/// A running shop.
pub struct Site {
    envoy: Envoy,
    files: Files,
    guard: Option<ConfiguredFilter>,
    old: Vec<Pod>,
    new: Vec<Pod>,
}

impl Site {
    /// All pods of the old release behind Envoy with `envoy/envoy.yaml`, with or without its filter.
    pub async fn start(routing: Routing) -> Result<Self> {
        let files = Files::new()?;
        let bootstrap = Bootstrap::read("envoy/envoy.yaml")?
            .with_endpoints_from(&files)
            .on_free_ports();
        let (bootstrap, guard) = match routing {
            Routing::Plain => (bootstrap.without_filter(), None),
            Routing::Observed => with_changeable_filter(bootstrap, &files, false)?,
            Routing::SkewGuard => with_changeable_filter(bootstrap, &files, true)?,
        };
        let mut old = Vec::new();
        for number in 1..=PODS {
            old.push(start_pod(OLD, number).await?);
        }
        publish(&files, &old, &[])?;
        let envoy = Envoy::start(&envoy::installed()?, bootstrap.value()).await?;
        Ok(Self {
            envoy,
            files,
            guard,
            old,
            new: Vec::new(),
        })
    }

    /// Where visitors arrive.
    pub async fn gateway(&self) -> Result<SocketAddr> {
        self.envoy.listener("gateway").await
    }

    /// Starts one more pod of the new release and lets the gateway send requests there.
    pub async fn add_new_pod(&mut self) -> Result<()> {
        self.new.push(start_pod(NEW, self.new.len() + 1).await?);
        self.publish().await
    }

    /// Removes the first pod of the old release as Kubernetes does: no new requests, time to finish, SIGTERM.
    pub async fn remove_old_pod(&mut self, load: &Load) -> Result<()> {
        let pod = self.old.remove(0);
        self.publish().await?;
        until_drained(pod.name(), load).await?;
        pod.stop().await
    }

    /// Sends visitors without a version, and those who load their page again, only to the new release.
    pub async fn make_new_release_current(&mut self, load: &Load) -> Result<()> {
        let Some(guard) = &mut self.guard else {
            return Ok(());
        };
        let current = Map::from_iter([("current".to_owned(), json!(NEW))]);
        guard.change(&self.files, &self.envoy, current).await?;
        // Workers lag behind the main thread, which shows the gauge, for a moment.
        load.answers(ANSWERS_TO_FOLLOW).await
    }

    /// How many answers the filter found to come from another release than it had asked for.
    pub async fn skew_seen_by_filter(&self) -> Result<Option<u64>> {
        if self.guard.is_none() {
            return Ok(None);
        }
        let counters = self.envoy.stats(r"answer=\.=skewed;").await?;
        Ok(Some(counters.values().sum()))
    }

    /// How many pods the old release has, and how many the new.
    pub fn pods(&self) -> (usize, usize) {
        (self.old.len(), self.new.len())
    }

    async fn publish(&self) -> Result<()> {
        publish(&self.files, &self.old, &self.new)?;
        let all = addresses(self.old.iter().chain(&self.new));
        self.envoy.wait_for_endpoints("shop", &all).await?;
        self.envoy
            .wait_for_endpoints(&cluster_of(OLD), &addresses(&self.old))
            .await?;
        self.envoy
            .wait_for_endpoints(&cluster_of(NEW), &addresses(&self.new))
            .await
    }
}

fn with_changeable_filter(
    bootstrap: Bootstrap,
    files: &Files,
    enforce: bool,
) -> Result<(Bootstrap, Option<ConfiguredFilter>)> {
    let enforce = Map::from_iter([("enforce".to_owned(), json!(enforce))]);
    let (bootstrap, guard) = ConfiguredFilter::discovered(bootstrap, files, enforce)?;
    Ok((bootstrap, Some(guard)))
}

async fn start_pod(version: &str, number: usize) -> Result<Pod> {
    Pod::start(Role::All, version, &pod_name(version, number)).await
}

/// The name of a release's pods.
pub fn pod_name(version: &str, number: usize) -> String {
    format!("{version}-{number}")
}

fn publish(files: &Files, old: &[Pod], new: &[Pod]) -> Result<()> {
    let all = addresses(old.iter().chain(new));
    files.endpoints(&cluster_of(NEW), &addresses(new))?;
    files.endpoints(&cluster_of(OLD), &addresses(old))?;
    files.endpoints("shop", &all)
}

/// The cluster of a release's pods in `envoy/envoy.yaml`.
pub fn cluster_of(version: &str) -> String {
    format!("shop-{}", route_of(version))
}

/// The name of its route in the filter's configuration there.
pub fn route_of(version: &str) -> String {
    format!("v{}", version.replace('.', "-"))
}

/// Envoy's main thread has withdrawn the endpoint; its workers follow. They have done so when many answers in a row
/// came without this pod.
async fn until_drained(pod: &str, load: &Load) -> Result<()> {
    loop {
        let before = load.tally().by_pod.get(pod).copied();
        load.answers(ANSWERS_TO_FOLLOW).await?;
        if load.tally().by_pod.get(pod).copied() == before {
            return Ok(());
        }
    }
}
