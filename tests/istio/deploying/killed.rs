//! Runs that are killed with `kill -9` and repeated: each resumes where the last one was, unnoticed by visitors.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::Cluster;
use skew_guard_lab::load::Load;

use super::pipeline::Pipeline;
use super::release::{end, plain_shop};
use super::storage;

/// How many answers show that nobody notices.
const SOME: u64 = 300;

/// A deployment, and one of Helm's own upgrades within it.
pub async fn killed_at_any_step(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = Pipeline::open(cluster, "killed", "1.4.2").await?;
    let place = pipeline.manifests("2.0.0")?;
    kill_at_each_step(&pipeline, &load, &["deploy", "2.0.0", "--apply", &place]).await?;
    pipeline
        .expect_list("2.0.0 live, 1.4.2 draining", json!("2.0.0"))
        .await?;
    load.until_page_of("2.0.0").await?;
    half_an_upgrade(&pipeline).await?;
    end(pipeline, vec![load], "killed at each step").await
}

/// A rolling update of plain Deployments, and its rollback.
pub async fn killed_while_pods_are_replaced(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = plain_shop(cluster, "shot").await?;
    let new = pipeline.plain_manifests("2.0.0")?;
    let deploy = ["deploy", "2.0.0", "--rolling", "--apply", &new];
    kill_at_each_step(&pipeline, &load, &deploy).await?;
    load.until_no_page_of("1.4.2").await?;
    pipeline
        .expect_list("2.0.0 live, 1.4.2 retired", json!(""))
        .await?;

    let old = pipeline.plain_manifests("1.4.2")?;
    kill_at_each_step(&pipeline, &load, &["rollback", "--apply", &old]).await?;
    load.until_no_page_of("2.0.0").await?;
    pipeline
        .expect_list("2.0.0 retired, 1.4.2 live", json!(""))
        .await?;
    end(pipeline, vec![load], "killed while pods change").await
}

/// Killed before its first step, then before its second, and so on, until a run completes.
async fn kill_at_each_step(pipeline: &Pipeline<'_>, load: &Load, command: &[&str]) -> Result<()> {
    let mut killed = Vec::new();
    for count in 1.. {
        ensure!(count < 20, "no end to {killed:?}");
        let mut running = pipeline.begin(&[command, &["--output", "json"]].concat())?;
        let step = loop {
            if let Some(step) = running.steps().get(count - 1) {
                break Some(step.clone());
            }
            if running.has_ended()? {
                break None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let Some(step) = step else {
            running.ended().await?.well()?;
            break;
        };
        eprintln!("    killed at: {step}");
        running.kill().await?;
        killed.push(step);
        load.answers(SOME).await?;
    }
    ensure!(killed.len() > 3, "only {killed:?}");
    Ok(())
}

/// Helm was killed too: it leaves the revision pending, and makes no other until that is repaired.
async fn half_an_upgrade(pipeline: &Pipeline<'_>) -> Result<()> {
    let name = pipeline.testbed.chart.name();
    let history = ["history", name, "--output", "json"];
    let history: Value = serde_json::from_str(&pipeline.testbed.chart.helm(&history).await?)?;
    let last = history
        .as_array()
        .and_then(|revisions| revisions.last()?["revision"].as_u64())
        .context("a revision")?;
    storage::make_pending(pipeline, last).await?;
    pipeline.manifests("2.1.0")?;
    let ended = pipeline.deploy("2.1.0", &[]).await?.well()?;
    ended
        .says(&format!(
            "revision {last} was interrupted: marks it as failed"
        ))?
        .says("2.1.0 is current")?;
    Ok(())
}
