//! Several gateways, and several applications on one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, Gateway, GatewayName};
use skew_guard_lab::load::Load;

use crate::chart::Chart;
use crate::shop::{Shop, Tier};
use crate::testbed::Testbed;
use crate::visitors::{self, answered_by, ask};

/// How much later the second gateway learns each step.
const LATE: Duration = Duration::from_secs(10);

/// Each request of a tab goes to a different gateway from the one before, throughout a release's life.
pub async fn one_that_lags_behind(cluster: &Cluster) -> Result<()> {
    let (mut testbed, late, load) =
        Testbed::open_behind_two_gateways(cluster, "late", "1.4.2").await?;
    let listed = [("2.0.0", "live"), ("1.4.2", "live")];
    let swapped = [("2.0.0", "live"), ("1.4.2", "draining")];
    let retired = [("2.0.0", "live"), ("1.4.2", "retired")];
    step(&mut testbed, &late, &load, &listed, "1.4.2").await?;
    testbed.deploy("2.0.0").await?;
    step(&mut testbed, &late, &load, &swapped, "2.0.0").await?;
    step(&mut testbed, &late, &load, &retired, "2.0.0").await?;
    load.until_no_page_of("1.4.2").await?;
    testbed.remove("1.4.2").await?;
    step(&mut testbed, &late, &load, &[("2.0.0", "live")], "2.0.0").await?;
    visitors::expect_neither_skew_nor_failure("a gateway ten seconds late", &load.stop().await)?;
    testbed.tear_down().await
}

/// A step that one gateway takes at once and the other after the delay.
async fn step(
    testbed: &mut Testbed<'_>,
    late: &Gateway,
    load: &Load,
    releases: &[(&str, &str)],
    current: &str,
) -> Result<()> {
    testbed.chart.list(releases, json!(current));
    late.discovery().pause();
    let revision = testbed.chart.upgrade().await?;
    testbed.chart.in_force(&testbed.gateway, revision).await?;
    tokio::time::sleep(LATE).await;
    ensure!(
        testbed.chart.revision(late).await? < Some(revision),
        "the second gateway is behind"
    );
    late.discovery().resume();
    testbed.chart.in_force(late, revision).await?;
    load.answers(300).await
}

/// Two kinds of Pod serve the routes: on both an old tab keeps its release, and no client chooses one by the header.
pub async fn each_with_its_own_plugin(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "several").await?;
    let second = cluster.start_gateway(GatewayName::Second).await?;
    let plugin = |name: GatewayName| {
        json!({
            "name": name.label(), "namespace": GATEWAY_NAMESPACE, "selector": { "gateway": name.label() },
            "gateways": [name.label()],
        })
    };
    let plugins = [GatewayName::First, GatewayName::Second].map(plugin);
    testbed.chart.values()["plugins"] = json!(plugins);
    let settings = testbed.chart.values()["plugin"].as_object_mut();
    settings.context("a map")?.remove("namespace");
    testbed.deploy("1.4.2").await?;
    testbed.deploy("2.0.0").await?;
    let listed = [("2.0.0", "live"), ("1.4.2", "draining")];
    testbed.chart.list(&listed, json!("2.0.0"));
    testbed.chart.step(&[&testbed.gateway, &second]).await?;
    for gateway in [&testbed.gateway, &second] {
        for (headers, version) in [
            ([("x-bundle-version", "1.4.2")], "1.4.2"),
            ([("x-release", "v1-4-2")], "2.0.0"),
        ] {
            let answer = ask(gateway, &testbed.shop, "/api/cart", &headers).await?;
            ensure!(
                answered_by(&answer) == version,
                "{}: {} answers {headers:?}",
                gateway.name().label(),
                answered_by(&answer)
            );
        }
    }
    testbed.tear_down().await
}

/// One has the chart too, with another route header; the other has only a version header of the same name.
pub async fn other_applications(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "ours").await?;
    testbed.deploy("1.4.2").await?;
    testbed.step(&[("1.4.2", "live")], json!("1.4.2")).await?;

    let second = Shop::open(cluster, "theirs").await?;
    let mut chart = Chart::of(cluster, &second).await?;
    chart.values()["config"]["routeHeader"] = json!("x-their-release");
    second.roll_out("7.0.0", 1).await?;
    chart.list(&[("7.0.0", "live")], json!("7.0.0"));
    chart.step(&[&testbed.gateway]).await?;

    let third = Shop::open(cluster, "plainly").await?;
    let http = json!([{ "route": third.route_to(Tier::Api) }]);
    let label = GatewayName::First.label();
    third
        .apply(third.virtual_service("shop", label, http))
        .await?;
    third.deploy(Tier::Api, "api", "3.1.0", 1).await?;
    third.rolled_out("api").await?;

    let ours = visitors::arrive(&[&testbed.gateway], &testbed.shop).await?;
    let theirs = visitors::arrive(&[&testbed.gateway], &second).await?;
    ours.answers(500).await?;
    theirs.answers(500).await?;
    testbed
        .step(&[("2.0.0", "live"), ("1.4.2", "live")], json!("1.4.2"))
        .await?;
    passes_untouched(&testbed.gateway, &third).await?;
    visitors::expect_neither_skew_nor_failure("our application", &ours.stop().await)?;
    visitors::expect_neither_skew_nor_failure("the other with a chart", &theirs.stop().await)?;
    chart.uninstall().await?;
    second.close().await?;
    third.close().await?;
    testbed.tear_down().await
}

/// It sends versions that our list does not have, and headers that we would remove.
async fn passes_untouched(gateway: &Gateway, shop: &Shop<'_>) -> Result<()> {
    let headers = [
        ("x-bundle-version", "0.0.9"),
        ("x-release", "theirs"),
        ("x-their-release", "theirs"),
    ];
    let answer = ask(gateway, shop, "/api/request", &headers).await?;
    ensure!(
        answer.status().is_success(),
        "{} for an application without a chart",
        answer.status()
    );
    ensure!(
        answered_by(&answer) == "3.1.0",
        "another application answered"
    );
    ensure!(
        !answer.headers().contains_key("vary"),
        "an answer outside the scope is left as it is"
    );
    let received: Value = answer.json().await?;
    for (name, value) in headers {
        ensure!(
            received["headers"]
                .as_array()
                .is_some_and(|lines| lines.contains(&json!([name, value]))),
            "{name} was touched"
        );
    }
    Ok(())
}
