//! Both releases side by side behind `envoy/envoy.yaml`, to try things out.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};
use skew_guard_lab::pods::{Pod, Role};
use skew_guard_lab::process::Process;
use skew_guard_lab::{envoy, http, module, wait};
use tokio::signal;

use crate::site::{NEW, OLD, PODS, pod_name};

/// Where `envoy/envoy.yaml` listens.
const GATEWAY: &str = "http://127.0.0.1:10000";
const ADMIN: &str = "http://127.0.0.1:9901";

/// The ports before those of each release's pods in `envoy/endpoints`.
const PORTS: [(&str, u16); 2] = [(OLD, 8100), (NEW, 8200)];

/// Starts everything as the file says, prints what to try, and ends it all on Ctrl-C.
pub async fn run() -> Result<ExitCode> {
    module::path()?;
    // Pods end with the value that holds them.
    let _pods = start_pods().await?;
    let mut gateway = start_gateway().await?;
    println!("{}", invitation());
    tokio::select! {
        interrupted = signal::ctrl_c() => interrupted.context("waiting for Ctrl-C")?,
        ended = until_it_ends(&mut gateway) => ended?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn start_pods() -> Result<Vec<Pod>> {
    let mut pods = Vec::new();
    for (version, ports) in PORTS {
        for (number, port) in (1..=PODS).zip(ports + 1..) {
            let listen = ([127, 0, 0, 1], port).into();
            pods.push(Pod::start_on(Role::All, version, &pod_name(version, number), listen).await?);
        }
    }
    Ok(pods)
}

/// The file is used unchanged, from the folder that its paths are relative to.
async fn start_gateway() -> Result<Process> {
    let mut command = Command::new(envoy::installed()?);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--config-path", "envoy/envoy.yaml"])
        .args([
            "--disable-hot-restart",
            "--log-level",
            "warning",
            "--component-log-level",
            "wasm:info",
        ]);
    let mut gateway = Process::start("envoy", command)?;
    let client = http::client()?;
    wait::until("Envoy to be ready", async || {
        if gateway.ended()?.is_some() {
            return Ok(true);
        }
        Ok(client
            .get(format!("{ADMIN}/ready"))
            .send()
            .await?
            .status()
            .is_success())
    })
    .await?;
    gateway.check_running()?;
    Ok(gateway)
}

async fn until_it_ends(process: &mut Process) -> Result<()> {
    loop {
        process.check_running()?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn invitation() -> String {
    format!(
        "\
The shop, releases {OLD} and {NEW} with {PODS} pods each, is at {GATEWAY}
Envoy's admin interface is at {ADMIN}

Worth trying:
  curl -s {GATEWAY}/api/cart                                  # no version: any pod; repeat it
  curl -s -H 'x-bundle-version: {OLD}' {GATEWAY}/api/cart     # a page of {OLD}: always a pod of {OLD}
  curl -s {ADMIN}/stats/prometheus | grep '^skew_guard'       # what the filter counted

Change the filter's configuration meanwhile, as a file that is moved over envoy/skew-guard.yaml, or the endpoints in
envoy/endpoints. Ctrl-C ends everything."
    )
}
