//! A shop behind gateways of `envoy/envoy.yaml`, each with its own files, so that they can learn things one by one.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{Bootstrap, FILTER};
use skew_guard_lab::envoy::{self, Envoy};
use skew_guard_lab::pods::{Pod, addresses};
use skew_guard_lab::xds::Files;
use skew_guard_lab::{module, wait};

pub const OLD: &str = "1.4.2";
pub const NEW: &str = "2.0.0";

/// An Envoy that runs `envoy/envoy.yaml`.
pub struct Gateway {
    envoy: Envoy,
    files: Files,
    filter: Option<Value>,
}

impl Gateway {
    /// With the filter in this configuration.
    pub async fn start(configuration: &Value) -> Result<Self> {
        let files = Files::new()?;
        let bootstrap = bootstrap(&files)?
            .with_module(&module::path()?)
            .with_configuration(configuration);
        let (bootstrap, filter) = bootstrap.discover_filter(&files)?;
        Self::of(&bootstrap, files, Some(filter)).await
    }

    /// Without it, as when the module could not be fetched.
    pub async fn without_filter() -> Result<Self> {
        let files = Files::new()?;
        let bootstrap = bootstrap(&files)?.without_filter();
        Self::of(&bootstrap, files, None).await
    }

    async fn of(bootstrap: &Bootstrap, files: Files, filter: Option<Value>) -> Result<Self> {
        let envoy = Envoy::start(&envoy::installed()?, bootstrap.value()).await?;
        Ok(Self {
            envoy,
            files,
            filter,
        })
    }

    /// Where requests come in.
    pub async fn address(&self) -> Result<SocketAddr> {
        self.envoy.listener("gateway").await
    }

    /// Where Prometheus scrapes.
    pub fn admin(&self) -> SocketAddr {
        self.envoy.admin()
    }

    /// Changes the filter's configuration.
    pub fn configure(&mut self, configuration: &Value) -> Result<()> {
        let filter = self.filter.as_mut().context("a filter")?;
        let text = filter
            .pointer_mut("/config/configuration/value")
            .context("a StringValue")?;
        *text = configuration.to_string().into();
        self.files.extension(FILTER, filter)
    }

    /// Waits until the gauge shows that revision.
    pub async fn until_in_force(&self, revision: u64) -> Result<()> {
        wait::until(&format!("revision {revision} in force"), async || {
            let gauges = self.envoy.stats("skew_guard_config_revision").await?;
            Ok(gauges.values().any(|value| *value == revision))
        })
        .await
    }

    /// Publishes the pods to it.
    pub async fn publish(&self, old: &[Pod], new: &[Pod]) -> Result<()> {
        let clusters = [
            ("shop-v1-4-2", addresses(old)),
            ("shop-v2-0-0", addresses(new)),
            ("shop", addresses(old.iter().chain(new))),
        ];
        for (cluster, endpoints) in &clusters {
            self.files.endpoints(cluster, endpoints)?;
        }
        for (cluster, endpoints) in &clusters {
            self.envoy.wait_for_endpoints(cluster, endpoints).await?;
        }
        Ok(())
    }
}

fn bootstrap(files: &Files) -> Result<Bootstrap> {
    for cluster in ["shop", "shop-v1-4-2", "shop-v2-0-0"] {
        files.endpoints(cluster, &[])?;
    }
    Ok(Bootstrap::read("envoy/envoy.yaml")?
        .with_endpoints_from(files)
        .on_free_ports())
}

/// The configuration of a step: which state each release is in, and which is current.
pub fn step(revision: u64, states: &[(&str, &str)], current: &str) -> Value {
    let releases: Vec<_> = states
        .iter()
        .map(|(version, state)| {
            let route = format!("v{}", version.replace('.', "-"));
            json!({ "version": version, "route": route, "state": state })
        })
        .collect();
    json!({
        "sources": [
            { "header": "x-bundle-version" },
            { "query": "dpl" },
            { "path": "/assets/v-{version}/" },
        ],
        "releases": releases,
        "current": current,
        "upstreamVersion": { "responseHeader": "x-app-version" },
        "revision": revision,
    })
}
