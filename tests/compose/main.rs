//! `envoy/docker-compose.yaml` as a reader runs it: `docker compose up --wait` with a real engine, and requests
//! through the gateway that it publishes.
//!
//! No image is fetched: the shop's is made from one static binary, and Envoy's from the binary that the other tests
//! use, unless `$ENVOY_IMAGE` names one.

mod docker;
mod gateway_image;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};
use skew_guard_lab::http::{self, RawAnswer};
use skew_guard_lab::registry::Registry;
use skew_guard_lab::{images, module, ports};

use crate::docker::{Docker, Project};

/// Enough to reach every pod that can answer.
const TRIES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn docker_compose_up_gives_every_page_its_own_release() -> Result<()> {
    images::prepare()?;
    let docker = Docker::find_or_start().await?;
    let gateway_image = gateway_image::named_or_made(&docker)?;
    let gateway = ports::free()?;
    let project = Project::up(
        &docker,
        &[
            ("ENVOY_IMAGE", &gateway_image),
            ("GATEWAY_PORT", &gateway.port().to_string()),
        ],
    )?;

    api_calls_of_a_page_reach_both_pods_of_its_release(gateway).await?;
    assets_of_a_page_come_from_its_release(gateway).await?;
    a_forged_route_header_changes_nothing(gateway).await?;
    a_client_without_a_version_reaches_every_release(gateway).await?;
    static_files_and_api_come_from_different_pods(gateway).await?;
    project.down()
}

/// The commands in the compose file, with a registry on loopback.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_in_the_compose_file_extract_the_module_from_a_released_image() -> Result<()> {
    let state = tempfile::tempdir()?;
    let registry = Registry::start(ports::free()?, state.path()).await?;
    let module = fs::read(module::path()?)?;
    registry.push(&module, "skew-guard", "0.1.0")?;
    let docker = Docker::find_or_start().await?;
    let taken = state.path().join("skew_guard.wasm");
    let commands = commands_that_extract_the_module()?;
    ensure!(commands.len() == 3, "create, copy, remove: {commands:?}");
    for command in commands {
        let command = command
            .replace("REGISTRY", &registry.address().to_string())
            .replace("target/compose/skew_guard.wasm", &taken.to_string_lossy());
        docker.run(&command.split(' ').collect::<Vec<_>>())?;
    }
    ensure!(fs::read(taken)? == module, "another module was taken");
    Ok(())
}

/// The `docker` commands in the comments of the compose file that extract the module from an image.
fn commands_that_extract_the_module() -> Result<Vec<String>> {
    let file = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy/docker-compose.yaml"),
    )?;
    let commands = file
        .lines()
        .filter_map(|line| line.strip_prefix("#   docker "));
    Ok(commands
        .filter(|command| command.contains("skew-guard-image"))
        .map(str::to_owned)
        .collect())
}

async fn api_calls_of_a_page_reach_both_pods_of_its_release(gateway: SocketAddr) -> Result<()> {
    for (version, field) in [("1.4.2", "\"price\""), ("2.0.0", "\"amount\"")] {
        let answers = ask(
            gateway,
            "/api/cart",
            &[("x-bundle-version", version.as_bytes())],
        )
        .await?;
        assert_eq!(
            said(&answers, "x-app-version"),
            BTreeSet::from([version.to_owned()])
        );
        assert_eq!(
            said(&answers, "x-pod").len(),
            2,
            "the load is spread over the release's pods"
        );
        assert!(answers.iter().all(|answer| answer.text().contains(field)));
    }
    Ok(())
}

async fn assets_of_a_page_come_from_its_release(gateway: SocketAddr) -> Result<()> {
    for version in ["1.4.2", "2.0.0"] {
        let answers = ask(gateway, &format!("/assets/v-{version}/main.js"), &[]).await?;
        assert_eq!(
            said(&answers, "x-app-version"),
            BTreeSet::from([version.to_owned()])
        );
        assert_eq!(
            said(&answers, "content-type"),
            BTreeSet::from(["text/javascript".to_owned()])
        );
    }
    Ok(())
}

async fn a_forged_route_header_changes_nothing(gateway: SocketAddr) -> Result<()> {
    let headers: [(&str, &[u8]); 3] = [
        ("x-bundle-version", b"1.4.2"),
        ("x-release", b"v2-0-0"),
        ("X-Release", b"v2-0-0"),
    ];
    let answers = ask(gateway, "/api/cart", &headers).await?;
    assert_eq!(
        said(&answers, "x-app-version"),
        BTreeSet::from(["1.4.2".to_owned()])
    );
    Ok(())
}

async fn a_client_without_a_version_reaches_every_release(gateway: SocketAddr) -> Result<()> {
    let answers = ask(gateway, "/api/cart", &[]).await?;
    assert_eq!(said(&answers, "x-app-version").len(), 2);
    assert_eq!(said(&answers, "x-pod").len(), 4);
    Ok(())
}

async fn static_files_and_api_come_from_different_pods(gateway: SocketAddr) -> Result<()> {
    let api = said(&ask(gateway, "/api/cart", &[]).await?, "x-pod");
    let web = said(&ask(gateway, "/", &[]).await?, "x-pod");
    assert!(api.is_disjoint(&web), "{api:?} and {web:?}");
    Ok(())
}

/// Enough answers to reach every pod; all of them must have status 200.
async fn ask(gateway: SocketAddr, path: &str, headers: &[(&str, &[u8])]) -> Result<Vec<RawAnswer>> {
    let mut answers = Vec::with_capacity(TRIES);
    for _ in 0..TRIES {
        let answer = http::get(gateway, path, headers).await?;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answers.push(answer);
    }
    Ok(answers)
}

/// The values of a header in these answers.
fn said(answers: &[RawAnswer], header: &str) -> BTreeSet<String> {
    answers
        .iter()
        .filter_map(|answer| answer.value(header))
        .collect()
}
