//! A module that is missing when a gateway asks for it: who is served, and who can choose a release.

use std::fs;
use std::pin::pin;

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, Gateway, GatewayName, IstioLine};
use skew_guard_lab::{http, module, tool, wait};
use tempfile::TempDir;

use crate::configuration::restarted;
use crate::testbed::Testbed;
use crate::visitors;

/// How many answers to wait for after each change.
const SOME: u64 = 1_000;

/// The admin interface of the first gateway's Envoy.
const ADMIN: &str = "127.0.0.1:15000";

/// The route header that everybody knows, and one that nobody can guess.
const KNOWN: &str = "x-release";
const OWN: &str = "x-release-k3v9q2";

/// A gateway that starts while the image cannot be pulled is ready. Under FAIL_OPEN it obeys any client that knows the
/// route header, even for staged releases.
pub async fn image_under_fail_open(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::with_two_releases(cluster, "unpulled").await?;
    testbed.deploy("2.1.0").await?;
    let staged = [
        ("2.1.0", "staged"),
        ("2.0.0", "live"),
        ("1.4.2", "draining"),
    ];
    testbed.step(&staged, json!("2.0.0")).await?;
    ensure!(
        chosen_by(&testbed, KNOWN).await? == "2.0.0",
        "the plugin removes the route header"
    );
    let right = testbed.chart.image().url();
    testbed.chart.values()["plugin"]["url"] =
        json!(format!("{}-gone", testbed.chart.image().url_by_tag()));

    for header in [KNOWN, OWN] {
        testbed.chart.values()["config"]["routeHeader"] = json!(header);
        testbed.chart.upgrade().await?;
        testbed.gateway = restarted(cluster, testbed.gateway).await?;
        testbed.old_tab_reaches("2.0.0").await?;
        let guessed = if header == KNOWN { "2.1.0" } else { "2.0.0" };
        ensure!(
            chosen_by(&testbed, KNOWN).await? == guessed,
            "{header}: {guessed} for a client that sends {KNOWN}"
        );
        ensure!(
            chosen_by(&testbed, header).await? == "2.1.0",
            "{header}: a client that knows it gets the staged release"
        );
    }

    testbed.chart.values()["plugin"]["url"] = json!(right);
    testbed.upgrade().await?;
    testbed.old_tab_reaches("1.4.2").await?;
    ensure!(
        chosen_by(&testbed, OWN).await? == "2.0.0",
        "the plugin removes the route header again"
    );
    testbed.tear_down().await
}

/// FAIL_CLOSE shuts everybody out, other applications included. An older agent refuses what it cannot get, so that a
/// running gateway keeps its plugin, and one that starts is not ready.
pub async fn image_under_fail_close(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::with_two_releases(cluster, "closed").await?;
    let right = testbed.chart.image().url();
    testbed.chart.values()["plugin"]["url"] =
        json!(format!("{}-gone", testbed.chart.image().url_by_tag()));
    testbed.chart.values()["plugin"]["failStrategy"] = json!("FAIL_CLOSE");
    testbed.chart.upgrade().await?;
    match cluster.line() {
        IstioLine::V1_31 => {
            refuses_every_request(&testbed).await?;
            testbed.gateway = restarted(cluster, testbed.gateway).await?;
            refuses_every_request(&testbed).await?;
            testbed.chart.values()["plugin"]["url"] = json!(right);
        }
        IstioLine::V1_24 => {
            wait::until("the agent to ask for the image", async || {
                Ok(testbed.gateway.log().contains("-gone"))
            })
            .await?;
            testbed.old_tab_reaches("1.4.2").await?;
            drop(testbed.gateway);
            testbed.chart.values()["plugin"]["url"] = json!(right);
            testbed.gateway = ready_after(cluster, testbed.chart.upgrade()).await?;
        }
    }
    testbed.upgrade().await?;
    testbed.old_tab_reaches("1.4.2").await?;
    testbed.tear_down().await
}

async fn refuses_every_request(testbed: &Testbed<'_>) -> Result<()> {
    for path in ["/", "/api/cart"] {
        let refusal = (403, "RBAC: access denied".to_owned());
        wait::until(&format!("{path} to be refused"), async || {
            Ok(answer_of_every_request(testbed, path).await? == refusal)
        })
        .await?;
    }
    Ok(())
}

/// A gateway that starts, and must not be ready before that is done.
async fn ready_after(
    cluster: &Cluster,
    mended: impl Future<Output = Result<u64>>,
) -> Result<Gateway> {
    let mut starting = pin!(cluster.start_gateway(GatewayName::First));
    let waits = "the gateway's listener to wait for the plugin";
    let held_up = wait::until(waits, async || {
        let unready = format!("http://{ADMIN}/init_dump");
        let unready = http::client()?.get(unready).send().await?.text().await?;
        Ok(unready.contains("FilterConfigSubscription"))
    });
    tokio::select! {
        _ = &mut starting => anyhow::bail!("the gateway is ready without the plugin"),
        held_up = held_up => held_up?,
    }
    mended.await?;
    starting.await
}

/// Which release answers a client that asks for the staged one by that header.
async fn chosen_by(testbed: &Testbed<'_>, header: &str) -> Result<String> {
    testbed.release_for(&[(header, "v2-1-0")]).await
}

/// Status and body, as soon as the gateway listens.
async fn answer_of_every_request(testbed: &Testbed<'_>, path: &str) -> Result<(u16, String)> {
    wait::until_some("the gateway to answer", async || {
        let answer = testbed.ask(path, &[]).await?;
        let status = answer.status().as_u16();
        Ok(Some((status, answer.text().await?)))
    })
    .await
}

/// The module in a ConfigMap, which the gateway's pods mount. After a change to a missing file the plugin stays; a
/// gateway that starts then serves nobody.
pub async fn file(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open_with_two_releases(cluster, "mounted").await?;
    let mounted = mounted_from_a_config_map(cluster).await?;
    let url = |file: &str| json!(format!("file://{}", mounted.path().join(file).display()));
    testbed.chart.values()["plugin"]["url"] = url("plugin.wasm");
    testbed.upgrade().await?;
    load.answers(SOME).await?;
    let revision = testbed.chart.revision(&testbed.gateway).await?;

    testbed.chart.values()["plugin"]["url"] = url("missing.wasm");
    testbed.chart.upgrade().await?;
    wait::until("the gateway to look for the file", async || {
        Ok(testbed.gateway.log().contains("missing.wasm"))
    })
    .await?;
    load.answers(SOME).await?;
    ensure!(
        testbed.chart.revision(&testbed.gateway).await? == revision,
        "the existing plugin stays"
    );
    testbed.old_tab_reaches("1.4.2").await?;
    let story = "a module from a file, then from a missing one";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;

    testbed.gateway = restarted(cluster, testbed.gateway).await?;
    for path in ["/", "/api/cart"] {
        let (status, _) = answer_of_every_request(&testbed, path).await?;
        ensure!(
            status == 500,
            "{path} of a gateway started without the file: {status}"
        );
    }
    testbed.chart.values()["plugin"]["url"] = url("plugin.wasm");
    testbed.upgrade().await?;
    testbed.old_tab_reaches("1.4.2").await?;
    testbed.tear_down().await
}

/// What a kubelet would write into the pods: the module as Kubernetes returns it.
async fn mounted_from_a_config_map(cluster: &Cluster) -> Result<TempDir> {
    let folder = TempDir::with_prefix("skew-guard-mounted-")?;
    let script = format!(
        "kubectl --namespace {GATEWAY_NAMESPACE} create configmap skew-guard --from-file=plugin.wasm='{}'
         kubectl --namespace {GATEWAY_NAMESPACE} get configmap skew-guard --output jsonpath='{{.binaryData.plugin\\.wasm}}' \
             | base64 --decode > plugin.wasm
         kubectl --namespace {GATEWAY_NAMESPACE} delete configmap skew-guard",
        module::path()?.display()
    );
    cluster
        .shell(&script, folder.path(), &tool::path()?)
        .await?;
    ensure!(
        fs::read(folder.path().join("plugin.wasm"))? == fs::read(module::path()?)?,
        "a ConfigMap holds the module"
    );
    Ok(folder)
}
