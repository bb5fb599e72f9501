//! The name of the route header, on which routes and plugin must agree.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::Cluster;

use crate::chart::Part;
use crate::testbed::Testbed;
use crate::visitors;

/// How many answers to wait for after each change.
const SOME: u64 = 1_000;

const OWN: &str = "x-release-k3v9q2";

/// Routes that look for a different header from the one the plugin writes send every request to current. So a name
/// that the chart made up anew for each rendering would skew each time.
pub async fn changed_while_tabs_of_two_releases_are_open(cluster: &Cluster) -> Result<()> {
    let (mut testbed, mut load) = Testbed::open_with_two_releases(cluster, "renaming").await?;
    testbed.chart.values()["config"]["routeHeader"] = json!(OWN);
    testbed.chart.apply_part(Part::Routes).await?;
    testbed.old_tab_reaches("2.0.0").await?;
    load.reset();
    load.answers(SOME).await?;
    let tally = load.tally();
    visitors::report("routes that know the new header before the plugin", &tally);
    ensure!(tally.failed == 0, "{:?}", tally.examples);
    ensure!(tally.skewed > 0, "old tabs meet current");

    let revision = testbed.chart.upgrade_over_changes().await?;
    testbed.chart.in_force(&testbed.gateway, revision).await?;
    testbed.old_tab_reaches("1.4.2").await?;
    load.reset();
    load.answers(SOME).await?;
    let story = "both know the new header";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    testbed.tear_down().await
}

/// As the README says: the default route is right then, whether routes or plugin come first.
pub async fn changed_while_one_release_is_served(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open(cluster, "own-header", "1.4.2").await?;
    testbed.chart.values()["config"]["routeHeader"] = json!(OWN);
    testbed.chart.apply_part(Part::Routes).await?;
    load.answers(SOME).await?;
    let revision = testbed.chart.upgrade_over_changes().await?;
    testbed.chart.in_force(&testbed.gateway, revision).await?;
    load.answers(SOME).await?;
    testbed.replace(&load, "1.4.2", "2.0.0").await?;
    load.answers(SOME).await?;
    let story = "another route header, and a release under it";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    testbed.tear_down().await
}
