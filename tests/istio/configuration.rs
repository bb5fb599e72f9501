//! The plugin's configuration in a real mesh: an invalid one, a mistyped image tag, and dozens of changes.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::{Cluster, Gateway, GatewayName};
use skew_guard_lab::{module, wait};

use crate::testbed::{OLD_TAB, Testbed};
use crate::visitors;

/// How often the configuration changes.
const CHANGES: u64 = 24;

/// A typo that gets past the chart is refused, and the last good configuration serves. A gateway that starts with it
/// lets requests through, without a route header that a client chose. Both accept the corrected one.
pub async fn an_invalid_one(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::with_two_releases(cluster, "typo").await?;
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
        Ok(testbed.release_for(&forged).await? == "2.0.0")
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
    ensure!(
        testbed.release_for(&OLD_TAB).await? == "1.4.2",
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
    let mut testbed = Testbed::with_two_releases(cluster, "mistyped").await?;
    let right = testbed.chart.image().url();
    ensure!(
        testbed.release_for(&OLD_TAB).await? == "1.4.2",
        "the old tab is pinned at first"
    );
    let load = visitors::arrive(&[&testbed.gateway], &testbed.shop).await?;

    testbed.chart.values()["plugin"]["url"] =
        json!(format!("{}-mistyped", testbed.chart.image().url_by_tag()));
    testbed.chart.upgrade().await?;
    testbed.old_tab_reaches("2.0.0").await?;
    load.answers(1_000).await?;
    let story = "a mistyped image tag, tabs of current";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    testbed.gateway = restarted(cluster, testbed.gateway).await?;
    testbed.old_tab_reaches("2.0.0").await?;

    testbed.chart.values()["plugin"]["url"] = json!(right);
    testbed.chart.upgrade().await?;
    testbed.old_tab_reaches("1.4.2").await?;
    testbed.tear_down().await
}

/// The agent names an image's file by its content, so Envoy keeps the VM. With a file, Istio marks each version of the
/// resource, and Envoy makes a VM for each.
pub async fn dozens_of_changes(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::with_two_releases(cluster, "changes").await?;
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
