//! Pods of the demo application: each a separate process on its own port.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::process::Process;
use crate::{cargo, http, wait, xds};

/// Which half of the application a pod serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The back end.
    Api,
    /// The static files.
    Web,
    /// Both in one process.
    All,
}

impl Role {
    fn entry_point(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Web => "web",
            Self::All => "all",
        }
    }
}

/// Builds the demo application if anything changed, once per process, and returns its path.
pub fn application() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| cargo::example("shop").map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|problem| anyhow!(problem))
}

/// Builds the demo application as one static binary, for an image with nothing else in it.
pub fn static_application() -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    cargo::build(&[
        "--package=skew-guard",
        "--example=shop",
        "--target",
        &target,
    ])
    .with_context(|| format!("is the target installed? `rustup target add {target}`"))?;
    Ok(cargo::target().join(target).join("debug/examples/shop"))
}

/// A running pod of one release; dropping it ends it at once.
#[derive(Debug)]
pub struct Pod {
    name: String,
    version: String,
    address: SocketAddr,
    process: Process,
}

impl Pod {
    /// Starts a pod on a port that the kernel chooses, and waits until it is ready.
    pub async fn start(role: Role, version: &str, name: &str) -> Result<Self> {
        Self::start_on(role, version, name, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts a pod on that address, and waits until it is ready.
    pub async fn start_on(
        role: Role,
        version: &str,
        name: &str,
        listen: SocketAddr,
    ) -> Result<Self> {
        Self::launch(
            version,
            name,
            &[
                role.entry_point().as_ref(),
                "--listen".as_ref(),
                listen.to_string().as_ref(),
            ],
        )
        .await
    }

    /// Starts a pod of both halves whose pages were built into that folder, on a port that the kernel chooses.
    pub async fn start_with_pages(version: &str, name: &str, pages: &Path) -> Result<Self> {
        let arguments = ["all", "--listen", "127.0.0.1:0", "--pages"].map(OsStr::new);
        Self::launch(
            version,
            name,
            &[&arguments[..], &[pages.as_os_str()]].concat(),
        )
        .await
    }

    async fn launch(version: &str, name: &str, arguments: &[&OsStr]) -> Result<Self> {
        let mut command = Command::new(application()?);
        command
            .args(arguments)
            .args(["--version", version, "--pod", name]);
        let mut process = Process::start(name, command)?;
        let address = wait::until_some(&format!("pod {name}'s address"), async || {
            process.check_running()?;
            Ok(announced_address(&process.log()))
        })
        .await?;
        let pod = Self {
            name: name.into(),
            version: version.into(),
            address,
            process,
        };
        pod.wait_until_ready().await?;
        Ok(pod)
    }

    async fn wait_until_ready(&self) -> Result<()> {
        let client = http::client()?;
        let probe = format!("http://{}/healthz", self.address);
        wait::until(&format!("pod {} to be ready", self.name), async || {
            Ok(client.get(&probe).send().await?.status().is_success())
        })
        .await
        .with_context(|| format!("it printed:\n{}", self.process.log_tail()))
    }

    /// Its name, which it says in `x-pod`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its release's version, which it says in `x-app-version`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Fails if it has ended, for instance in a crash.
    pub fn check_running(&mut self) -> Result<()> {
        self.process.check_running()
    }

    /// The endpoint of this pod, labelled with the release's route for subset load balancing.
    pub fn endpoint(&self, route: &str) -> Value {
        xds::endpoint_of_release(self.address, route)
    }

    /// Everything that it printed.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Stops it as Kubernetes does: SIGTERM, time to finish its answers, and an error if that was not enough.
    pub async fn stop(mut self) -> Result<()> {
        self.process.stop(Duration::from_secs(30)).await?;
        Ok(())
    }

    /// Kills it without notice, as a failing node does.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()
    }
}

/// Pods of one release, named `<version>-<number>`.
pub async fn start_release(role: Role, version: &str, count: usize) -> Result<Vec<Pod>> {
    let mut pods = Vec::with_capacity(count);
    for number in 1..=count {
        pods.push(Pod::start(role, version, &format!("{version}-{number}")).await?);
    }
    Ok(pods)
}

/// Where the pods listen, in order.
pub fn addresses<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Vec<SocketAddr> {
    pods.into_iter().map(Pod::address).collect()
}

/// The demo application says where it listens, because with port 0 only the kernel knows.
fn announced_address(log: &str) -> Option<SocketAddr> {
    log.lines()
        .find_map(|line| line.split_once("listening on ")?.1.trim().parse().ok())
}
