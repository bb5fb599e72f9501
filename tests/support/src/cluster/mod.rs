//! A Kubernetes cluster with Istio on one machine, without containers: the real control planes as processes, each Pod a
//! process of the demo application, each gateway real Envoy under the real agent.
//!
//! ```text
//! kubectl, helm ─► kube-apiserver ─► controllers ─► Pods ─► node: a process per Pod
//!                        │                                        ▲
//!                        ▼                                        │
//!                     istiod ─► proxy ─► agent ─► Envoy ──────────┘
//!                                          │
//!                        registry ─────────┘ the module
//! ```
//!
//! Gateways and istiod are started separately, but Kubernetes shows them as Pods: with addresses, ports and
//! metrics, and with what `kubectl port-forward` needs from a kubelet.
//!
//! [`isolation::enter`] must come first, because the programs use their well-known ports.

mod api;
mod discovery_proxy;
mod gateway;
pub mod isolation;
mod istio;
mod kubelet;
mod kubernetes;
mod port_forward;
mod registered_pod;
mod sidecar;
mod spdy;
mod tools;
mod workload;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use self::istio::Istiod;
use self::kubelet::Kubelet;
use self::port_forward::PortForward;
use self::tools::Tools;
use crate::registry::{Image, Registry};
use crate::{pods, wait};

pub use self::discovery_proxy::DiscoveryProxy;
pub use self::gateway::{Gateway, GatewayName, NAMESPACE as GATEWAY_NAMESPACE};
pub use self::kubelet::NODE;
pub use self::kubernetes::{Kubernetes, User};
pub use self::sidecar::Sidecar;
pub use self::tools::IstioLine;

/// Where the registry is.
const REGISTRY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// The image of the demo application's Pods.
pub const APPLICATION_IMAGE: &str = "shop";

/// A running cluster; dropping it ends all of it.
#[derive(Debug)]
pub struct Cluster {
    line: IstioLine,
    tools: Tools,
    // Dropped in this order.
    kubelet: Kubelet,
    _port_forward: PortForward,
    _istiod: Istiod,
    registry: Registry,
    kubernetes: Kubernetes,
    directory: TempDir,
}

impl Cluster {
    /// Starts Kubernetes and that line of Istio, and waits until both serve.
    pub async fn start(line: IstioLine) -> Result<Self> {
        let tools = Tools::of(line)?;
        let directory = TempDir::with_prefix("skew-guard-cluster-")?;
        let registry = Registry::start(REGISTRY, directory.path()).await?;
        say_that_the_registry_has_no_tls(directory.path())?;
        let kubernetes = Kubernetes::start(&tools, directory.path()).await?;
        let port_forward = PortForward::start(kubernetes.api(), directory.path()).await?;
        let istiod = istio::start(&tools, &kubernetes, directory.path()).await?;
        let programs = HashMap::from([(APPLICATION_IMAGE.to_owned(), pods::application()?)]);
        let kubelet = Kubelet::start(kubernetes.api(), programs).await?;
        Ok(Self {
            line,
            tools,
            kubelet,
            _port_forward: port_forward,
            _istiod: istiod,
            registry,
            kubernetes,
            directory,
        })
    }

    /// Its line of Istio.
    pub fn line(&self) -> IstioLine {
        self.line
    }

    /// Its Kubernetes.
    pub fn kubernetes(&self) -> &Kubernetes {
        &self.kubernetes
    }

    /// Gives the whole mesh these settings, with Istio's defaults for all others.
    pub fn configure_mesh(&self, settings: Value) -> Result<()> {
        istio::configure(self.directory.path(), settings)?;
        Ok(())
    }

    /// Starts a gateway without state from an earlier one, as a new Pod would.
    pub async fn start_gateway(&self, name: GatewayName) -> Result<Gateway> {
        self.start_gateway_in(GATEWAY_NAMESPACE, name).await
    }

    /// The same outside Istio's own namespace.
    pub async fn start_gateway_in(&self, namespace: &str, name: GatewayName) -> Result<Gateway> {
        Gateway::start(&self.tools, self.kubernetes.api(), namespace, name).await
    }

    /// Starts a caller's proxy in that namespace, which asks for services of that port. The namespace is created.
    pub async fn start_sidecar(&self, namespace: &str, port: u16) -> Result<Sidecar> {
        self.kubernetes.create_namespace(namespace).await?;
        for resource in Sidecar::resources(namespace, port) {
            self.kubernetes.apply(&resource).await?;
        }
        Sidecar::start(&self.tools, self.kubernetes.api(), namespace, port).await
    }

    /// Publishes a module in the cluster's registry.
    pub fn push_image(&self, module: &[u8], repository: &str, tag: &str) -> Result<Image> {
        self.registry.push(module, repository, tag)
    }

    /// Runs `helm` as a user would, and returns what it printed.
    pub async fn helm<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        let mut command = self.user_command(&self.tools.helm());
        command.args(arguments);
        output(command).await
    }

    /// What the line's `istioctl analyze` finds in a namespace. Findings are not an error.
    pub async fn analyze(&self, namespace: &str) -> Result<Vec<Value>> {
        let mut command = self.user_command(&self.tools.istio("istioctl"));
        command.args(["analyze", "--namespace", namespace, "--output", "json"]);
        let output = command.output().await.context("running istioctl")?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "istioctl ended with {}:\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// Runs a script of commands in a folder, as a user would with `kubectl`, `helm` and that tool on the PATH.
    pub async fn shell(&self, script: &str, folder: &Path, tool: &Path) -> Result<String> {
        let mut command = self.user_command(Path::new("bash"));
        let path = self.path_with(tool)?;
        command
            .args(["-euo", "pipefail", "-c", script])
            .env("PATH", path)
            .current_dir(folder);
        output(command).await
    }

    /// Runs that program as a user would with `kubectl` and `helm` on the PATH, however it ends.
    pub async fn run(&self, program: &Path, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(program)?;
        command.args(arguments);
        command
            .output()
            .await
            .with_context(|| format!("running {}", program.display()))
    }

    /// That program, to be run as a user would with `kubectl` and `helm` on the PATH.
    pub fn command(&self, program: &Path) -> Result<tokio::process::Command> {
        let mut command = self.user_command(program);
        command.env("PATH", self.path_with(program)?);
        Ok(command)
    }

    /// The PATH of a user of that program.
    fn path_with(&self, program: &Path) -> Result<OsString> {
        let programs = [
            self.tools.kubernetes("kubectl"),
            self.tools.helm(),
            program.to_owned(),
        ];
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let folders = programs
            .iter()
            .filter_map(|program| program.parent().map(Path::to_owned));
        Ok(std::env::join_paths(
            folders.chain(std::env::split_paths(&inherited)),
        )?)
    }

    /// Where the programs find the cluster, and nothing of the user who runs this.
    fn user_command(&self, program: &Path) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(program);
        command
            .env("KUBECONFIG", self.kubernetes.kubeconfig())
            .env("HOME", self.directory.path());
        for place in ["CACHE", "CONFIG", "DATA"] {
            command.env(
                format!("HELM_{place}_HOME"),
                self.directory.path().join("helm").join(place),
            );
        }
        command
    }

    /// Kills the process of a Pod (`namespace/name`) without notice to anyone, as a crash does, and waits until another
    /// runs in its place.
    pub async fn crash_pod(&self, pod: &str) -> Result<()> {
        let id = self
            .kubelet
            .process_id(pod)
            .with_context(|| format!("no process of Pod {pod}"))?;
        let process = i32::try_from(id).ok().and_then(Pid::from_raw);
        kill_process(process.context("an invalid process id")?, Signal::KILL)?;
        wait::until(&format!("Pod {pod} to be started again"), async || {
            Ok(self.kubelet.process_id(pod).is_some_and(|next| next != id))
        })
        .await
    }
}

/// For a user's skopeo, which looks for that in the home directory.
fn say_that_the_registry_has_no_tls(home: &Path) -> Result<()> {
    let folder = home.join(".config/containers");
    fs::create_dir_all(&folder)?;
    let settings = format!("[[registry]]\nlocation = \"{REGISTRY}\"\ninsecure = true\n");
    fs::write(folder.join("registries.conf"), settings)?;
    Ok(())
}

/// What a command printed; if it failed, an error with its complaint.
async fn output(mut command: tokio::process::Command) -> Result<String> {
    let what = format!("{:?}", command.as_std());
    let output = command
        .output()
        .await
        .with_context(|| format!("running {what}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{what} ended with {}:\n{problem}{printed}",
        output.status
    );
    Ok(printed.into_owned())
}
