//! The shop behind `envoy/envoy.yaml`, with releases that come and go.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{Bootstrap, FILTER};
use skew_guard_lab::envoy::{self, Envoy};
use skew_guard_lab::pods::{Pod, Role, start_release};
use skew_guard_lab::xds::Files;
use skew_guard_lab::{module, wait};

use crate::application::{self, Build};
use crate::next_application::{self, BasePath, NextServer, deployment_id};
use crate::server::{Record, Server};

/// The first release.
pub const OLD: &str = "1.4.2";
/// The next release.
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
    make: Make,
    pods: Vec<AnyPod>,
}

/// What its pods run.
enum Make {
    /// The demo's shop, each pod in its own process.
    Demo,
    /// A build of the browser tests' application, which records its requests.
    Built(Build, Record),
    /// The application in Next.js.
    Next(BasePath),
}

impl Make {
    async fn start(&self, version: &str) -> Result<Vec<AnyPod>> {
        self.start_with_pages_of(version, version).await
    }

    async fn start_with_pages_of(&self, version: &str, pages: &str) -> Result<Vec<AnyPod>> {
        let (build, record) = match self {
            Self::Demo => {
                let pods = start_release(Role::All, version, PODS).await?;
                return Ok(pods.into_iter().map(AnyPod::Process).collect());
            }
            Self::Next(base) => return start_next(version, base).await,
            Self::Built(build, record) => (*build, record),
        };
        let of = pages.to_owned();
        let site = tokio::task::spawn_blocking(move || application::site(build, &of)).await??;
        let mut pods = Vec::new();
        for _ in 0..PODS {
            let server = Server::start(version, site.clone(), record).await?;
            pods.push(AnyPod::Task(server));
        }
        Ok(pods)
    }
}

/// One pod: more would show nothing new, and each is a separate Node.js process.
async fn start_next(version: &str, base: BasePath) -> Result<Vec<AnyPod>> {
    let build = move || next_application::built(base);
    let place = tokio::task::spawn_blocking(build).await??;
    let server = NextServer::start(version, base, &place).await?;
    Ok(vec![AnyPod::Next(server)])
}

enum AnyPod {
    Process(Pod),
    Task(Server),
    Next(NextServer),
}

impl AnyPod {
    fn version(&self) -> &str {
        match self {
            Self::Process(pod) => pod.version(),
            Self::Task(server) => server.version(),
            Self::Next(server) => server.version(),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Process(pod) => pod.address(),
            Self::Task(server) => server.address(),
            Self::Next(server) => server.address(),
        }
    }

    async fn stop(self) -> Result<()> {
        match self {
            Self::Process(pod) => pod.stop().await,
            Self::Task(_) | Self::Next(_) => Ok(()),
        }
    }
}

impl Shop {
    /// A shop with the filter as `envoy/envoy.yaml` configures it, and with these keys added or replaced.
    pub async fn open(changes: Value) -> Result<Self> {
        Self::start(Make::Demo, Some(changes), |_| {}).await
    }

    /// The same gateway in front of the browser tests' own application.
    pub async fn of(build: Build, changes: Value) -> Result<Self> {
        Self::start(Make::Built(build, Record::default()), Some(changes), |_| {}).await
    }

    /// The same gateway in front of an application in Next.js.
    pub async fn in_next(base: BasePath) -> Result<Self> {
        let configuration =
            json!({ "current": deployment_id(OLD), "releases": releases_of_next("live") });
        Self::start(Make::Next(base), Some(configuration), |_| {}).await
    }

    /// A shop with plain routing.
    pub async fn unguarded() -> Result<Self> {
        Self::start(Make::Demo, None, |_| {}).await
    }

    /// A shop whose gateway allows other origins, as for a team whose API has its own origin.
    pub async fn for_other_origins(changes: Value) -> Result<Self> {
        Self::start(Make::Demo, Some(changes), allow_other_origins).await
    }

    async fn start(
        make: Make,
        guard: Option<Value>,
        change: impl FnOnce(&mut Value),
    ) -> Result<Self> {
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
        let pods = make.start(OLD).await?;
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
            make,
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
        self.pods.extend(self.make.start(NEW).await?);
        self.publish().await
    }

    /// Starts pods of the new release that have the pages of the old one, as a cache in front of them would.
    pub async fn add_new_release_with_old_pages(&mut self) -> Result<()> {
        self.pods
            .extend(self.make.start_with_pages_of(NEW, OLD).await?);
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

    /// Ends every pod of the new release.
    pub async fn end_new_release(&mut self) -> Result<()> {
        self.keep(|pod| pod.version() != NEW).await
    }

    async fn keep(&mut self, stays: impl FnMut(&AnyPod) -> bool) -> Result<()> {
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
        let changes = match self.make {
            Make::Next(_) => json!({
                "current": deployment_id(NEW),
                "releases": releases_of_next(state_of_old),
            }),
            _ => json!({ "current": NEW, "releases": releases(state_of_old) }),
        };
        self.configure(changes).await
    }

    /// The requests to the pods of a built application.
    pub fn record(&self) -> Record {
        match &self.make {
            Make::Demo | Make::Next(_) => Record::default(),
            Make::Built(_, record) => record.clone(),
        }
    }

    /// How many requests had this outcome.
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

fn releases_of_next(state_of_old: &str) -> Value {
    json!([
        { "version": deployment_id(NEW), "route": "v2-0-0" },
        { "version": deployment_id(OLD), "route": "v1-4-2", "state": state_of_old },
    ])
}

fn with(mut configuration: Value, changes: Value) -> Value {
    if let (Some(keys), Value::Object(changes)) = (configuration.as_object_mut(), changes) {
        keys.extend(changes);
    }
    configuration
}

/// How many configurations all workers have accepted: Envoy counts one when its last worker is done.
async fn reloads(envoy: &Envoy) -> Result<u64> {
    let stat = format!("extension_config_discovery.http_filter.{FILTER}.config_reload");
    let found = envoy.stats(&stat.replace('.', r"\.")).await?;
    found
        .into_values()
        .next()
        .with_context(|| format!("no stat {stat}"))
}

fn publish(files: &Files, pods: &[AnyPod]) -> Result<()> {
    clusters(pods)
        .iter()
        .try_for_each(|(cluster, pods)| files.endpoints(cluster, pods))
}

fn addresses<'a>(pods: impl Iterator<Item = &'a AnyPod>) -> Vec<SocketAddr> {
    pods.map(AnyPod::address).collect()
}

/// What `envoy/envoy.yaml` routes to: all pods, and those of each release.
fn clusters(pods: &[AnyPod]) -> [(String, Vec<SocketAddr>); 3] {
    let of = |version| addresses(pods.iter().filter(move |pod| pod.version() == version));
    [
        ("shop".to_owned(), addresses(pods.iter())),
        ("shop-v1-4-2".to_owned(), of(OLD)),
        ("shop-v2-0-0".to_owned(), of(NEW)),
    ]
}

/// Envoy's own CORS filter after ours, as in Istio.
fn allow_other_origins(bootstrap: &mut Value) {
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
