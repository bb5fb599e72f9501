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

/// The controllers that a Deployment's rolling update needs; the others would only waste processor time.
const CONTROLLERS: &str = "deployment-controller,replicaset-controller,endpointslice-controller,garbage-collector-controller,namespace-controller";

/// The administrator's token: the API server listens in the cluster's own network namespace only.
const TOKEN: &str = "administrator";

/// The audit log, in which the API server records requests of users.
const AUDIT: &str = "audit.log";

/// A user whose only rights are those that a test gives it, and whose requests the API server records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Runs `deploy` and similar commands.
    Deployer,
    /// Runs `status`, `wait` and `probe`.
    Observer,
    /// Runs `check --cluster`.
    Checker,
}

impl User {
    const ALL: [Self; 3] = [Self::Deployer, Self::Observer, Self::Checker];

    /// The name of the service account, which is also its token.
    fn account(self) -> &'static str {
        match self {
            Self::Deployer => "deployer",
            Self::Observer => "observer",
            Self::Checker => "checker",
        }
    }

    /// Its name in Kubernetes: all users are in one namespace.
    fn name(self) -> String {
        format!("system:serviceaccount:rights:{}", self.account())
    }
}

/// A running control plane.
#[derive(Debug)]
pub struct Kubernetes {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    directory: PathBuf,
    api: Api,
    // Dropped in this order.
    _processes: [Process; 4],
}

impl Kubernetes {
    /// Starts it, with its files in that directory, and waits until it answers.
    pub(super) async fn start(tools: &Tools, directory: &Path) -> Result<Self> {
        write_credentials(directory)?;
        let kubeconfig = write_kubeconfig(directory, "administrator", TOKEN)?;
        for user in User::ALL {
            write_kubeconfig(directory, user.account(), user.account())?;
        }
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
            directory: directory.to_owned(),
            api,
            _processes: [controllers, doorkeeper, apiserver, etcd],
        })
    }

    /// The API, for the work of a node.
    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    /// The kubeconfig by which `kubectl`, `helm` and `istioctl` find the cluster.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// That user's kubeconfig.
    pub fn kubeconfig_of(&self, user: User) -> PathBuf {
        kubeconfig_in(&self.directory, user.account())
    }

    /// That user's requests so far: the API server's own audit events.
    pub fn audit(&self, user: User) -> Result<Vec<Value>> {
        let log = fs::read_to_string(self.directory.join(AUDIT)).context("the audit log")?;
        let events = log.lines().map(serde_json::from_str::<Value>);
        let events: Vec<_> = events.collect::<Result<_, _>>().context("an audit event")?;
        let is_of_user = |event: &Value| {
            let name = event.pointer("/user/username").and_then(Value::as_str);
            name == Some(&user.name())
        };
        Ok(events.into_iter().filter(is_of_user).collect())
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

    /// Creates a namespace, unless there is one of that name.
    pub async fn create_namespace(&self, name: &str) -> Result<()> {
        // Explicit, so that Istio's analysis does not ask for it.
        let metadata = json!({ "name": name, "labels": { "istio-injection": "disabled" } });
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
        self.apply(&namespace).await
    }

    /// Removes a namespace and everything in it, without waiting.
    pub async fn delete_namespace(&self, name: &str) -> Result<()> {
        self.kubectl(["delete", "namespace", name, "--wait=false"])
            .await?;
        Ok(())
    }

    /// Removes an object.
    pub async fn delete(&self, namespace: &str, kind: &str, name: &str) -> Result<()> {
        self.kubectl(["--namespace", namespace, "delete", kind, name])
            .await?;
        Ok(())
    }
}

/// Writes the tokens, the audit policy, and the key that signs service accounts' tokens.
fn write_credentials(directory: &Path) -> Result<()> {
    let administrator = format!("{TOKEN},administrator,administrator,\"system:masters\"\n");
    let users = User::ALL.map(|user| format!("{0},{1},{0}\n", user.account(), user.name()));
    let tokens = format!("{administrator}{}", users.concat());
    fs::write(directory.join("tokens.csv"), tokens)?;
    fs::write(directory.join("audit.json"), audit_policy().to_string())?;
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
    Ok(())
}

/// Every request of a [`User`] is recorded, and no others.
fn audit_policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{ "level": "Metadata", "users": User::ALL.map(User::name) }, { "level": "None" }],
    })
}

fn write_kubeconfig(directory: &Path, user: &str, token: &str) -> Result<PathBuf> {
    let kubeconfig = kubeconfig_in(directory, user);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "lab",
            "cluster": { "server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": true },
        }],
        "users": [{ "name": user, "user": { "token": token } }],
        "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": user } }],
        "current-context": "lab",
    });
    fs::write(&kubeconfig, serde_json::to_vec_pretty(&config)?)?;
    Ok(kubeconfig)
}

fn kubeconfig_in(directory: &Path, user: &str) -> PathBuf {
    directory.join(format!("{user}.json"))
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
        .arg(flag("--audit-policy-file", &directory.join("audit.json")))
        .arg(flag("--audit-log-path", &directory.join(AUDIT)))
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

/// Opens the API to this process over plain HTTP, and adds the administrator's token on the way.
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
