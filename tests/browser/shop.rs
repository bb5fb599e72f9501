//! The shop behind `envoy/envoy.yaml`, with releases that come and go.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{Bootstrap, FILTER};
use skew_guard_lab::envoy::{self, Envoy};
use skew_guard_lab::pods::{Pod, Role, addresses, start_release};
use skew_guard_lab::xds::Files;
use skew_guard_lab::{module, wait};

/// The release that is there at first.
pub const OLD: &str = "1.4.2";
/// The release that comes.
pub const NEW: &str = "2.0.0";

/// How many pods each release has.
const PODS: usize = 2;

/// A running shop, at first with the pods of the old release.
pub struct Shop {
    envoy: Envoy,
    files: Files,
    filter: Option<Value>,
    configuration: Value,
    gateway: SocketAddr,
    pods: Vec<Pod>,
}

impl Shop {
    /// A shop with the filter as `envoy/envoy.yaml` configures it, and with these keys added or replaced.
    pub async fn open(changes: Value) -> Result<Self> {
        Self::start(Some(changes), |_| {}).await
    }

    /// A shop with plain routing.
    pub async fn unguarded() -> Result<Self> {
        Self::start(None, |_| {}).await
    }

    /// A shop whose gateway, as that of a team with an API of its own origin does, lets other origins in.
    pub async fn for_other_origins(changes: Value) -> Result<Self> {
        Self::start(Some(changes), let_other_origins_in).await
    }

    async fn start(guard: Option<Value>, change: impl FnOnce(&mut Value)) -> Result<Self> {
        let files = Files::new()?;
        let mut bootstrap = Bootstrap::read("envoy/envoy.yaml")?
            .with_module(&module::path()?)
            .with_endpoints_from(&files)
            .on_free_ports();
        let configuration = with(
            bootstrap.configuration()?,
            guard.clone().unwrap_or_default(),
        );
        let (bootstrap, filter) = match guard {
            None => (bootstrap.without_filter(), None),
            Some(_) => {
                let bootstrap = bootstrap.with_configuration(&configuration);
                let (bootstrap, filter) = bootstrap.discover_filter(&files)?;
                (bootstrap, Some(filter))
            }
        };
        let pods = start_release(Role::All, OLD, PODS).await?;
        publish(&files, &pods)?;
        let mut bootstrap = bootstrap.value().clone();
        change(&mut bootstrap);
        let envoy = Envoy::start(&envoy::installed()?, &bootstrap).await?;
        Ok(Self {
            gateway: envoy.listener("gateway").await?,
            envoy,
            files,
            filter,
            configuration,
            pods,
        })
    }

    /// A page or file, by its path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway)
    }

    /// The same server under another name: another origin, and another site, to a browser.
    pub fn other_origin(&self) -> String {
        format!("http://localhost:{}", self.gateway.port())
    }

    /// Starts the pods of the new release beside those of the old.
    pub async fn add_new_release(&mut self) -> Result<()> {
        self.pods.extend(start_release(Role::All, NEW, PODS).await?);
        self.publish().await
    }

    /// Ends all but one pod of the old release.
    pub async fn shrink_old_release(&mut self) -> Result<()> {
        let mut left = 1;
        self.keep(|pod| {
            let stays = pod.version() != OLD || left > 0;
            left -= usize::from(pod.version() == OLD && left > 0);
            stays
        })
        .await
    }

    /// Ends every pod of the old release.
    pub async fn end_old_release(&mut self) -> Result<()> {
        self.keep(|pod| pod.version() != OLD).await
    }

    async fn keep(&mut self, stays: impl FnMut(&Pod) -> bool) -> Result<()> {
        let leaving = {
            let mut stays = stays;
            self.pods
                .extract_if(.., |pod| !stays(pod))
                .collect::<Vec<_>>()
        };
        self.publish().await?;
        for pod in leaving {
            pod.stop().await?;
        }
        Ok(())
    }

    async fn publish(&self) -> Result<()> {
        publish(&self.files, &self.pods)?;
        for (cluster, pods) in clusters(&self.pods) {
            self.envoy.wait_for_endpoints(&cluster, &pods).await?;
        }
        Ok(())
    }

    /// Changes keys of the filter's configuration, and waits until every worker has it.
    pub async fn configure(&mut self, changes: Value) -> Result<()> {
        self.configuration = with(self.configuration.take(), changes);
        let filter = self.filter.as_mut().context("a shop with the filter")?;
        let text = filter.pointer_mut("/config/configuration/value");
        *text.context("a StringValue")? = self.configuration.to_string().into();
        let before = reloads(&self.envoy).await?;
        self.files.extension(FILTER, filter)?;
        wait::until("the configuration to be taken", async || {
            Ok(reloads(&self.envoy).await? > before)
        })
        .await
    }

    /// Makes the new release current, with the old one in this state.
    pub async fn make_new_release_current(&mut self, state_of_old: &str) -> Result<()> {
        self.configure(json!({ "current": NEW, "releases": releases(state_of_old) }))
            .await
    }

    /// How many requests were decided so.
    pub async fn decided(&self, outcome: &str) -> Result<u64> {
        let counters = self.envoy.stats(&format!(r"outcome=\.={outcome};")).await?;
        Ok(counters.values().sum())
    }
}

/// Both releases, the old one in this state.
pub fn releases(state_of_old: &str) -> Value {
    json!([
        { "version": NEW, "route": "v2-0-0" },
        { "version": OLD, "route": "v1-4-2", "state": state_of_old },
    ])
}

fn with(mut configuration: Value, changes: Value) -> Value {
    if let (Some(keys), Value::Object(changes)) = (configuration.as_object_mut(), changes) {
        keys.extend(changes);
    }
    configuration
}

/// How many configurations all workers have taken: Envoy counts one when the last of them is done.
async fn reloads(envoy: &Envoy) -> Result<u64> {
    let stat = format!("extension_config_discovery.http_filter.{FILTER}.config_reload");
    let found = envoy.stats(&stat.replace('.', r"\.")).await?;
    found
        .into_values()
        .next()
        .with_context(|| format!("no stat {stat}"))
}

fn publish(files: &Files, pods: &[Pod]) -> Result<()> {
    clusters(pods)
        .iter()
        .try_for_each(|(cluster, pods)| files.endpoints(cluster, pods))
}

/// What `envoy/envoy.yaml` routes to: all pods, and those of each release.
fn clusters(pods: &[Pod]) -> [(String, Vec<SocketAddr>); 3] {
    let of = |version| addresses(pods.iter().filter(move |pod| pod.version() == version));
    [
        ("shop".to_owned(), addresses(pods)),
        ("shop-v1-4-2".to_owned(), of(OLD)),
        ("shop-v2-0-0".to_owned(), of(NEW)),
    ]
}

/// Envoy's own CORS filter behind ours, as Istio has it.
fn let_other_origins_in(bootstrap: &mut Value) {
    const CORS: &str = "envoy.filters.http.cors";
    const KIND: &str = "type.googleapis.com/envoy.extensions.filters.http.cors.v3";
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let Some(manager) = bootstrap.pointer_mut(manager) else {
        return;
    };
    if let Some(filters) = manager["http_filters"].as_array_mut() {
        let filter = json!({ "name": CORS, "typed_config": { "@type": format!("{KIND}.Cors") } });
        filters.insert(filters.len().saturating_sub(1), filter);
    }
    manager["route_config"]["virtual_hosts"][0]["typed_per_filter_config"] = json!({ CORS: {
        "@type": format!("{KIND}.CorsPolicy"),
        "allow_origin_string_match": [{ "prefix": "http://localhost:" }],
        "allow_methods": "GET, POST",
        "allow_headers": "x-bundle-version",
    }});
}
