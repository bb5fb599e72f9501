//! Istio's own control plane: its resource definitions and istiod.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::kubernetes::Kubernetes;
use super::tools::Tools;
use crate::http;
use crate::process::Process;

/// Where istiod answers its proxies.
pub(super) const DISCOVERY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 15_010);

/// Applies the resource definitions and starts istiod.
pub(super) async fn start(
    tools: &Tools,
    kubernetes: &Kubernetes,
    directory: &Path,
) -> Result<Process> {
    kubernetes
        .apply_file(&tools.istio("crd-all.gen.yaml"))
        .await?;
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "istio-system" } });
    kubernetes.apply(&namespace).await?;
    let mesh = directory.join("mesh.json");
    fs::write(
        &mesh,
        serde_json::to_vec(&json!({ "enableAutoMtls": false }))?,
    )?;
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
    Ok(istiod)
}

/// Certificates, injection and validation need webhooks into the cluster, and the two filters left out exist only in
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
            "127.0.0.1:15014",
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
