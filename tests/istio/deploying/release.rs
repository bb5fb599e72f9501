//! Undisturbed deployments and rollbacks.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::Cluster;
use skew_guard_lab::load::Load;

use super::pipeline::{Pipeline, until_deployments_are};
use crate::testbed::Testbed;
use crate::visitors;

/// How many answers to wait for between two commands.
const SOME: u64 = 300;

/// Three releases, one command each, with open tabs of every version so far.
pub async fn three_in_a_row(cluster: &Cluster) -> Result<()> {
    let (pipeline, first) = Pipeline::open(cluster, "three", "1.4.2").await?;
    let mut crowds = vec![first];
    for version in ["2.0.0", "2.1.0", "2.2.0"] {
        pipeline.manifests(version)?;
        let ended = pipeline.deploy(version, &["--drain-for", "20s"]).await?;
        ended
            .well()?
            .says(&format!("{version} is current"))?
            .says("the way back: skew-guard rollback --helm-release")?;
        for generator in &crowds {
            generator.answers(SOME).await?;
        }
        let newcomers =
            visitors::arrive(&[&pipeline.testbed.gateway], &pipeline.testbed.shop).await?;
        newcomers.until_page_of(version).await?;
        crowds.push(newcomers);
    }
    let again = pipeline.deploy("2.2.0", &["--drain-for", "20s"]).await?;
    again.well()?.says("2.2.0 is current")?;
    // By then the last predecessor has drained.
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    pipeline.run(&["tidy"]).await?.well()?;
    pipeline
        .expect_list(
            "2.2.0 live, 2.1.0 retired, 2.0.0 retired, 1.4.2 retired",
            json!("2.2.0"),
        )
        .await?;
    // 1.4.2 was deployed by hand, so the tool leaves it alone.
    let left = ["api-v1-4-2", "api-v2-2-0", "web-v1-4-2", "web-v2-2-0"];
    until_deployments_are(&pipeline, &left).await?;
    end(pipeline, crowds, "three releases in a row").await
}

/// First the plan; then a tenth of the visitors, half of them, all.
pub async fn by_percent(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = Pipeline::open(cluster, "shares", "1.4.2").await?;
    pipeline.manifests("2.0.0")?;
    let plan = pipeline
        .deploy("2.0.0", &["--percent", "10", "--dry-run"])
        .await?;
    plan.well()?
        .says("list 2.0.0 as live")?
        .says("ask the pods through every gateway")?;
    pipeline.expect_list("1.4.2 live", json!("1.4.2")).await?;

    let ended = pipeline.deploy("2.0.0", &["--percent", "10"]).await?;
    ended.well()?.says("2.0.0 has 10 percent of the visitors")?;
    load.answers(SOME).await?;
    let ended = pipeline.deploy("2.0.0", &["--percent", "50"]).await?;
    ended.well()?.says("2.0.0 has 50 percent of the visitors")?;
    load.until_page_of("2.0.0").await?;
    pipeline
        .deploy("2.0.0", &[])
        .await?
        .well()?
        .says("2.0.0 is current")?;
    pipeline
        .expect_list("2.0.0 live, 1.4.2 draining", json!("2.0.0"))
        .await?;
    load.answers(SOME).await?;
    end(pipeline, vec![load], "a release by shares").await
}

/// A namespace that a release brings with it.
const ELSEWHERE: &str = "preview-elsewhere";

/// Staged, for testers only; then the same release for everybody. Its manifests have objects of two namespaces.
pub async fn a_preview(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = Pipeline::open(cluster, "preview", "1.4.2").await?;
    pipeline.manifests("2.0.0")?;
    pipeline.add_settings_elsewhere("2.0.0", ELSEWHERE)?;
    let ended = pipeline.deploy("2.0.0", &["--preview"]).await?;
    ended.well()?.says("2.0.0 is staged")?;
    let kubernetes = cluster.kubernetes();
    kubernetes
        .delete(ELSEWHERE, "configmap", "settings")
        .await?;
    pipeline
        .expect_list("2.0.0 staged, 1.4.2 live", json!("1.4.2"))
        .await?;
    load.answers(SOME).await?;
    ensure!(
        !load.pages().contains_key("2.0.0"),
        "nobody gets a staged release"
    );
    pipeline
        .deploy("2.0.0", &[])
        .await?
        .well()?
        .says("2.0.0 is current")?;
    load.until_page_of("2.0.0").await?;
    kubernetes.delete_namespace(ELSEWHERE).await?;
    end(pipeline, vec![load], "a preview").await
}

/// A shop with a plain Deployment for each tier, and visitors who use it.
pub async fn plain_shop<'a>(cluster: &'a Cluster, name: &str) -> Result<(Pipeline<'a>, Load)> {
    let mut testbed = Testbed::set_up(cluster, name).await?;
    testbed.shop.roll_out("1.4.2", 3).await?;
    testbed.step(&[("1.4.2", "live")], json!("")).await?;
    let load = visitors::arrive(&[&testbed.gateway], &testbed.shop).await?;
    load.answers(SOME).await?;
    let pipeline = Pipeline::of(cluster, testbed)?;
    Ok((pipeline, load))
}

/// One Deployment for each tier, whose pods change, and back again.
pub async fn plain_deployments(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = plain_shop(cluster, "roll").await?;
    pipeline.plain_manifests("2.0.0")?;
    let refused = pipeline.deploy("2.0.0", &[]).await?;
    refused.badly("exists already and has the pods of 1.4.2")?;

    let ended = pipeline.deploy("2.0.0", &["--rolling"]).await?;
    ended.well()?.says("2.0.0 is rolled out")?;
    load.until_no_page_of("1.4.2").await?;
    pipeline
        .expect_list("2.0.0 live, 1.4.2 retired", json!(""))
        .await?;
    load.answers(SOME).await?;

    let old = pipeline.plain_manifests("1.4.2")?;
    let ended = pipeline.run(&["rollback", "--apply", &old]).await?;
    ended.well()?.says("rolled back")?;
    load.until_no_page_of("2.0.0").await?;
    pipeline
        .expect_list("2.0.0 retired, 1.4.2 live", json!(""))
        .await?;
    load.answers(SOME).await?;
    end(pipeline, vec![load], "rolling Deployments").await
}

/// A hanging deployment is rolled back while it runs, and a finished one afterwards.
pub async fn rolled_back(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = Pipeline::open(cluster, "back", "1.4.2").await?;
    let place = pipeline.manifests("2.0.0")?;
    let mut hanging = pipeline.begin(&[
        "deploy",
        "2.0.0",
        "--run",
        &format!("kubectl apply --namespace back --filename {place}/api.yaml"),
    ])?;
    hanging.said("service web has no pod").await?;
    let ended = pipeline.run(&["rollback"]).await?;
    ended
        .well()?
        .says("takes the lease over from deploy 2.0.0")?;
    hanging
        .ended()
        .await?
        .says("someone else has taken the lease over")?;
    pipeline
        .expect_list("2.0.0 retired, 1.4.2 live", json!("1.4.2"))
        .await?;
    load.answers(SOME).await?;

    pipeline.manifests("2.1.0")?;
    pipeline.deploy("2.1.0", &[]).await?.well()?;
    load.until_page_of("2.1.0").await?;
    let newcomers = visitors::arrive(&[&pipeline.testbed.gateway], &pipeline.testbed.shop).await?;
    pipeline
        .run(&["rollback"])
        .await?
        .well()?
        .says("rolled back")?;
    load.until_no_page_of("2.1.0").await?;
    newcomers.until_no_page_of("2.1.0").await?;
    pipeline
        .expect_list("2.1.0 retired, 2.0.0 retired, 1.4.2 live", json!("1.4.2"))
        .await?;
    let ended = pipeline.run(&["rollback"]).await?;
    ended.well()?.says("nothing is left to do")?;
    pipeline.run(&["tidy"]).await?.well()?;
    let left = ["api-v1-4-2", "api-v2-0-0", "web-v1-4-2"];
    until_deployments_are(&pipeline, &left).await?;

    // The pages of 2.0.0 were never deployed.
    let to_none = [
        "rollback",
        "--bad",
        "1.4.2",
        "--to",
        "2.0.0",
        "--timeout",
        "30s",
    ];
    let ended = pipeline.run(&to_none).await?;
    ended.badly("service web has no ready pod of 2.0.0")?;
    pipeline
        .expect_list("2.1.0 retired, 2.0.0 live, 1.4.2 live", json!("1.4.2"))
        .await?;
    load.answers(SOME).await?;
    end(
        pipeline,
        vec![load, newcomers],
        "a rollback during a deployment, and one after it",
    )
    .await
}

/// Ends the load: no visitor was skewed, and no request failed.
pub async fn end(pipeline: Pipeline<'_>, crowds: Vec<Load>, story: &str) -> Result<()> {
    for generator in crowds {
        generator.answers(SOME).await?;
        visitors::expect_neither_skew_nor_failure(story, &generator.stop().await)?;
    }
    pipeline.testbed.tear_down().await
}
