//! The plugin's configuration in a real mesh: wrong ones, missing modules, and changes by the dozen.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::{Cluster, Gateway, GatewayName};
use skew_guard_lab::{module, wait};

use crate::stage::Stage;
use crate::visitors::{self, answered_by, ask};

/// How often the configuration changes.
const CHANGES: u64 = 24;

/// A tab of the old release, at the API.
const OLD_TAB: [(&str, &str); 1] = [("x-bundle-version", "1.4.2")];

/// Two releases with Pods, 2.0.0 current, 1.4.2 draining.
pub async fn two_releases<'a>(cluster: &'a Cluster, name: &str) -> Result<Stage<'a>> {
    let mut stage = Stage::set(cluster, name).await?;
    stage.deploy("1.4.2").await?;
    stage.deploy("2.0.0").await?;
    stage
        .step(&[("2.0.0", "live"), ("1.4.2", "draining")], json!("2.0.0"))
        .await?;
    Ok(stage)
}

/// A typo that gets past the chart: refused, while the last good configuration serves. A gateway that starts with it
/// lets requests through, without a route header that a client chose. The corrected one is taken by both.
pub async fn a_wrong_one(cluster: &Cluster) -> Result<()> {
    let mut stage = two_releases(cluster, "typo").await?;
    let revision = stage.chart.revision(&stage.gateway).await?;
    let load = visitors::arrive(&[&stage.gateway], &stage.shop).await?;
    load.answers(300).await?;
    stage
        .chart
        .patch_plugin(json!({ "pluginConfig": { "curent": "2.0.0" } }))
        .await?;
    wait::until("the typo to be refused", async || {
        stage.chart.is_refused(&stage.gateway).await
    })
    .await?;
    load.answers(1_000).await?;
    ensure!(
        stage.chart.revision(&stage.gateway).await? == revision,
        "the last good configuration stays in force"
    );
    visitors::expect_neither_skew_nor_failure("a wrong configuration, live", &load.stop().await)?;

    stage.gateway = restarted(cluster, stage.gateway).await?;
    wait::until("the restarted gateway to refuse the typo", async || {
        stage.chart.is_refused(&stage.gateway).await
    })
    .await?;
    let forged = [("x-bundle-version", "1.4.2"), ("x-release", "v1-4-2")];
    wait::until("the restarted gateway to serve", async || {
        let answer = ask(stage.gateway.address(), &stage.shop, "/api/cart", &forged).await?;
        Ok(answer.status().is_success() && answered_by(&answer) == "2.0.0")
    })
    .await?;
    let unconfigured = stage
        .gateway
        .stats("unconfigured.*skew_guard_requests_total")
        .await?;
    ensure!(
        unconfigured.values().sum::<u64>() > 0,
        "requests that pass through are counted"
    );

    stage
        .chart
        .patch_plugin(json!({ "pluginConfig": { "curent": null } }))
        .await?;
    wait::until("the correction to be in force", async || {
        Ok(!stage.chart.is_refused(&stage.gateway).await?
            && stage.chart.revision(&stage.gateway).await? == revision)
    })
    .await?;
    let answer = ask(stage.gateway.address(), &stage.shop, "/api/cart", &OLD_TAB).await?;
    ensure!(
        answered_by(&answer) == "1.4.2",
        "the old tab is pinned again"
    );
    stage.strike().await
}

pub async fn restarted(cluster: &Cluster, gateway: Gateway) -> Result<Gateway> {
    drop(gateway);
    cluster.start_gateway(GatewayName::First).await
}

/// A tag that is not in the registry: the mesh goes on without the plugin, by its default routes, and so does a gateway
/// that starts then.
pub async fn a_mistyped_image_tag(cluster: &Cluster) -> Result<()> {
    let mut stage = two_releases(cluster, "mistyped").await?;
    let right = stage.chart.image().url();
    let answer = ask(stage.gateway.address(), &stage.shop, "/api/cart", &OLD_TAB).await?;
    ensure!(
        answered_by(&answer) == "1.4.2",
        "the old tab is pinned at first"
    );
    let load = visitors::arrive(&[&stage.gateway], &stage.shop).await?;

    stage.chart.values()["plugin"]["url"] =
        json!(format!("{}-mistyped", stage.chart.image().url_by_tag()));
    stage.chart.upgrade().await?;
    answers_to_the_old_tab(&stage, "2.0.0").await?;
    load.answers(1_000).await?;
    let story = "a mistyped image tag, tabs of current";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    stage.gateway = restarted(cluster, stage.gateway).await?;
    answers_to_the_old_tab(&stage, "2.0.0").await?;

    stage.chart.values()["plugin"]["url"] = json!(right);
    stage.chart.upgrade().await?;
    answers_to_the_old_tab(&stage, "1.4.2").await?;
    stage.strike().await
}

pub async fn answers_to_the_old_tab(stage: &Stage<'_>, version: &str) -> Result<()> {
    wait::until(&format!("{version} to answer a tab of 1.4.2"), async || {
        let answer = ask(stage.gateway.address(), &stage.shop, "/api/cart", &OLD_TAB).await?;
        Ok(answer.status().is_success() && answered_by(&answer) == version)
    })
    .await
}

/// From a registry the agent names the file by its content, and Envoy keeps the VM. From a file Istio marks each
/// version of the resource, and Envoy makes a VM for each.
pub async fn dozens_of_changes(cluster: &Cluster) -> Result<()> {
    let mut stage = two_releases(cluster, "changes").await?;
    let load = visitors::arrive(&[&stage.gateway], &stage.shop).await?;
    load.answers(300).await?;
    let made = change_often(&stage).await?;
    ensure!(
        made == CHANGES,
        "{made} new VMs for {CHANGES} changes; Envoy tries out each in one of its own, and keeps those that serve"
    );

    stage.chart.values()["plugin"]["url"] = json!(format!("file://{}", module::path()?.display()));
    let revision = stage.chart.upgrade_over_changes().await?;
    stage.chart.in_force(&stage.gateway, revision).await?;
    let made = change_often(&stage).await?;
    ensure!(
        made > CHANGES,
        "{made} new VMs for {CHANGES} changes: a new VM for each was to be tried"
    );
    load.answers(300).await?;
    visitors::expect_neither_skew_nor_failure(
        "configuration changes by the dozen",
        &load.stop().await,
    )?;
    stage.strike().await
}

/// Changes the configuration again and again, each taken by the gateway. Returns how many VMs were made for it; that
/// no more of them are left than there were is seen to.
async fn change_often(stage: &Stage<'_>) -> Result<u64> {
    let before = Vms::of(&stage.gateway).await?;
    let first = stage
        .chart
        .revision(&stage.gateway)
        .await?
        .unwrap_or_default()
        + 1_000;
    for revision in first..first + CHANGES {
        stage
            .chart
            .patch_plugin(json!({ "pluginConfig": { "revision": revision } }))
            .await?;
        wait::until(&format!("revision {revision}"), async || {
            Ok(stage.chart.revision(&stage.gateway).await? == Some(revision))
        })
        .await?;
    }
    wait::until("the VMs of earlier configurations to end", async || {
        Ok(Vms::of(&stage.gateway).await?.active <= before.active)
    })
    .await?;
    Ok(Vms::of(&stage.gateway).await?.created - before.created)
}

/// The VMs of one Envoy: one for each worker and one for the main thread.
struct Vms {
    created: u64,
    active: u64,
}

impl Vms {
    async fn of(gateway: &Gateway) -> Result<Self> {
        let stats = gateway.stats(r"^wasm\..*\.(created|active)$").await?;
        let sum = |end: &str| {
            stats
                .iter()
                .filter(|(name, _)| name.ends_with(end))
                .map(|(_, value)| value)
                .sum()
        };
        Ok(Self {
            created: sum(".created"),
            active: sum(".active"),
        })
    }
}
