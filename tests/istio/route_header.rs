//! The name of the route header, on which routes and plugin must agree.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::Cluster;

use crate::chart::Part;
use crate::configuration::answers_to_the_old_tab;
use crate::module::two_releases_under_load;
use crate::testbed::Testbed;
use crate::visitors;

/// How many answers to wait for after each change.
const SOME: u64 = 1_000;

const OWN: &str = "x-release-k3v9q2";

/// Routes that look for a different header from the one the plugin writes send every request to current. So a name
/// that the chart made up anew for each rendering would skew each time.
pub async fn changed_while_tabs_of_two_releases_are_open(cluster: &Cluster) -> Result<()> {
    let (mut testbed, mut load) = two_releases_under_load(cluster, "renaming").await?;
    testbed.chart.values()["config"]["routeHeader"] = json!(OWN);
    testbed.chart.apply_part(Part::Routes).await?;
    answers_to_the_old_tab(&testbed, "2.0.0").await?;
    load.reset();
    load.answers(SOME).await?;
    let tally = load.tally();
    visitors::report("routes that know the new header before the plugin", &tally);
    ensure!(tally.failed == 0, "{:?}", tally.examples);
    ensure!(tally.skewed > 0, "old tabs meet current");

    let revision = testbed.chart.upgrade_over_changes().await?;
    testbed.chart.in_force(&testbed.gateway, revision).await?;
    answers_to_the_old_tab(&testbed, "1.4.2").await?;
    load.reset();
    load.answers(SOME).await?;
    let story = "both know the new header";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    testbed.tear_down().await
}

/// As in the README: then the default route is right, whichever is late.
pub async fn changed_while_one_release_is_served(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open(cluster, "own-header", "1.4.2").await?;
    testbed.chart.values()["config"]["routeHeader"] = json!(OWN);
    testbed.chart.apply_part(Part::Routes).await?;
    load.answers(SOME).await?;
    let revision = testbed.chart.upgrade_over_changes().await?;
    testbed.chart.in_force(&testbed.gateway, revision).await?;
    load.answers(SOME).await?;
    let listed = [("2.0.0", "live"), ("1.4.2", "live")];
    testbed.step_under(&load, &listed, json!("1.4.2")).await?;
    testbed.deploy("2.0.0").await?;
    let swapped = [("2.0.0", "live"), ("1.4.2", "draining")];
    testbed.step_under(&load, &swapped, json!("2.0.0")).await?;
    load.until_page_of("2.0.0").await?;
    load.answers(SOME).await?;
    let story = "another route header, and a release under it";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    testbed.tear_down().await
}
