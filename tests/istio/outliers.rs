//! Outlier detection, which ejects healthy pods.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::Cluster;
use skew_guard_lab::wait;

use crate::shop::Tier;
use crate::testbed::{OLD_TAB, Testbed, deployment};
use crate::visitors::answered_by;

/// More consecutive failures than the policy tolerates.
const FAILURES: usize = 6;

/// The release that then answers a tab of the draining one: `None` if it was told to reload.
type Kept = Option<String>;

/// One visitor's errors eject the only pod of a draining release, and every tab of it is told to reload; with
/// `minHealthPercent` Envoy keeps using the only pod.
pub async fn that_may_eject_the_only_pod(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "ejected").await?;
    for tier in Tier::BOTH {
        let name = deployment(tier, "1.4.2");
        testbed.shop.deploy(tier, &name, "1.4.2", 1).await?;
        testbed.shop.rolled_out(&name).await?;
    }
    testbed.deploy("2.0.0").await?;
    let listed = [("2.0.0", "live"), ("1.4.2", "draining")];
    testbed.chart.list(&listed, json!("2.0.0"));
    let policy = json!({
        "consecutive5xxErrors": 5, "interval": "1s", "baseEjectionTime": "300s", "maxEjectionPercent": 100,
    });
    ensure!(
        after_the_errors(&mut testbed, policy.clone())
            .await?
            .is_none(),
        "the ejected pod still serves its tabs: the README says otherwise"
    );
    let mut mended = policy;
    mended["minHealthPercent"] = json!(50);
    ensure!(
        after_the_errors(&mut testbed, mended).await? == Some("1.4.2".to_owned()),
        "minHealthPercent keeps the tabs with their release"
    );
    testbed.tear_down().await
}

/// Which release answers a tab under that policy, once a visitor's errors have ejected the pod.
async fn after_the_errors(testbed: &mut Testbed<'_>, policy: Value) -> Result<Kept> {
    testbed.chart.values()["services"][0]["trafficPolicy"] = json!({ "outlierDetection": policy });
    testbed.upgrade().await?;
    wait::until(
        "the policy to be in force, with nobody ejected",
        async || {
            let kept = tab(testbed).await?;
            let said = testbed.gateway.config_dump().await?.to_string();
            let is_mended = policy.get("minHealthPercent").is_none()
                || said.contains("healthy_panic_threshold\":{\"value\":50");
            Ok(kept.is_some() && is_mended && !is_ejected(testbed).await?)
        },
    )
    .await?;
    for _ in 0..FAILURES {
        testbed.ask("/api/status/500", &OLD_TAB).await?;
    }
    wait::until("the pod to be ejected", async || is_ejected(testbed).await).await?;
    tab(testbed).await
}

async fn tab(testbed: &Testbed<'_>) -> Result<Kept> {
    let answer = testbed.ask("/api/cart", &OLD_TAB).await?;
    let told = answer.headers().get("x-client-update");
    let is_told = told.is_some_and(|word| word == "required");
    ensure!(
        is_told || answer.status().is_success(),
        "{} for a tab of a draining release",
        answer.status()
    );
    Ok((!is_told).then(|| answered_by(&answer).to_owned()))
}

/// As Envoy reports for the only endpoint of the old release's API.
async fn is_ejected(testbed: &Testbed<'_>) -> Result<bool> {
    let clusters = testbed.gateway.admin_get("/clusters").await?;
    let host = testbed.shop.service_host(Tier::Api);
    let mut lines = clusters.lines();
    Ok(lines.any(|line| {
        line.contains("|v1-4-2|") && line.contains(&host) && line.contains("failed_outlier_check")
    }))
}
