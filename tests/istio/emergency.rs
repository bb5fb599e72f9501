//! What to do in an emergency, under load: it may cost skew, but no failed request.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::{Cluster, GatewayName};
use skew_guard_lab::load::{Load, Tally};
use skew_guard_lab::wait;

use crate::testbed::Testbed;
use crate::visitors;

/// How many answers to wait for after each change.
const SOME: u64 = 1_000;

/// A client that sends the old release's route header itself.
const CHOSEN: [(&str, &str); 1] = [("x-release", "v1-4-2")];

/// Enough requests to reach the pods of every release that is within reach.
const ENOUGH: usize = 40;

/// Without the plugin the header routes remain, and nobody removes a header that a client sent.
pub async fn the_plugin_is_deleted(cluster: &Cluster) -> Result<()> {
    let (testbed, mut load) = Testbed::open_with_two_releases(cluster, "deleted").await?;
    testbed.chart.delete_plugin().await?;
    testbed.old_tab_reaches("2.0.0").await?;
    load.answers(SOME).await?;
    expect_skew_without_failure("the plugin is deleted", &load.tally())?;
    ensure!(
        testbed.release_for(&CHOSEN).await? == "1.4.2",
        "a client can choose its release now, as the README says"
    );
    comes_back(testbed, &mut load).await
}

/// One value of the chart: no plugin, and routes without headers.
pub async fn the_chart_renders_plain_routes(cluster: &Cluster) -> Result<()> {
    let (mut testbed, mut load) = Testbed::open_with_two_releases(cluster, "plainly-off").await?;
    testbed.chart.values()["enabled"] = json!(false);
    testbed.chart.upgrade().await?;
    testbed.old_tab_reaches("2.0.0").await?;
    load.answers(SOME).await?;
    let tally = load.tally();
    expect_skew_without_failure("plain routes by the chart", &tally)?;
    ensure!(
        testbed.release_for(&CHOSEN).await? == "2.0.0",
        "a client cannot choose its release"
    );
    testbed.chart.values()["enabled"] = json!(true);
    comes_back(testbed, &mut load).await
}

/// The plugin stays, counts, and decides nothing: every request takes the default route. That is `current`; if the
/// chart has none, it is any release, whatever the tab.
pub async fn the_plugin_only_observes(cluster: &Cluster) -> Result<()> {
    let (mut testbed, mut load) = Testbed::open_with_two_releases(cluster, "observing").await?;
    testbed.chart.values()["config"]["enforce"] = json!(false);
    testbed.upgrade().await?;
    load.answers(SOME).await?;
    expect_skew_without_failure("enforce: false", &load.tally())?;
    ensure!(
        testbed.release_for(&CHOSEN).await? == "2.0.0",
        "a client cannot choose its release"
    );
    ensure!(
        answers_to_a_current_tab(&testbed).await? == ["2.0.0"],
        "tabs of the current release keep it"
    );

    testbed.chart.values()["current"] = json!("");
    testbed.upgrade().await?;
    wait::until("the default route to lead to all pods", async || {
        Ok(answers_to_a_current_tab(&testbed).await? == ["1.4.2", "2.0.0"])
    })
    .await?;
    load.answers(SOME).await?;
    expect_skew_without_failure("enforce: false, and current: \"\"", &load.tally())?;

    testbed.chart.values()["config"]["enforce"] = json!(true);
    testbed.chart.values()["current"] = json!("2.0.0");
    comes_back(testbed, &mut load).await
}

/// The team's own routes are restored, and everything that the chart made goes at once.
pub async fn the_chart_is_removed(cluster: &Cluster) -> Result<()> {
    let (testbed, load) = Testbed::open_with_two_releases(cluster, "removed").await?;
    testbed
        .shop
        .split_by_path(GatewayName::First.label())
        .await?;
    testbed.chart.delete_routes_and_plugin().await?;
    testbed.chart.uninstall().await?;
    load.answers(SOME).await?;
    expect_skew_without_failure("the chart is removed", &load.stop().await)?;
    testbed.shop.close().await
}

/// The next upgrade restores it.
async fn comes_back(testbed: Testbed<'_>, load: &mut Load) -> Result<()> {
    testbed.upgrade().await?;
    testbed.old_tab_reaches("1.4.2").await?;
    load.reset();
    load.answers(SOME).await?;
    visitors::expect_neither_skew_nor_failure("and back", &load.tally())?;
    testbed.tear_down().await
}

/// Which releases answer a tab of the current one, each once.
async fn answers_to_a_current_tab(testbed: &Testbed<'_>) -> Result<Vec<String>> {
    let tab = [("x-bundle-version", "2.0.0")];
    let mut releases = BTreeSet::new();
    for _ in 0..ENOUGH {
        releases.insert(testbed.release_for(&tab).await?);
    }
    Ok(releases.into_iter().collect())
}

fn expect_skew_without_failure(what: &str, tally: &Tally) -> Result<()> {
    visitors::report(what, tally);
    ensure!(
        tally.failed == 0 && tally.told_to_reload == 0,
        "{what}: {} answers failed, {} tabs were told to reload\n{}",
        tally.failed,
        tally.told_to_reload,
        tally.examples.join("\n")
    );
    ensure!(tally.skewed > 0, "{what}: old tabs meet current");
    Ok(())
}
