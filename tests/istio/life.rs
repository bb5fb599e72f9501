//! The life of a release, one Deployment for each, one `helm upgrade` a step, under load.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::Cluster;
use skew_guard_lab::load::Load;

use crate::stage::Stage;
use crate::visitors;

/// Staged, live, weighted current, current, draining, retired, removed.
pub async fn from_staged_to_removed(cluster: &Cluster) -> Result<()> {
    let (mut stage, load) = Stage::open(cluster, "life", "1.4.2").await?;
    stage
        .step_under(
            &load,
            &[("2.0.0", "staged"), ("1.4.2", "live")],
            json!("1.4.2"),
        )
        .await?;
    stage.deploy("2.0.0").await?;
    stage
        .step_under(
            &load,
            &[("2.0.0", "live"), ("1.4.2", "live")],
            json!("1.4.2"),
        )
        .await?;
    ensure!(
        !load.pages().contains_key("2.0.0"),
        "nobody is given a release before it is in current"
    );
    stage
        .step_under(
            &load,
            &[("2.0.0", "live"), ("1.4.2", "live")],
            halves("1.4.2", "2.0.0"),
        )
        .await?;
    load.until_page_of("2.0.0").await?;
    stage
        .step_under(
            &load,
            &[("2.0.0", "live"), ("1.4.2", "draining")],
            json!("2.0.0"),
        )
        .await?;
    ensure!(
        load.pages().contains_key("1.4.2"),
        "a draining release keeps its tabs"
    );
    retire_and_remove(&mut stage, &load, "2.0.0", "1.4.2").await?;
    let tally = load.stop().await;
    visitors::expect_neither_skew_nor_failure("the whole life of a release", &tally)?;
    ensure!(
        tally.told_to_reload > 0,
        "the tabs of a retired release are told to reload"
    );
    stage.strike().await
}

/// The bad release is already half of current, and has tabs of its own.
pub async fn rolled_back_in_the_middle(cluster: &Cluster) -> Result<()> {
    let (mut stage, load) = Stage::open(cluster, "rollback", "1.4.2").await?;
    stage
        .step_under(
            &load,
            &[("2.0.0", "live"), ("1.4.2", "live")],
            json!("1.4.2"),
        )
        .await?;
    stage.deploy("2.0.0").await?;
    stage
        .step_under(
            &load,
            &[("2.0.0", "live"), ("1.4.2", "live")],
            halves("1.4.2", "2.0.0"),
        )
        .await?;
    load.until_page_of("2.0.0").await?;
    let newcomers = visitors::arrive(&[&stage.gateway], &stage.shop).await?;
    newcomers.until_page_of("2.0.0").await?;
    stage
        .step_under(
            &load,
            &[("2.0.0", "retired"), ("1.4.2", "live")],
            json!("1.4.2"),
        )
        .await?;
    load.until_no_page_of("2.0.0").await?;
    newcomers.until_no_page_of("2.0.0").await?;
    stage.remove("2.0.0").await?;
    load.answers(1_000).await?;
    let story = "a roll-out that is rolled back half-way";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    visitors::expect_neither_skew_nor_failure("who came meanwhile", &newcomers.stop().await)?;
    stage.strike().await
}

async fn retire_and_remove(
    stage: &mut Stage<'_>,
    load: &Load,
    current: &str,
    old: &str,
) -> Result<()> {
    stage
        .step_under(load, &[(current, "live"), (old, "retired")], json!(current))
        .await?;
    load.until_no_page_of(old).await?;
    stage.remove(old).await?;
    stage
        .step_under(load, &[(current, "live")], json!(current))
        .await
}

fn halves(one: &str, other: &str) -> serde_json::Value {
    json!([{ "version": one, "weight": 50 }, { "version": other, "weight": 50 }])
}
