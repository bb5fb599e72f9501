//! The main job: a rolling update of two Deployments, under load.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::{Cluster, Gateway, GatewayName};
use skew_guard_lab::load::Load;

use crate::chart::Chart;
use crate::shop::{Shop, Tier};
use crate::visitors;
use crate::waiting;

/// How many requests visitors make before and after a roll-out.
const SOME: u64 = 500;

/// Split by path only, as before skew-guard.
pub async fn with_plain_routing(cluster: &Cluster) -> Result<()> {
    let shop = Shop::open(cluster, "plain").await?;
    let gateway = cluster.start_gateway(GatewayName::First).await?;
    shop.split_by_path(GatewayName::First.label()).await?;
    shop.roll_out("1.4.2", 3).await?;
    let load = visitors::arrive(&[&gateway], &shop).await?;
    load.answers(SOME).await?;
    let before = load.tally();
    ensure!(
        before.skewed == 0 && before.failed == 0,
        "a single release cannot be skewed: {before:?}"
    );
    shop.roll_out("2.0.0", 3).await?;
    shop.gone(Tier::Api, "1.4.2").await?;
    shop.gone(Tier::Web, "1.4.2").await?;
    let tally = load.stop().await;
    visitors::report("a rolling update with plain routing", &tally);
    ensure!(
        tally.skewed > 0,
        "plain routing mixes releases, or the load does not see it"
    );
    shop.close().await
}

/// In the order that makes it safe: the API's roll-out starts and is paused with a new Pod ready, the pages are rolled,
/// the API's roll-out continues.
pub async fn with_the_chart(cluster: &Cluster) -> Result<()> {
    let (shop, gateway, mut chart, load) = before_a_roll_out(cluster, "rolling").await?;
    start_and_pause(&shop, Tier::Api).await?;
    load.answers(SOME).await?;
    ensure!(
        load.tally().told_to_reload == 0,
        "the API still has Pods of both releases"
    );
    shop.deploy(Tier::Web, "web", "2.0.0", 3).await?;
    shop.rolled_out("web").await?;
    resume(&shop, Tier::Api).await?;
    shop.gone(Tier::Api, "1.4.2").await?;
    load.until_no_page_of("1.4.2").await?;
    chart.list(&[("2.0.0", "live"), ("1.4.2", "retired")], json!(""));
    chart.step(&[&gateway]).await?;
    load.answers(SOME).await?;
    let tally = load.stop().await;
    visitors::expect_neither_skew_nor_failure("a rolling update with skew-guard", &tally)?;
    ensure!(
        counted(&gateway, "outcome=.=pinned").await? > 0,
        "the filter counts what it pins"
    );
    ensure!(
        counted(&gateway, "answer=.=skewed").await? == 0,
        "the filter saw an answer from another release"
    );
    chart.uninstall().await?;
    shop.close().await
}

/// What the filter itself counted.
async fn counted(gateway: &Gateway, tag: &str) -> Result<u64> {
    Ok(gateway
        .stats(&format!("{tag};.*skew_guard_.*_total"))
        .await?
        .values()
        .sum())
}

/// While some pages are already new and both tiers still have Pods of the old release: that release is listed as
/// current, then the pages go back, then the API. (`kubectl rollout undo` refuses a paused Deployment.)
pub async fn rolled_back_halfway(cluster: &Cluster) -> Result<()> {
    let (shop, gateway, mut chart, load) = before_a_roll_out(cluster, "undone").await?;
    start_and_pause(&shop, Tier::Api).await?;
    start_and_pause(&shop, Tier::Web).await?;
    let newcomers = visitors::arrive(&[&gateway], &shop).await?;
    newcomers.until_page_of("2.0.0").await?;

    chart.list(&[("2.0.0", "draining"), ("1.4.2", "live")], json!(""));
    chart.step(&[&gateway]).await?;
    for tier in [Tier::Web, Tier::Api] {
        shop.deploy(tier, tier.name(), "1.4.2", 3).await?;
        resume(&shop, tier).await?;
        shop.gone(tier, "2.0.0").await?;
    }
    load.until_no_page_of("2.0.0").await?;
    newcomers.until_no_page_of("2.0.0").await?;
    chart.list(&[("2.0.0", "retired"), ("1.4.2", "live")], json!(""));
    chart.step(&[&gateway]).await?;
    load.answers(SOME).await?;
    let story = "a rolling update, rolled back";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    visitors::expect_neither_skew_nor_failure("those who came meanwhile", &newcomers.stop().await)?;
    chart.uninstall().await?;
    shop.close().await
}

/// Three Pods of each tier of 1.4.2 behind a gateway with the chart, visitors, and 2.0.0 listed.
async fn before_a_roll_out<'a>(
    cluster: &'a Cluster,
    name: &str,
) -> Result<(Shop<'a>, Gateway, Chart<'a>, Load)> {
    let shop = Shop::open(cluster, name).await?;
    let gateway = cluster.start_gateway(GatewayName::First).await?;
    shop.roll_out("1.4.2", 3).await?;
    let mut chart = Chart::of(cluster, &shop).await?;
    chart.list(&[("1.4.2", "live")], json!(""));
    chart.upgrade().await?;
    waiting::until_in_force(&chart).await?;
    let load = visitors::arrive(&[&gateway], &shop).await?;
    load.answers(SOME).await?;
    chart.list(&[("2.0.0", "live"), ("1.4.2", "live")], json!(""));
    chart.step(&[&gateway]).await?;
    Ok((shop, gateway, chart, load))
}

/// No page may be new before the API has a new Pod, and no old Pod of the API may go before the last old page. So
/// the roll-out is paused before the new Pod is ready: a moment later it would continue by itself.
async fn start_and_pause(shop: &Shop<'_>, tier: Tier) -> Result<()> {
    shop.deploy(tier, tier.name(), "2.0.0", 3).await?;
    shop.created(tier, "2.0.0").await?;
    shop.kubectl(&["rollout", "pause", &format!("deployment/{}", tier.name())])
        .await?;
    shop.ready(tier, "2.0.0").await
}

async fn resume(shop: &Shop<'_>, tier: Tier) -> Result<()> {
    shop.kubectl(&["rollout", "resume", &format!("deployment/{}", tier.name())])
        .await?;
    shop.rolled_out(tier.name()).await
}
