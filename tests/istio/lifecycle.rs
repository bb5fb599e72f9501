//! The life of a release under load: one Deployment per release, one `helm upgrade` per step.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::Cluster;

use crate::testbed::Testbed;
use crate::visitors;

/// Two releases that are both live.
const BOTH: [(&str, &str); 2] = [("2.0.0", "live"), ("1.4.2", "live")];

/// Staged, live, weighted current, current, draining, retired, removed.
pub async fn from_staged_to_removed(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open(cluster, "life", "1.4.2").await?;
    let staged = [("2.0.0", "staged"), ("1.4.2", "live")];
    testbed.step_under(&load, &staged, json!("1.4.2")).await?;
    testbed.deploy("2.0.0").await?;
    testbed.step_under(&load, &BOTH, json!("1.4.2")).await?;
    ensure!(
        !load.pages().contains_key("2.0.0"),
        "nobody gets a release before it is in current"
    );
    testbed.step_under(&load, &BOTH, halves()).await?;
    load.until_page_of("2.0.0").await?;
    let draining = [("2.0.0", "live"), ("1.4.2", "draining")];
    testbed.step_under(&load, &draining, json!("2.0.0")).await?;
    ensure!(
        load.pages().contains_key("1.4.2"),
        "a draining release keeps its tabs"
    );
    let retired = [("2.0.0", "live"), ("1.4.2", "retired")];
    testbed.step_under(&load, &retired, json!("2.0.0")).await?;
    load.until_no_page_of("1.4.2").await?;
    testbed.remove("1.4.2").await?;
    let removed = [("2.0.0", "live")];
    testbed.step_under(&load, &removed, json!("2.0.0")).await?;
    let tally = load.stop().await;
    visitors::expect_neither_skew_nor_failure("the whole life of a release", &tally)?;
    ensure!(
        tally.told_to_reload > 0,
        "the tabs of a retired release are told to reload"
    );
    testbed.tear_down().await
}

/// The bad release already has half of the visitors, and tabs of its own.
pub async fn rolled_back_halfway(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open(cluster, "rollback", "1.4.2").await?;
    testbed.step_under(&load, &BOTH, json!("1.4.2")).await?;
    testbed.deploy("2.0.0").await?;
    testbed.step_under(&load, &BOTH, halves()).await?;
    load.until_page_of("2.0.0").await?;
    let newcomers = visitors::arrive(&[&testbed.gateway], &testbed.shop).await?;
    newcomers.until_page_of("2.0.0").await?;
    let back = [("2.0.0", "retired"), ("1.4.2", "live")];
    testbed.step_under(&load, &back, json!("1.4.2")).await?;
    load.until_no_page_of("2.0.0").await?;
    newcomers.until_no_page_of("2.0.0").await?;
    testbed.remove("2.0.0").await?;
    load.answers(1_000).await?;
    let story = "a release that is rolled back halfway";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    visitors::expect_neither_skew_nor_failure("those who came meanwhile", &newcomers.stop().await)?;
    testbed.tear_down().await
}

/// Half of the visitors for each.
fn halves() -> Value {
    json!([{ "version": "1.4.2", "weight": 50 }, { "version": "2.0.0", "weight": 50 }])
}
