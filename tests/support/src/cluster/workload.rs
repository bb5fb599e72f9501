//! Real Envoy under Istio's real agent, as in a gateway's Pod or beside a caller.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::tools::Tools;
use super::{isolation, istio};
use crate::envoy;

/// A Pod with a proxy, as described to the proxy.
pub(super) struct Workload<'a> {
    /// `router` or `sidecar`.
    pub(super) role: &'static str,
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    pub(super) labels: &'a Value,
    pub(super) address: Ipv4Addr,
    /// The offset of ports that a Pod would have to itself: all are on one network.
    pub(super) shift: u16,
}

impl Workload<'_> {
    /// Its agent, which learns from istiod there.
    pub(super) fn agent(
        &self,
        tools: &Tools,
        directory: &Path,
        discovery: SocketAddr,
    ) -> Result<Command> {
        let Self {
            namespace, shift, ..
        } = self;
        let binary = mortal_envoy(directory)?;
        let mut command = isolation::with_own_state(tools.istio("pilot-agent").as_os_str());
        command
            .current_dir(directory)
            .args([
                "proxy",
                self.role,
                "--domain",
                &format!("{namespace}.svc.cluster.local"),
                "--concurrency",
                "2",
            ])
            .args([
                "--proxyLogLevel",
                "warning",
                "--proxyComponentLogLevel",
                "wasm:info",
            ])
            .env(
                "PROXY_CONFIG",
                self.proxy_config(tools, &binary, discovery).to_string(),
            )
            .env("ISTIO_METAJSON_LABELS", self.labels.to_string())
            .env("INSTANCE_IP", self.address.to_string())
            // Plain text only on the port that says so; nothing here needs a certificate.
            .env("CA_ADDR", istio::DISCOVERY.to_string())
            .env("ENVOY_STATUS_PORT", (15_021 + shift).to_string())
            .env("ENVOY_PROMETHEUS_PORT", (15_190 + shift).to_string())
            .env(
                "PROXY_XDS_DEBUG_VIA_AGENT_PORT",
                (15_004 + shift).to_string(),
            )
            .envs([
                ("POD_NAME", self.name),
                ("POD_NAMESPACE", namespace),
                ("ISTIO_META_CLUSTER_ID", "Kubernetes"),
                ("ISTIO_META_UNPRIVILEGED_POD", "true"),
                ("CREDENTIAL_FETCHER_TYPE", ""),
                ("WASM_INSECURE_REGISTRIES", "*"),
                ("CLOUD_PLATFORM", "none"),
            ]);
        Ok(command)
    }

    /// Where Envoy's admin interface is.
    pub(super) fn admin(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 15_000 + self.shift))
    }

    fn proxy_config(&self, tools: &Tools, envoy: &Path, discovery: SocketAddr) -> Value {
        json!({
            "binaryPath": envoy,
            "configPath": "./etc/istio/proxy",
            "proxyBootstrapTemplatePath": tools.istio("envoy_bootstrap.json"),
            "discoveryAddress": discovery.to_string(),
            "controlPlaneAuthPolicy": "NONE",
            "proxyAdminPort": self.admin().port(),
            "statusPort": 15_120 + self.shift,
            "terminationDrainDuration": "1s",
            "extraStatTags": ["release", "outcome", "class", "answer", "plugin"],
        })
    }
}

/// Envoy in a script that makes the kernel kill it with its agent: nothing else would if the agent is killed.
fn mortal_envoy(directory: &Path) -> Result<PathBuf> {
    let script = directory.join("envoy");
    let envoy = envoy::installed()?;
    fs::write(
        &script,
        format!(
            "#!/bin/sh\nexec setpriv --pdeathsig KILL -- '{}' \"$@\"\n",
            envoy.display()
        ),
    )?;
    fs::set_permissions(&script, Permissions::from_mode(0o755))?;
    Ok(script)
}
