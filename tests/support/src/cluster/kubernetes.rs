//! Kubernetes' own control plane: etcd, API server and controllers. A scheduler is not needed for one node, and the
//! kubelet is in [`super::kubelet`].

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::api::Api;
use super::tools::Tools;
use crate::process::Process;

/// What a Deployment's rolling update needs; the rest of the controllers would only take the processor's time.
const CONTROLLERS: &str = "deployment-controller,replicaset-controller,endpointslice-controller,garbage-collector-controller,namespace-controller";

/// The administrator's token: the API server listens in the cluster's own network namespace only.
const TOKEN: &str = "administrator";

/// A running control plane.
#[derive(Debug)]
pub struct Kubernetes {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    api: Api,
    // Ended in this order.
    _processes: [Process; 4],
}

impl Kubernetes {
    /// Starts it, with its files in that directory, and waits until it answers.
    pub(super) async fn start(tools: &Tools, directory: &Path) -> Result<Self> {
        let kubeconfig = write_credentials(directory)?;
        let etcd = start_etcd(tools, directory)?;
        let mut apiserver = start_apiserver(tools, directory)?;
        let mut doorkeeper = start_doorkeeper(tools, &kubeconfig)?;
        let api = Api::at("http://127.0.0.1:8001")?;
        apiserver
            .serving(async || {
                doorkeeper.check_running()?;
                Ok(api.get("/api/v1/namespaces/default").await.is_ok())
            })
            .await?;
        let controllers = start_controllers(tools, &kubeconfig)?;
        let kubectl = tools.kubernetes("kubectl");
        Ok(Self {
            kubectl,
            kubeconfig,
            api,
            _processes: [controllers, doorkeeper, apiserver, etcd],
        })
    }

    /// The API, for what a node does.
    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    /// The file that `kubectl`, `helm` and `istioctl` find the cluster by.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs `kubectl` as a user would, and returns what it printed.
    pub async fn kubectl<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        let mut command = tokio::process::Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments);
        super::output(command).await
    }

    /// Creates or changes an object, as `kubectl apply --server-side` does.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), serde_json::to_vec(object)?)?;
        self.apply_file(file.path()).await
    }

    /// The same for a file of manifests.
    pub async fn apply_file(&self, file: &Path) -> Result<()> {
        let arguments =
            ["apply", "--server-side", "--force-conflicts", "--filename"].map(OsStr::new);
        self.kubectl(arguments.into_iter().chain([file.as_os_str()]))
            .await?;
        Ok(())
    }
}

/// Writes the administrator's token, the key that signs service accounts' tokens, and the kubeconfig.
fn write_credentials(directory: &Path) -> Result<PathBuf> {
    fs::write(
        directory.join("tokens.csv"),
        format!("{TOKEN},administrator,administrator,\"system:masters\"\n"),
    )?;
    let key = Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
        ])
        .arg(directory.join("service-accounts.key"))
        .output()
        .context("running openssl")?;
    ensure!(
        key.status.success(),
        "openssl: {}",
        String::from_utf8_lossy(&key.stderr)
    );
    let kubeconfig = directory.join("kubeconfig.json");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "lab",
            "cluster": { "server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": true },
        }],
        "users": [{ "name": "administrator", "user": { "token": TOKEN } }],
        "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": "administrator" } }],
        "current-context": "lab",
    });
    fs::write(&kubeconfig, serde_json::to_vec_pretty(&config)?)?;
    Ok(kubeconfig)
}

fn start_etcd(tools: &Tools, directory: &Path) -> Result<Process> {
    let mut etcd = Command::new(tools.debian("etcd"));
    etcd.arg("--data-dir").arg(directory.join("etcd")).args([
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
    ]);
    Process::start("etcd", etcd)
}

fn start_apiserver(tools: &Tools, directory: &Path) -> Result<Process> {
    let mut apiserver = Command::new(tools.kubernetes("kube-apiserver"));
    apiserver
        .arg(flag("--cert-dir", &directory.join("certificates")))
        .arg(flag("--token-auth-file", &directory.join("tokens.csv")))
        .arg(flag(
            "--service-account-key-file",
            &directory.join("service-accounts.key"),
        ))
        .arg(flag(
            "--service-account-signing-key-file",
            &directory.join("service-accounts.key"),
        ))
        .args([
            "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=127.0.0.1",
            "--advertise-address=10.244.0.1",
            "--secure-port=6443",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            "--endpoint-reconciler-type=none",
            "--disable-admission-plugins=ServiceAccount",
        ]);
    Process::start("kube-apiserver", apiserver)
}

/// Opens the API to this process over plain HTTP, with the administrator's token added on the way.
fn start_doorkeeper(tools: &Tools, kubeconfig: &Path) -> Result<Process> {
    let mut proxy = Command::new(tools.kubernetes("kubectl"));
    proxy
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["proxy", "--address=127.0.0.1", "--port=8001"]);
    Process::start("kubectl proxy", proxy)
}

fn start_controllers(tools: &Tools, kubeconfig: &Path) -> Result<Process> {
    let mut controllers = Command::new(tools.kubernetes("kube-controller-manager"));
    controllers
        .arg(flag("--kubeconfig", kubeconfig))
        .arg(format!("--controllers={CONTROLLERS}"))
        .args(["--leader-elect=false", "--secure-port=0"]);
    Process::start("kube-controller-manager", controllers)
}

fn flag(name: &str, value: &Path) -> String {
    format!("{name}={}", value.display())
}
