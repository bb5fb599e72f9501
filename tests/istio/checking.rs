//! `skew-guard check --cluster` in a real cluster: each finding is provoked, and its effect on requests is observed.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, GatewayName};
use skew_guard_lab::wait;

use crate::shop::Tier;
use crate::testbed::{OLD_TAB, Testbed};
use crate::visitors::{answered_by, ask};

/// The gateway's namespace. It is not Istio's own, where rules would win.
const EDGE: &str = "edge";

/// The tags of the counters.
pub const TAGS: [&str; 5] = ["release", "outcome", "class", "answer", "plugin"];

/// A good installation, then one mistake after another.
pub async fn finds_what_is_wrong(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up_with_gateway_in(cluster, "checked", EDGE).await?;
    testbed.chart.values()["gateways"] = json!([GatewayName::First.label()]);
    testbed.shop.apply(neighbour(&testbed, "earlier")).await?;
    testbed.serve_two_releases().await?;

    routes_of_others(&testbed).await?;
    a_rule_beside_the_gateway(cluster, &testbed).await?;
    tags(cluster, &testbed).await?;
    finds(&testbed, 0, "").await?;
    a_gateway_without_the_plugin(cluster, &mut testbed).await?;
    ports_and_labels_that_match_nothing(&mut testbed).await?;
    images(&mut testbed).await?;
    pods_that_are_not_there(&mut testbed).await?;
    testbed.tear_down().await
}

/// Expects this code and a finding with these words; with `""`, no finding but those that cannot be checked here.
async fn finds(testbed: &Testbed<'_>, code: i32, words: &str) -> Result<()> {
    let said = testbed.chart.tool("check", &["--cluster"]).await?;
    let findings = said.answer["findings"].as_array();
    let seen: Vec<_> = findings
        .context("a list")?
        .iter()
        .filter(|finding| finding["kind"] != "not seen")
        .collect();
    let is_said = if words.is_empty() {
        seen.is_empty()
    } else {
        seen.iter().any(|finding| {
            finding["text"]
                .as_str()
                .is_some_and(|text| text.contains(words))
        })
    };
    ensure!(
        is_said && said.code == code,
        "{code} and `{words}` expected: {said:#?}"
    );
    eprintln!("  found: {words}");
    Ok(())
}

/// Somebody else's routes for our host.
fn neighbour(testbed: &Testbed<'_>, name: &str) -> Value {
    let shop = &testbed.shop;
    let http =
        json!([{ "match": [{ "uri": { "prefix": "/api" } }], "route": shop.route_to(Tier::Web) }]);
    shop.virtual_service(name, GatewayName::First.label(), http)
}

/// The routes of an older VirtualService win over the chart's, and pin nobody.
async fn routes_of_others(testbed: &Testbed<'_>) -> Result<()> {
    wait::until("the older routes to win", async || {
        let answer = testbed.ask("/api/cart", &OLD_TAB).await?;
        let kind = answer.headers().get("content-type");
        let is_of_api = kind.is_some_and(|kind| kind == "application/json");
        Ok(!answered_by(&answer).is_empty() && !is_of_api)
    })
    .await?;
    finds(
        testbed,
        0,
        "VirtualService checked/earlier is for checked.example.com, too, and is older",
    )
    .await?;
    testbed.shop.delete("virtualservice", "earlier").await?;
    testbed.shop.apply(neighbour(testbed, "later")).await?;
    testbed.old_tab_reaches("1.4.2").await?;
    finds(
        testbed,
        0,
        "VirtualService checked/later is for checked.example.com, too, and is newer",
    )
    .await?;
    testbed.shop.delete("virtualservice", "later").await?;
    Ok(())
}

/// It hides the chart's rule from the gateway, and with it every subset.
async fn a_rule_beside_the_gateway(cluster: &Cluster, testbed: &Testbed<'_>) -> Result<()> {
    let kubernetes = cluster.kubernetes();
    let rule = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": { "name": "theirs", "namespace": EDGE },
        "spec": {
            "host": testbed.shop.service_host(Tier::Api),
            "trafficPolicy": { "connectionPool": { "http": { "http1MaxPendingRequests": 1000 } } },
        },
    });
    kubernetes.apply(&rule).await?;
    for headers in [&[][..], &[("x-bundle-version", "2.0.0")]] {
        wait::until(&format!("503 for {headers:?}"), async || {
            let answer = testbed.ask("/api/cart", headers).await?;
            Ok(answer.status().as_u16() == 503)
        })
        .await?;
    }
    let host = testbed.shop.service_host(Tier::Api);
    let words = format!(
        "DestinationRule edge/theirs is for {host} and is in the gateways' namespace, where it wins over the chart's"
    );
    finds(testbed, 1, &words).await?;
    kubernetes.delete(EDGE, "destinationrule", "theirs").await?;
    testbed.old_tab_reaches("1.4.2").await
}

/// Without its tags the counters cannot be told apart.
async fn tags(cluster: &Cluster, testbed: &Testbed<'_>) -> Result<()> {
    publish_tags(cluster, &TAGS[..2]).await?;
    let words = "edge/first does not know the tags class, answer, plugin";
    finds(testbed, 0, words).await?;
    publish_tags(cluster, &TAGS).await?;
    finds(testbed, 0, "").await
}

/// Writes these tags to where an installed Istio has its configuration. The lab's own is in a file.
pub async fn publish_tags(cluster: &Cluster, tags: &[&str]) -> Result<()> {
    let mesh = json!({ "defaultConfig": { "extraStatTags": tags } });
    let configuration = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "istio", "namespace": GATEWAY_NAMESPACE },
        "data": { "mesh": mesh.to_string() },
    });
    cluster.kubernetes().apply(&configuration).await
}

/// It obeys a client that names its release.
async fn a_gateway_without_the_plugin(cluster: &Cluster, testbed: &mut Testbed<'_>) -> Result<()> {
    let second = cluster.start_gateway(GatewayName::Second).await?;
    let both = [GatewayName::First, GatewayName::Second].map(GatewayName::label);
    testbed.chart.values()["gateways"] = json!(both);
    testbed.upgrade().await?;
    wait::until("the second gateway to serve the routes", async || {
        let chosen = [("x-release", "v1-4-2")];
        let answer = ask(&second, &testbed.shop, "/api/cart", &chosen).await?;
        Ok(answered_by(&answer) == "1.4.2")
    })
    .await?;
    let words = format!("{GATEWAY_NAMESPACE}/second serves Gateway second without the plugin");
    finds(testbed, 1, &words).await?;
    second.stop().await?;
    testbed.chart.values()["gateways"] = json!([GatewayName::First.label()]);
    testbed.upgrade().await
}

/// A plugin that applies to no pod or no port.
async fn ports_and_labels_that_match_nothing(testbed: &mut Testbed<'_>) -> Result<()> {
    testbed.chart.values()["plugin"]["ports"] = json!([443]);
    testbed.chart.upgrade().await?;
    finds(
        testbed,
        1,
        "edge/first port 9080 http://checked.example.com is served without the plugin",
    )
    .await?;
    testbed.chart.values()["plugin"]["ports"] = json!([]);
    testbed.chart.values()["selector"] = json!({ "istio": "ingress" });
    testbed.chart.upgrade().await?;
    finds(
        testbed,
        1,
        "there are no pods with the labels istio=ingress in namespace edge",
    )
    .await?;
    testbed.chart.values()["selector"] = json!({});
    testbed.upgrade().await
}

/// An image that is not in the registry, and one named by a tag.
async fn images(testbed: &mut Testbed<'_>) -> Result<()> {
    let (right, tag) = (
        testbed.chart.image().url(),
        testbed.chart.image().url_by_tag(),
    );
    testbed.chart.values()["plugin"]["url"] = json!(tag);
    testbed.chart.upgrade().await?;
    finds(testbed, 0, "is a tag, which may be moved").await?;
    testbed.chart.values()["plugin"]["url"] = json!(format!("{tag}-mistyped"));
    testbed.chart.upgrade().await?;
    finds(testbed, 1, "-mistyped cannot be pulled").await?;
    testbed.chart.values()["plugin"]["url"] = json!(right);
    testbed.upgrade().await
}

/// Pods without their subset's labels, and a listed release whose pods are gone.
async fn pods_that_are_not_there(testbed: &mut Testbed<'_>) -> Result<()> {
    testbed.deploy("2.1.0").await?;
    let listed = [("2.1.0", "live"), ("2.0.0", "live"), ("1.4.2", "draining")];
    testbed.chart.list(&listed, json!("2.0.0"));
    testbed.chart.values()["releases"][0]["labels"] = json!({ "release": "2.1.0" });
    testbed.upgrade().await?;
    finds(
        testbed,
        0,
        "2.1.0 has no pods of service api: as it should be until they are deployed",
    )
    .await?;
    testbed.step(&listed, json!("2.0.0")).await?;
    finds(testbed, 0, "").await?;

    testbed.remove_tier(Tier::Api, "1.4.2").await?;
    finds(
        testbed,
        0,
        "1.4.2 has no pods of service api: its tabs are told to reload",
    )
    .await?;
    testbed.remove_tier(Tier::Api, "2.0.0").await?;
    finds(
        testbed,
        1,
        "2.0.0 has no pods of service api, and it is current: every visitor gets 503",
    )
    .await
}
