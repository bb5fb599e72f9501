//! Pods that die.

use anyhow::{Context, Result, ensure};
use skew_guard_lab::cluster::Cluster;

use crate::shop::{Tier, route};
use crate::testbed::{Testbed, deployment};
use crate::visitors;

/// The release's other Pods take over. Until the endpoint is withdrawn, a connection failure stays a failure.
pub async fn a_pod_killed_without_notice(cluster: &Cluster) -> Result<()> {
    let (testbed, mut load) = Testbed::open(cluster, "killed", "1.4.2").await?;
    let pod = one_pod(&testbed, Tier::Api, "1.4.2").await?;
    cluster
        .crash_pod(&format!("{}/{pod}", testbed.shop.namespace()))
        .await?;
    let tally = load.tally();
    visitors::report("a Pod killed without notice", &tally);
    ensure!(
        tally.skewed == 0,
        "no other release takes over: {:?}",
        tally.examples
    );
    ensure!(
        tally.told_to_reload == 0,
        "a release with Pods left is not gone: {:?}",
        tally.examples
    );
    testbed
        .shop
        .rolled_out(&deployment(Tier::Api, "1.4.2"))
        .await?;
    load.reset();
    load.answers(1_000).await?;
    visitors::expect_neither_skew_nor_failure("after it", &load.stop().await)?;
    testbed.tear_down().await
}

/// No other release may answer for a draining one: its tabs are told to reload, rather than left with an error.
pub async fn the_last_pod_of_a_draining_release(cluster: &Cluster) -> Result<()> {
    let (testbed, load) = Testbed::open_with_two_releases(cluster, "last-pod").await?;
    testbed.remove("1.4.2").await?;
    load.until_no_page_of("1.4.2").await?;
    load.answers(1_000).await?;
    let tally = load.stop().await;
    visitors::expect_neither_skew_nor_failure("a draining release without Pods", &tally)?;
    ensure!(tally.told_to_reload > 0, "its tabs are told to reload");
    testbed.tear_down().await
}

/// An outage is not skew: a reload would bring the same page.
pub async fn the_last_pod_of_the_current_release(cluster: &Cluster) -> Result<()> {
    let (testbed, load) = Testbed::open(cluster, "outage", "1.4.2").await?;
    testbed.remove_tier(Tier::Api, "1.4.2").await?;
    load.answers(300).await?;
    let tally = load.stop().await;
    visitors::report("a current release without Pods", &tally);
    ensure!(tally.failed > 0, "nobody can answer");
    ensure!(
        tally.skewed == 0 && tally.told_to_reload == 0,
        "an outage is not skew: {:?}",
        tally.examples
    );
    testbed.tear_down().await
}

/// The name of a Pod of that tier and version.
pub async fn one_pod(testbed: &Testbed<'_>, tier: Tier, version: &str) -> Result<String> {
    let selector = format!("app={},version={}", tier.name(), route(version));
    let names = testbed
        .shop
        .kubectl(&["get", "pods", "--selector", &selector, "--output", "name"])
        .await?;
    let name = names
        .lines()
        .next()
        .and_then(|name| name.strip_prefix("pod/"));
    Ok(name.context("the release has a Pod")?.to_owned())
}
