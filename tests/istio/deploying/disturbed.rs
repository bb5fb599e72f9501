//! Disturbed deployments: each waits or ends, says why, and does no visitor any harm.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, Gateway, GatewayName};

use super::pipeline::{Pipeline, Running, until_deployments_are};
use super::release::end;
use crate::shop::{self, Tier};
use crate::testbed::{Testbed, deployment};
use crate::visitors;
use crate::waiting::{refuse_routes, take_routes_again};

/// How much later the second gateway learns of a change.
const LATE: Duration = Duration::from_secs(10);

/// How many answers show that nobody notices.
const SOME: u64 = 300;

/// The second gateway gets everything ten seconds after the first.
pub async fn by_a_gateway_that_lags_behind(cluster: &Cluster) -> Result<()> {
    let (testbed, late, load) =
        Testbed::open_behind_two_gateways(cluster, "tardy", "1.4.2").await?;
    let pipeline = Pipeline::of(cluster, testbed)?;
    pipeline.manifests("2.0.0")?;
    let mut deploying = pipeline.begin_deploy("2.0.0", &[])?;
    late.discovery().pause();
    learns_late(&mut deploying, &late, 2).await?;
    // It must know the new pods before they are current; the probe waits for that.
    deploying.said("answer through every gateway (").await?;
    late.discovery().pause();
    learns_late(&mut deploying, &late, 3).await?;
    let ended = deploying.ended().await?.well()?;
    ended
        .says("second still has revision")?
        .says("2 gateways")?;
    load.until_page_of("2.0.0").await?;
    end(pipeline, vec![load], "a gateway ten seconds late").await
}

async fn learns_late(deploying: &mut Running, late: &Gateway, revision: u64) -> Result<()> {
    deploying.said(&format!("to revision {revision}")).await?;
    tokio::time::sleep(LATE).await;
    ensure!(!deploying.has_ended()?, "it does not wait for {revision}");
    late.discovery().resume();
    let learnt = format!("every gateway has revision {revision}");
    deploying.said(&learnt).await
}

/// Another team's object makes Envoy refuse all routes of the port: before the release is listed, before it is
/// current, and before it is rolled back.
pub async fn by_refused_routes(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = Pipeline::open(cluster, "refused", "1.4.2").await?;
    pipeline.manifests("2.0.0")?;
    refuse_routes(cluster).await?;
    let ended = pipeline
        .deploy("2.0.0", &["--timeout", "15s"])
        .await?
        .badly("but still has the routes")?;
    ended.says("revision 2 is not in force everywhere")?;
    pipeline
        .expect_list("2.0.0 live, 1.4.2 live", json!("1.4.2"))
        .await?;
    load.answers(SOME).await?;

    let mut deploying = pipeline.begin_deploy("2.0.0", &[])?;
    deploying.said("_r1 of").await?;
    take_routes_again(cluster).await?;
    // Between the two lists.
    deploying.said("applies k8s/2.0.0").await?;
    refuse_routes(cluster).await?;
    deploying.said("_r2 of").await?;
    load.answers(SOME).await?;
    ensure!(!deploying.has_ended()?, "it waits for the routes");
    take_routes_again(cluster).await?;
    deploying.ended().await?.well()?.says("2.0.0 is current")?;
    load.until_page_of("2.0.0").await?;

    refuse_routes(cluster).await?;
    let mut returning = pipeline.begin(&["rollback"])?;
    returning.said("_r3 of").await?;
    load.answers(SOME).await?;
    take_routes_again(cluster).await?;
    returning.ended().await?.well()?.says("rolled back")?;
    load.until_no_page_of("2.0.0").await?;
    end(pipeline, vec![load], "routes refused at each step").await
}

/// The plugin refuses what somebody wrote into it by hand.
pub async fn by_a_refused_configuration(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = Pipeline::open(cluster, "typos", "1.4.2").await?;
    pipeline.manifests("2.0.0")?;
    let typo = |value: Value| json!({ "pluginConfig": { "curent": value } });
    pipeline
        .testbed
        .chart
        .patch_plugin(typo(json!("2.0.0")))
        .await?;
    let mut deploying = pipeline.begin_deploy("2.0.0", &[])?;
    deploying.said("refused its newest configuration").await?;
    load.answers(SOME).await?;
    pipeline
        .testbed
        .chart
        .patch_plugin(typo(Value::Null))
        .await?;
    deploying.ended().await?.well()?.says("2.0.0 is current")?;
    end(pipeline, vec![load], "a configuration that gateways refuse").await
}

/// The new release's pods do not start; a better build of the same release does.
pub async fn by_a_pod_that_never_becomes_ready(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = Pipeline::open(cluster, "unready", "1.4.2").await?;
    pipeline.write("2.0.0", |tier| {
        let mut manifest = shop::deployment(tier, &deployment(tier, "2.0.0"), "2.0.0", 2);
        if tier == Tier::Api {
            let probe = "/spec/template/spec/containers/0/readinessProbe/httpGet/path";
            if let Some(path) = manifest.pointer_mut(probe) {
                *path = json!("/nowhere");
            }
        }
        manifest
    })?;
    let ended = pipeline.deploy("2.0.0", &["--timeout", "20s"]).await?;
    ended
        .badly("gave up after 20s waiting for the pods of 2.0.0")?
        .says("api-v2-0-0")?;
    pipeline
        .expect_list("2.0.0 live, 1.4.2 live", json!("1.4.2"))
        .await?;
    load.answers(SOME).await?;
    ensure!(
        !load.pages().contains_key("2.0.0"),
        "nobody gets a release without pods"
    );
    pipeline.manifests("2.0.0")?;
    pipeline.deploy("2.0.0", &[]).await?.well()?;
    load.until_page_of("2.0.0").await?;
    end(pipeline, vec![load], "pods that are never ready").await
}

/// The second deployment says who holds the Lease, and changes nothing.
pub async fn by_another_deployment(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = Pipeline::open(cluster, "twice", "1.4.2").await?;
    pipeline.manifests("2.0.0")?;
    pipeline.manifests("2.1.0")?;
    let mut first = pipeline.begin(&[
        "deploy",
        "2.0.0",
        "--run",
        "sleep 25; kubectl apply --namespace twice --filename k8s/2.0.0",
    ])?;
    first.said("to revision 2").await?;
    let second = pipeline.deploy("2.1.0", &[]).await?;
    second
        .badly("another deployment is under way")?
        .says("is held by deploy 2.0.0")?;
    first.ended().await?.well()?.says("2.0.0 is current")?;
    pipeline.deploy("2.1.0", &[]).await?.well()?;
    end(pipeline, vec![load], "two at once").await
}

/// One gateway no longer gets any configuration, and the operator says that no visitor comes through it.
pub async fn by_a_gateway_that_is_skipped(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = Pipeline::open(cluster, "skipped", "1.4.2").await?;
    let deaf = cluster.start_gateway(GatewayName::Second).await?;
    deaf.discovery().pause();
    pipeline.manifests("2.0.0")?;
    let waiting = pipeline.deploy("2.0.0", &["--timeout", "20s"]).await?;
    waiting.badly("istio-system/second")?;
    pipeline
        .expect_list("2.0.0 live, 1.4.2 live", json!("1.4.2"))
        .await?;
    let skip = ["--skip-gateway", GatewayName::Second.label()];
    pipeline
        .deploy("2.0.0", &skip)
        .await?
        .well()?
        .says("gateway istio-system/first; NOT ASKED, as you said: istio-system/second")?;
    load.until_page_of("2.0.0").await?;
    drop(deaf);
    end(pipeline, vec![load], "a gateway that is skipped").await
}

/// A tag that nobody has pushed: the gateways keep their configuration.
pub async fn by_a_missing_image(cluster: &Cluster) -> Result<()> {
    let (pipeline, load) = Pipeline::open(cluster, "unpushed", "1.4.2").await?;
    pipeline.manifests("2.0.0")?;
    let before = pipeline.values().await?;
    let url = format!("{}-mistyped", pipeline.testbed.chart.image().url_by_tag());
    let own = json!({ "plugin": { "url": url } });
    fs::write(pipeline.folder().join("own.json"), own.to_string())?;
    let refused = pipeline.deploy("2.0.0", &["--values", "own.json"]).await?;
    refused
        .badly(&format!("{url} cannot be pulled"))?
        .says("manifest unknown")?
        .says("Nothing was changed")?;
    ensure!(pipeline.values().await? == before, "nothing was changed");
    let deployed = pipeline.deploy("2.0.0", &[]).await?.well()?;
    ensure!(
        !deployed.complained.contains("was not looked for"),
        "the registry was asked: {deployed:#?}"
    );
    load.until_page_of("2.0.0").await?;
    end(pipeline, vec![load], "an image that does not exist").await
}

/// `helm upgrade` with last week's file.
pub async fn by_an_old_file(cluster: &Cluster) -> Result<()> {
    let (mut pipeline, load) = Pipeline::open(cluster, "rewound", "1.4.2").await?;
    pipeline.manifests("2.0.0")?;
    pipeline.deploy("2.0.0", &[]).await?.well()?;
    let kept = pipeline.list().await?;
    pipeline
        .testbed
        .chart
        .list(&[("2.0.0", "live"), ("1.4.2", "live")], json!("2.0.0"));
    pipeline.testbed.chart.upgrade().await?;
    pipeline.manifests("2.1.0")?;
    // Making it live again is one safe step back.
    pipeline
        .deploy("2.1.0", &["--dry-run"])
        .await?
        .well()?
        .says("list 2.1.0 as live")?;
    pipeline
        .testbed
        .chart
        .list(&[("2.0.0", "live")], json!("2.0.0"));
    pipeline.testbed.chart.upgrade().await?;
    let refused = pipeline.deploy("2.1.0", &[]).await?;
    let refused =
        refused.badly("without skew-guard, with a list that differs from that of revision 4")?;
    refused.says("--list-of 4")?;
    let ended = pipeline.deploy("2.1.0", &["--list-of", "3"]).await?;
    ended.well()?.says("2.1.0 is current")?;
    ensure!(kept.0 == "2.0.0 live, 1.4.2 draining", "{kept:?}");
    pipeline
        .expect_list("2.1.0 live, 2.0.0 draining, 1.4.2 draining", json!("2.1.0"))
        .await?;
    until_deployments_are(
        &pipeline,
        &[
            "api-v1-4-2",
            "api-v2-0-0",
            "api-v2-1-0",
            "web-v1-4-2",
            "web-v2-0-0",
            "web-v2-1-0",
        ],
    )
    .await?;
    // The old file told the tabs of 1.4.2 that it is gone; nobody was skewed.
    let tally = load.stop().await;
    visitors::report("somebody's old file", &tally);
    ensure!(tally.skewed == 0, "{:?}", tally.examples);
    pipeline.testbed.tear_down().await
}
