//! Installing the chart next to a team's own VirtualService, and removing it again.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::{Cluster, GatewayName};

use crate::testbed::Testbed;
use crate::visitors;

/// How many answers to wait for after each change.
const SOME: u64 = 1_500;

/// As the chart's README says: the chart is installed beside the team's own routes, which are then deleted; to
/// leave, they are restored, and the chart's parts go in the order plugin, routes, subsets.
pub async fn without_interruption(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "moving").await?;
    testbed.deploy("1.4.2").await?;
    testbed
        .shop
        .split_by_path(GatewayName::First.label())
        .await?;
    let load = visitors::arrive(&[&testbed.gateway], &testbed.shop).await?;
    load.answers(SOME).await?;

    testbed.step(&[("1.4.2", "live")], json!("1.4.2")).await?;
    load.answers(SOME).await?;
    testbed.shop.delete("virtualservice", "shop").await?;
    load.answers(SOME).await?;
    ensure!(decided(&testbed).await? > 0, "the plugin decides");

    testbed
        .shop
        .split_by_path(GatewayName::First.label())
        .await?;
    load.answers(SOME).await?;
    testbed.chart.delete_plugin().await?;
    load.answers(SOME).await?;
    testbed
        .shop
        .delete("virtualservice", testbed.chart.name())
        .await?;
    load.answers(SOME).await?;
    testbed.chart.uninstall().await?;
    load.answers(SOME).await?;
    visitors::expect_neither_skew_nor_failure("moving in and out", &load.stop().await)?;
    testbed.shop.close().await
}

/// How many requests the plugin pinned.
async fn decided(testbed: &Testbed<'_>) -> Result<u64> {
    let pinned = testbed
        .gateway
        .stats("outcome=.=pinned.*skew_guard_requests_total")
        .await?;
    Ok(pinned.values().sum())
}
