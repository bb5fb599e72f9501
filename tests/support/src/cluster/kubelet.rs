//! A node without containers: for each Pod bound to it, one process of the program that its image names.
//!
//! It does what a rolling update needs from a kubelet: an address for each Pod, readiness by the Pod's
//! probe, a restart when the process dies, and on deletion first the `preStop` wait, then SIGTERM, then, when the
//! grace period is over, SIGKILL.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::api::{Api, Change, ChangeKind};
use crate::http;
use crate::process::Process;

/// The only node; a Pod's template names it, so no scheduler is needed.
pub const NODE: &str = "node";

/// How soon a dead container is restarted. In Kubernetes the first restart has no delay, later ones do.
const RESTART_DELAY: Duration = Duration::from_secs(2);

/// How often a process is checked.
const PROBE_PERIOD: Duration = Duration::from_millis(50);

/// The parts of a Pod that the node reads.
#[derive(Debug, Clone, Deserialize)]
struct Pod {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    deletion_timestamp: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    containers: Vec<Container>,
    termination_grace_period_seconds: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    image: String,
    #[serde(default)]
    args: Vec<String>,
    readiness_probe: Probe,
    #[serde(default)]
    lifecycle: Lifecycle,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    http_get: HttpGet,
}

#[derive(Debug, Clone, Deserialize)]
struct HttpGet {
    path: String,
    port: u16,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lifecycle {
    pre_stop: Option<PreStop>,
}

#[derive(Debug, Clone, Deserialize)]
struct PreStop {
    sleep: Sleep,
}

#[derive(Debug, Clone, Deserialize)]
struct Sleep {
    seconds: u64,
}

/// The running node. Dropping it ends every process of its Pods.
#[derive(Debug)]
pub(super) struct Kubelet {
    pods: Pods,
    watcher: JoinHandle<()>,
}

type Pods = Arc<Mutex<HashMap<String, Sandbox>>>;

/// One Pod as the node knows it.
#[derive(Debug)]
struct Sandbox {
    key: String,
    deleted: watch::Sender<bool>,
    process_id: watch::Receiver<Option<u32>>,
    keeper: JoinHandle<()>,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.watcher.abort();
        lock(&self.pods).clear();
    }
}

impl Kubelet {
    /// Registers the node, and then runs the Pods that are bound to it. `programs` says which program an
    /// image's name stands for.
    pub(super) async fn start(api: &Api, programs: HashMap<String, PathBuf>) -> Result<Self> {
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE } });
        api.create("/api/v1/nodes", &node).await?;
        let pods = Pods::default();
        let node = Node {
            api: api.clone(),
            programs: Arc::new(programs),
            pods: Arc::clone(&pods),
        };
        Ok(Self {
            pods,
            watcher: tokio::spawn(node.run()),
        })
    }

    /// The process of a Pod, `namespace/name`.
    pub(super) fn process_id(&self, pod: &str) -> Option<u32> {
        let pods = lock(&self.pods);
        let sandbox = pods.values().find(|sandbox| sandbox.key == pod)?;
        *sandbox.process_id.borrow()
    }
}

struct Node {
    api: Api,
    programs: Arc<HashMap<String, PathBuf>>,
    pods: Pods,
}

impl Node {
    async fn run(self) {
        // The first addresses are the network's own.
        let mut addresses = (2..u16::MAX).map(|number| {
            let [third, fourth] = number.to_be_bytes();
            Ipv4Addr::new(10, 244, third, fourth)
        });
        loop {
            if let Err(error) = self.follow(&mut addresses).await {
                eprintln!("node: {error:#}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Follows the Pods of this node until the API server ends the watch.
    async fn follow(&self, addresses: &mut impl Iterator<Item = Ipv4Addr>) -> Result<()> {
        let mut changes = self
            .api
            .watch(&format!(
                "/api/v1/pods?fieldSelector=spec.nodeName%3D{NODE}"
            ))
            .await?;
        while let Some(Change { kind, object }) = changes.next().await? {
            match kind {
                ChangeKind::Added | ChangeKind::Modified => {
                    self.keep(serde_json::from_value(object)?, addresses)?
                }
                ChangeKind::Deleted => self.forget(&serde_json::from_value(object)?),
                ChangeKind::Bookmark => {}
                ChangeKind::Error => anyhow::bail!("the watch of Pods: {object}"),
            }
        }
        Ok(())
    }

    fn keep(&self, pod: Pod, addresses: &mut impl Iterator<Item = Ipv4Addr>) -> Result<()> {
        let deleted = pod.metadata.deletion_timestamp.is_some();
        let mut pods = lock(&self.pods);
        if let Some(sandbox) = pods.get(&pod.metadata.uid) {
            sandbox.deleted.send_replace(deleted);
            return Ok(());
        }
        let uid = pod.metadata.uid.clone();
        let key = format!("{}/{}", pod.metadata.namespace, pod.metadata.name);
        let (deletion, deleted) = watch::channel(deleted);
        let (process_ids, process_id) = watch::channel(None);
        let address = addresses.next().context("no address is left for a Pod")?;
        let keeper = Keeper {
            pod,
            address,
            api: self.api.clone(),
            programs: Arc::clone(&self.programs),
            process_ids,
        };
        let keeper = tokio::spawn(keeper.run(deleted));
        pods.insert(
            uid,
            Sandbox {
                key,
                deleted: deletion,
                process_id,
                keeper,
            },
        );
        Ok(())
    }

    fn forget(&self, pod: &Pod) {
        lock(&self.pods).remove(&pod.metadata.uid);
    }
}

/// Keeps one Pod's process running until the Pod is deleted.
struct Keeper {
    pod: Pod,
    address: Ipv4Addr,
    api: Api,
    programs: Arc<HashMap<String, PathBuf>>,
    process_ids: watch::Sender<Option<u32>>,
}

impl Keeper {
    async fn run(self, deleted: watch::Receiver<bool>) {
        if let Err(error) = self.live_and_end(deleted).await {
            eprintln!(
                "node: Pod {}/{}: {error:#}",
                self.pod.metadata.namespace, self.pod.metadata.name
            );
        }
    }

    async fn live_and_end(&self, mut deleted: watch::Receiver<bool>) -> Result<()> {
        let container = self
            .pod
            .spec
            .containers
            .first()
            .context("the Pod has no container")?;
        loop {
            let mut process = self.start_container(container)?;
            self.process_ids.send_replace(Some(process.id()));
            tokio::select! {
                outcome = self.run_until_death(container, &mut process) => outcome?,
                () = deletion(&mut deleted) => return self.end(container, process).await,
            }
            self.process_ids.send_replace(None);
            self.say_ready(false).await?;
            tokio::select! {
                () = tokio::time::sleep(RESTART_DELAY) => {}
                () = deletion(&mut deleted) => return self.remove().await,
            }
        }
    }

    fn start_container(&self, container: &Container) -> Result<Process> {
        let program = self.programs.get(&container.image);
        let mut command =
            Command::new(program.with_context(|| format!("no image {}", container.image))?);
        command.args(container.args.iter().map(|argument| self.expand(argument)));
        Process::start(&self.pod.metadata.name, command)
    }

    /// What the kubelet does with variables that the template takes from the Pod's own fields.
    fn expand(&self, argument: &str) -> String {
        argument
            .replace("$(POD_IP)", &self.address.to_string())
            .replace("$(POD_NAME)", &self.pod.metadata.name)
    }

    /// Reports when the process is ready; returns when it has ended.
    async fn run_until_death(&self, container: &Container, process: &mut Process) -> Result<()> {
        let probe = &container.readiness_probe.http_get;
        let url = format!("http://{}:{}{}", self.address, probe.port, probe.path);
        let client = http::client()?;
        let mut ready = false;
        while process.ended()?.is_none() {
            if !ready
                && client
                    .get(&url)
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status().is_success())
            {
                ready = true;
                self.say_ready(true).await?;
            }
            tokio::time::sleep(PROBE_PERIOD).await;
        }
        Ok(())
    }

    async fn say_ready(&self, ready: bool) -> Result<()> {
        let status = if ready { "True" } else { "False" };
        let now = OffsetDateTime::now_utc().format(&Rfc3339)?;
        let condition =
            |kind: &str| json!({ "type": kind, "status": status, "lastTransitionTime": now });
        let address = self.address.to_string();
        let patch = json!({ "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{ "ip": address }],
            "conditions": [condition("Ready"), condition("ContainersReady")],
        }});
        self.api
            .merge(&format!("{}/status", self.path()), &patch)
            .await
    }

    async fn end(&self, container: &Container, mut process: Process) -> Result<()> {
        if let Some(hook) = &container.lifecycle.pre_stop {
            tokio::time::sleep(Duration::from_secs(hook.sleep.seconds)).await;
        }
        let grace = Duration::from_secs(self.pod.spec.termination_grace_period_seconds);
        process.stop(grace).await?;
        self.process_ids.send_replace(None);
        self.remove().await
    }

    async fn remove(&self) -> Result<()> {
        let options =
            json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": self.pod.metadata.uid } });
        self.api.delete(&self.path(), &options).await
    }

    fn path(&self) -> String {
        format!(
            "/api/v1/namespaces/{}/pods/{}",
            self.pod.metadata.namespace, self.pod.metadata.name
        )
    }
}

/// Returns when the Pod should end; never, if nobody can say so any more.
async fn deletion(deleted: &mut watch::Receiver<bool>) {
    if deleted.wait_for(|deleted| *deleted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn lock(pods: &Pods) -> std::sync::MutexGuard<'_, HashMap<String, Sandbox>> {
    pods.lock().unwrap_or_else(PoisonError::into_inner)
}
