//! One Envoy with pods behind it, to which each behaviour adds its own gateway.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{Bootstrap, cluster};
use skew_guard_lab::envoy::{self, Envoy, Launch};
use skew_guard_lab::pods::{Pod, Role, addresses, start_release};
use skew_guard_lab::xds::Files;
use skew_guard_lab::{http, module, ports, wait};
use tokio::sync::OnceCell;

use crate::application::Application;
use crate::gateway::Spec;
use crate::metrics::Metrics;
use crate::specified::{Bench, clusters_without_pods};

/// How many pods each release has, newest first.
const RELEASES: [(&str, usize); 3] = [("2.1.0", 1), ("2.0.0", 3), ("1.4.2", 3)];

/// The pods of all releases, started when they are first needed; every Envoy has the same.
#[derive(Default)]
pub struct Pods(OnceCell<Vec<Pod>>);

impl Pods {
    async fn get(&self) -> Result<&[Pod]> {
        let pods = self.0.get_or_try_init(async || {
            let mut pods = Vec::new();
            for (version, count) in RELEASES {
                pods.extend(start_release(Role::All, version, count).await?);
            }
            anyhow::Ok(pods)
        });
        Ok(pods.await?)
    }
}

/// A running Envoy.
///
/// Its clusters: `shop` has all pods, `shop-v2-0-0` those of that release and so on; `shop-v1-3-0`, `catalog` and
/// `outbound|8080||payments.svc` have none; the pod of `shop-v1-2-0` refuses connections; `application` answers as it is told.
pub struct Lab {
    version: &'static str,
    envoy: Envoy,
    module: PathBuf,
    pods: Arc<Pods>,
    application: Application,
    files: Files,
    listeners: Mutex<Vec<Value>>,
    benches: Mutex<Vec<Bench>>,
}

const LISTENERS: &str = "listeners";

impl Lab {
    /// Starts that Envoy, with two workers.
    pub async fn start(version: &'static str, pods: Arc<Pods>) -> Result<Self> {
        Self::start_with(version, pods, 2, Vec::new()).await
    }

    /// Another one of the same version, with that many workers and with these gateways from its start.
    pub async fn another(&self, workers: u32, gateways: &[&Spec]) -> Result<Self> {
        let listeners = gateways.iter().map(|spec| spec.listener()).collect();
        Self::start_with(self.version, Arc::clone(&self.pods), workers, listeners).await
    }

    async fn start_with(
        version: &'static str,
        pods: Arc<Pods>,
        workers: u32,
        listeners: Vec<Value>,
    ) -> Result<Self> {
        let files = Files::new()?;
        let application = Application::start().await?;
        let clusters = write_endpoints(&files, pods.get().await?, &application)?;
        let is_there = |name: &&str| !clusters.iter().any(|other| other == name);
        let without_pods = clusters_without_pods().into_iter().filter(is_there);
        let without_pods = without_pods.map(cluster_without_pods);
        let clusters = clusters.iter().map(|name| cluster(name, &files));
        let clusters = clusters.chain(without_pods).collect();
        files.listeners(LISTENERS, &listeners)?;
        let bootstrap = Bootstrap::of(Vec::new(), clusters).discover_listeners(&files, LISTENERS);
        let envoy = Launch::of(envoy::binary(version)?)
            .workers(workers)
            .argument("--file-flush-interval-msec")
            .argument("20")
            // So that the remains of a changed listener are soon gone.
            .argument("--drain-time-s")
            .argument("1")
            .start(bootstrap.value())
            .await
            .with_context(|| format!("starting Envoy {version}"))?;
        Ok(Self {
            version,
            envoy,
            module: module::path()?,
            pods,
            application,
            files,
            listeners: Mutex::new(listeners),
            benches: Mutex::default(),
        })
    }

    /// The Envoy.
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// The module under test.
    pub fn module(&self) -> &PathBuf {
        &self.module
    }

    /// The application that answers as it is told.
    pub fn application(&self) -> &Application {
        &self.application
    }

    /// A gateway of the specification that is not in use.
    pub fn idle_bench(&self) -> Option<Bench> {
        let mut benches = self.benches.lock().unwrap_or_else(PoisonError::into_inner);
        benches.pop()
    }

    /// Returns a gateway of the specification for others to use.
    pub fn leave(&self, bench: Bench) {
        let mut benches = self.benches.lock().unwrap_or_else(PoisonError::into_inner);
        benches.push(bench);
    }

    /// The names of the pods of a release.
    pub async fn pods_of(&self, version: &str) -> Result<Vec<&str>> {
        let pods = self.pods.get().await?.iter();
        Ok(pods
            .filter(|pod| pod.version() == version)
            .map(Pod::name)
            .collect())
    }

    /// The filter's own metrics, as a Prometheus server scrapes them here.
    pub async fn metrics(&self) -> Result<Metrics> {
        let scraped = self.envoy.admin_get("/stats/prometheus?filter=skew_guard");
        Ok(Metrics::read(&scraped.await?))
    }

    /// Removes all pods of a release from its cluster, and waits until Envoy has done so.
    pub async fn withdraw(&self, version: &str) -> Result<()> {
        let cluster = format!("shop-{}", route_of(version));
        self.files.endpoints(&cluster, &[])?;
        self.envoy.wait_for_endpoints(&cluster, &[]).await
    }

    /// Replaces the application that answers as it is told.
    pub async fn serve_application_at(&self, address: SocketAddr) -> Result<()> {
        self.files.endpoints("application", &[address])?;
        self.envoy
            .wait_for_endpoints("application", &[address])
            .await
    }

    /// Waits until a GET there is answered with this body: a changed listener takes a moment to take over.
    pub async fn wait_for_answer(&self, address: SocketAddr, body: &str) -> Result<()> {
        wait::until(&format!("the answer {body}"), async || {
            Ok(http::get(address, "/", &[]).await?.text() == body)
        })
        .await
    }

    /// Removes the listener of that name. Envoy needs a watch for each file that may change, and a machine has few.
    pub fn close(&self, name: &str) -> Result<()> {
        self.change_listeners(|listeners| listeners.retain(|listener| listener["name"] != name))
    }

    fn change_listeners(&self, change: impl FnOnce(&mut Vec<Value>)) -> Result<()> {
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut listeners);
        self.files.listeners(LISTENERS, &listeners)
    }

    /// Adds a listener, or changes the one of that name, and waits until it accepts connections.
    pub async fn listen(&self, listener: Value) -> Result<SocketAddr> {
        let name = listener["name"].as_str().context("a name")?.to_owned();
        self.change_listeners(|listeners| {
            listeners.retain(|other| other["name"] != listener["name"]);
            listeners.push(listener);
        })?;
        wait::until_some(&format!("listener {name}"), async || {
            Ok(Some(self.envoy.listener(&name).await?))
        })
        .await
        .with_context(|| format!("Envoy printed:\n{}", self.envoy.log()))
    }
}

/// A cluster that never has pods; it is static, because Envoy needs a watch for each file of endpoints.
fn cluster_without_pods(name: &str) -> Value {
    json!({ "name": name, "type": "STATIC", "load_assignment": { "cluster_name": name } })
}

/// Writes the endpoints of all clusters, and returns the clusters' names.
fn write_endpoints(files: &Files, pods: &[Pod], application: &Application) -> Result<Vec<String>> {
    let mut clusters = vec![
        ("shop".to_owned(), addresses(pods)),
        ("shop-v1-3-0".to_owned(), Vec::new()),
        ("shop-v1-2-0".to_owned(), vec![ports::free()?]),
        ("catalog".to_owned(), Vec::new()),
        ("outbound|8080||payments.svc".to_owned(), Vec::new()),
        ("application".to_owned(), vec![application.address()]),
    ];
    for (version, _) in RELEASES {
        let own = pods.iter().filter(|pod| pod.version() == version);
        clusters.push((format!("shop-{}", route_of(version)), addresses(own)));
    }
    for (name, endpoints) in &clusters {
        files.endpoints(name, endpoints)?;
    }
    Ok(clusters.into_iter().map(|(name, _)| name).collect())
}

/// The route of a release: what a Kubernetes label can hold.
pub fn route_of(version: &str) -> String {
    format!("v{}", version.replace('.', "-"))
}
