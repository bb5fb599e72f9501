//! A caller's sidecar inside the mesh, without the caller: whoever asks the proxy is the caller.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::Api;
use super::istio;
use super::registered_pod::RegisteredPod;
use super::tools::Tools;
use super::workload::Workload;
use crate::http;
use crate::process::Process;

/// Its Pod's.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 254, 1);

/// The name of its Pod, and the value of its `app` label.
const NAME: &str = "caller";

/// A running sidecar; dropping it ends it at once.
#[derive(Debug)]
pub struct Sidecar {
    agent: Process,
    port: u16,
    _pod: RegisteredPod,
    _directory: TempDir,
}

impl Sidecar {
    /// The label of its Pod.
    pub fn labels() -> Value {
        json!({ "app": NAME })
    }

    /// Makes it listen on that port for services of that port: no traffic is redirected here, so it must be
    /// asked directly. It has no certificate to serve others with.
    pub fn resources(namespace: &str, port: u16) -> [Value; 2] {
        let metadata = json!({ "name": NAME, "namespace": namespace });
        [
            json!({
                "apiVersion": "networking.istio.io/v1",
                "kind": "Sidecar",
                "metadata": metadata,
                "spec": {
                    "workloadSelector": { "labels": Self::labels() },
                    "egress": [{
                        "bind": Ipv4Addr::LOCALHOST.to_string(),
                        "port": { "number": port, "protocol": "HTTP", "name": "http" },
                        "captureMode": "NONE",
                        "hosts": ["*/*"],
                    }],
                },
            }),
            json!({
                "apiVersion": "security.istio.io/v1",
                "kind": "PeerAuthentication",
                "metadata": metadata,
                "spec": { "mtls": { "mode": "DISABLE" } },
            }),
        ]
    }

    /// Starts it in a namespace that has those resources.
    pub(super) async fn start(
        tools: &Tools,
        api: &Api,
        namespace: &str,
        port: u16,
    ) -> Result<Self> {
        let directory = TempDir::with_prefix("skew-guard-sidecar-")?;
        let labels = Self::labels();
        let pod = RegisteredPod::register(api, namespace, NAME, &labels, ADDRESS).await?;
        let workload = Workload {
            role: "sidecar",
            name: NAME,
            namespace,
            labels: &labels,
            address: ADDRESS,
            shift: 2_000,
        };
        let command = workload.agent(tools, directory.path(), istio::DISCOVERY)?;
        let mut agent = Process::start("sidecar", command)?;
        let ready = format!("http://{}/ready", workload.admin());
        let http = http::client()?;
        agent
            .serving(async || Ok(http.get(&ready).send().await?.status().is_success()))
            .await?;
        pod.say_ready(true).await?;
        Ok(Self {
            agent,
            port,
            _pod: pod,
            _directory: directory,
        })
    }

    /// Where its caller sends requests for services.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Everything that the agent and Envoy printed.
    pub fn log(&self) -> String {
        self.agent.log()
    }
}
