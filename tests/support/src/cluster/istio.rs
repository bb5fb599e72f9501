//! Istio's own control plane: its resource definitions and istiod.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::kubernetes::Kubernetes;
use super::registered_pod::RegisteredPod;
use super::tools::Tools;
use crate::http;
use crate::process::Process;

/// Where istiod answers its proxies.
pub(super) const DISCOVERY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 15_010);

/// Where istiod shows its metrics, and its Pod's address.
const MONITORING: u16 = 15_014;
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 253, 1);

/// The running istiod, and the Pod that Kubernetes knows it by.
#[derive(Debug)]
pub(super) struct Istiod {
    _process: Process,
    _pod: RegisteredPod,
}

/// Applies the resource definitions and starts istiod.
pub(super) async fn start(
    tools: &Tools,
    kubernetes: &Kubernetes,
    directory: &Path,
) -> Result<Istiod> {
    kubernetes
        .apply_file(&tools.istio("crd-all.gen.yaml"))
        .await?;
    kubernetes.create_namespace("istio-system").await?;
    let mesh = configure(directory, json!({}))?;
    let mut istiod = start_istiod(tools, kubernetes, &mesh)?;
    let client = http::client()?;
    istiod
        .serving(async || {
            Ok(client
                .get("http://127.0.0.1:15080/ready")
                .send()
                .await?
                .status()
                .is_success())
        })
        .await?;
    let labels = json!({ "app": "istiod" });
    let pod = RegisteredPod::register(kubernetes.api(), "istio-system", "istiod", &labels, ADDRESS)
        .await?;
    pod.say_ready(true).await?;
    Ok(Istiod {
        _process: istiod,
        _pod: pod,
    })
}

/// Writes the mesh's configuration, which a running istiod reloads.
pub(super) fn configure(directory: &Path, mut settings: Value) -> Result<PathBuf> {
    let object = settings.as_object_mut().context("settings are an object")?;
    object.insert("enableAutoMtls".to_owned(), json!(false));
    let mesh = directory.join("mesh.json");
    fs::write(&mesh, serde_json::to_vec(&settings)?)?;
    Ok(mesh)
}

/// Certificates, injection and validation need webhooks in the cluster, and the two omitted filters exist only in
/// Istio's own build of Envoy.
fn start_istiod(tools: &Tools, kubernetes: &Kubernetes, mesh: &Path) -> Result<Process> {
    let mut istiod = Command::new(tools.istio("pilot-discovery"));
    istiod
        .arg("discovery")
        .arg("--kubeconfig")
        .arg(kubernetes.kubeconfig())
        .arg("--meshConfig")
        .arg(mesh)
        .args([
            "--grpcAddr",
            &DISCOVERY.to_string(),
            "--httpAddr",
            "127.0.0.1:15080",
        ])
        .args([
            "--httpsAddr",
            "",
            "--secureGRPCAddr",
            "",
            "--monitoringAddr",
            &format!("{ADDRESS}:{MONITORING}"),
            "--ctrlz_port",
            "0",
        ])
        .envs([
            ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
            ("PILOT_ENABLE_ALPN_FILTER", "false"),
            ("ENABLE_CA_SERVER", "false"),
            ("PILOT_CERT_PROVIDER", "none"),
            ("VALIDATION_WEBHOOK_CONFIG_NAME", ""),
            ("INJECTION_WEBHOOK_CONFIG_NAME", ""),
            ("POD_NAME", "istiod"),
            ("POD_NAMESPACE", "istio-system"),
            ("CLOUD_PLATFORM", "none"),
        ]);
    Process::start("istiod", istiod)
}
