//! The plugin's configuration in a real mesh: wrong ones, missing modules, and dozens of changes.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::{Cluster, Gateway, GatewayName};
use skew_guard_lab::{module, wait};

use crate::testbed::Testbed;
use crate::visitors::{self, answered_by, ask};

/// How often the configuration changes.
const CHANGES: u64 = 24;

/// A tab of the old release, calling the API.
const OLD_TAB: [(&str, &str); 1] = [("x-bundle-version", "1.4.2")];

/// Two releases with Pods, 2.0.0 current, 1.4.2 draining.
pub async fn two_releases<'a>(cluster: &'a Cluster, name: &str) -> Result<Testbed<'a>> {
    let mut testbed = Testbed::set_up(cluster, name).await?;
    testbed.deploy("1.4.2").await?;
    testbed.deploy("2.0.0").await?;
    testbed
        .step(&[("2.0.0", "live"), ("1.4.2", "draining")], json!("2.0.0"))
        .await?;
    Ok(testbed)
}

/// A typo that gets past the chart is refused, and the last good configuration serves. A gateway that starts with it
/// lets requests through, without a route header that a client chose. Both accept the corrected one.
pub async fn a_wrong_one(cluster: &Cluster) -> Result<()> {
    let mut testbed = two_releases(cluster, "typo").await?;
    let revision = testbed.chart.revision(&testbed.gateway).await?;
    let load = visitors::arrive(&[&testbed.gateway], &testbed.shop).await?;
    load.answers(300).await?;
    testbed
        .chart
        .patch_plugin(json!({ "pluginConfig": { "curent": "2.0.0" } }))
        .await?;
    wait::until("the typo to be refused", async || {
        testbed.chart.is_refused(&testbed.gateway).await
    })
    .await?;
    load.answers(1_000).await?;
    ensure!(
        testbed.chart.revision(&testbed.gateway).await? == revision,
        "the last good configuration stays in force"
    );
    visitors::expect_neither_skew_nor_failure("a wrong configuration, live", &load.stop().await)?;

    testbed.gateway = restarted(cluster, testbed.gateway).await?;
    wait::until("the restarted gateway to refuse the typo", async || {
        testbed.chart.is_refused(&testbed.gateway).await
    })
    .await?;
    let forged = [("x-bundle-version", "1.4.2"), ("x-release", "v1-4-2")];
    wait::until("the restarted gateway to serve", async || {
        let answer = ask(
            testbed.gateway.address(),
            &testbed.shop,
            "/api/cart",
            &forged,
        )
        .await?;
        Ok(answer.status().is_success() && answered_by(&answer) == "2.0.0")
    })
    .await?;
    let unconfigured = testbed
        .gateway
        .stats("unconfigured.*skew_guard_requests_total")
        .await?;
    ensure!(
        unconfigured.values().sum::<u64>() > 0,
        "requests that pass through are counted"
    );

    testbed
        .chart
        .patch_plugin(json!({ "pluginConfig": { "curent": null } }))
        .await?;
    wait::until("the correction to be in force", async || {
        Ok(!testbed.chart.is_refused(&testbed.gateway).await?
            && testbed.chart.revision(&testbed.gateway).await? == revision)
    })
    .await?;
    let answer = ask(
        testbed.gateway.address(),
        &testbed.shop,
        "/api/cart",
        &OLD_TAB,
    )
    .await?;
    ensure!(
        answered_by(&answer) == "1.4.2",
        "the old tab is pinned again"
    );
    testbed.tear_down().await
}

pub async fn restarted(cluster: &Cluster, gateway: Gateway) -> Result<Gateway> {
    drop(gateway);
    cluster.start_gateway(GatewayName::First).await
}

/// A tag that is not in the registry: the mesh continues without the plugin, on default routes, and so does a gateway
/// that starts then.
pub async fn a_mistyped_image_tag(cluster: &Cluster) -> Result<()> {
    let mut testbed = two_releases(cluster, "mistyped").await?;
    let right = testbed.chart.image().url();
    let answer = ask(
        testbed.gateway.address(),
        &testbed.shop,
        "/api/cart",
        &OLD_TAB,
    )
    .await?;
    ensure!(
        answered_by(&answer) == "1.4.2",
        "the old tab is pinned at first"
    );
    let load = visitors::arrive(&[&testbed.gateway], &testbed.shop).await?;

    testbed.chart.values()["plugin"]["url"] =
        json!(format!("{}-mistyped", testbed.chart.image().url_by_tag()));
    testbed.chart.upgrade().await?;
    answers_to_the_old_tab(&testbed, "2.0.0").await?;
    load.answers(1_000).await?;
    let story = "a mistyped image tag, tabs of current";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    testbed.gateway = restarted(cluster, testbed.gateway).await?;
    answers_to_the_old_tab(&testbed, "2.0.0").await?;

    testbed.chart.values()["plugin"]["url"] = json!(right);
    testbed.chart.upgrade().await?;
    answers_to_the_old_tab(&testbed, "1.4.2").await?;
    testbed.tear_down().await
}

pub async fn answers_to_the_old_tab(testbed: &Testbed<'_>, version: &str) -> Result<()> {
    wait::until(&format!("{version} to answer a tab of 1.4.2"), async || {
        let answer = ask(
            testbed.gateway.address(),
            &testbed.shop,
            "/api/cart",
            &OLD_TAB,
        )
        .await?;
        Ok(answer.status().is_success() && answered_by(&answer) == version)
    })
    .await
}

/// For an image the agent names the file by its content, and Envoy keeps the VM. For a file Istio marks each
/// version of the resource, and Envoy makes a VM for each.
pub async fn dozens_of_changes(cluster: &Cluster) -> Result<()> {
    let mut testbed = two_releases(cluster, "changes").await?;
    let load = visitors::arrive(&[&testbed.gateway], &testbed.shop).await?;
    load.answers(300).await?;
    let made = change_often(&testbed).await?;
    ensure!(
        made == CHANGES,
        "{made} new VMs for {CHANGES} changes; Envoy tries each out in its own VM, and keeps those that serve"
    );

    testbed.chart.values()["plugin"]["url"] =
        json!(format!("file://{}", module::path()?.display()));
    let revision = testbed.chart.upgrade_over_changes().await?;
    testbed.chart.in_force(&testbed.gateway, revision).await?;
    let made = change_often(&testbed).await?;
    ensure!(
        made > CHANGES,
        "{made} new VMs for {CHANGES} changes: each should have had a new VM"
    );
    load.answers(300).await?;
    visitors::expect_neither_skew_nor_failure(
        "dozens of configuration changes",
        &load.stop().await,
    )?;
    testbed.tear_down().await
}

/// Changes the configuration again and again, and waits for the gateway each time. Returns how many VMs were made;
/// none of them may be left over.
async fn change_often(testbed: &Testbed<'_>) -> Result<u64> {
    let before = Vms::of(&testbed.gateway).await?;
    let first = testbed
        .chart
        .revision(&testbed.gateway)
        .await?
        .unwrap_or_default()
        + 1_000;
    for revision in first..first + CHANGES {
        testbed
            .chart
            .patch_plugin(json!({ "pluginConfig": { "revision": revision } }))
            .await?;
        wait::until(&format!("revision {revision}"), async || {
            Ok(testbed.chart.revision(&testbed.gateway).await? == Some(revision))
        })
        .await?;
    }
    wait::until("the VMs of earlier configurations to end", async || {
        Ok(Vms::of(&testbed.gateway).await?.active <= before.active)
    })
    .await?;
    Ok(Vms::of(&testbed.gateway).await?.created - before.created)
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
