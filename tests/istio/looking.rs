//! `skew-guard check --cluster` in a real cluster: each of its findings is provoked, and its effect observed.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, GatewayName};
use skew_guard_lab::wait;

use crate::configuration::answers_to_the_old_tab;
use crate::shop::{POD_PORT, Tier};
use crate::testbed::{Testbed, deployment};
use crate::visitors::{answered_by, ask};
use crate::waiting;

/// The gateway's namespace. It is not Istio's own, where rules would win.
const EDGE: &str = "edge";

/// A good installation, then everything that may be wrong with one.
pub async fn finds_what_is_wrong(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up_with_gateway_in(cluster, "looked-at", EDGE).await?;
    testbed.chart.values()["gateways"] = json!([GatewayName::First.label()]);
    testbed.shop.apply(neighbour(&testbed, "earlier")).await?;
    testbed.deploy("1.4.2").await?;
    testbed.deploy("2.0.0").await?;
    testbed
        .chart
        .list(&[("2.0.0", "live"), ("1.4.2", "draining")], json!("2.0.0"));
    testbed.chart.step(&[&testbed.gateway]).await?;

    routes_of_others(cluster, &testbed).await?;
    a_rule_beside_the_gateway(cluster, &testbed).await?;
    tags(cluster, &testbed).await?;
    finds(cluster, &testbed, 0, "").await?;
    a_gateway_without_the_plugin(cluster, &mut testbed).await?;
    ports_and_labels_that_match_nothing(cluster, &mut testbed).await?;
    images(cluster, &mut testbed).await?;
    pods_that_are_not_there(cluster, &mut testbed).await?;
    testbed.tear_down().await
}

/// The tool ends with this code and says this; with `""` only what it cannot check here.
async fn finds(cluster: &Cluster, testbed: &Testbed<'_>, code: i32, words: &str) -> Result<()> {
    let said = waiting::run(cluster, "check", &testbed.chart, &["--cluster"]).await?;
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
    let host = testbed.shop.service_host(Tier::Web);
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": { "name": name },
        "spec": {
            "hosts": [testbed.shop.host()],
            "gateways": [GatewayName::First.label()],
            "http": [{
                "match": [{ "uri": { "prefix": "/api" } }],
                "route": [{ "destination": { "host": host, "port": { "number": POD_PORT } } }],
            }],
        },
    })
}

/// An older VirtualService's routes win over ours, and keep nobody's release.
async fn routes_of_others(cluster: &Cluster, testbed: &Testbed<'_>) -> Result<()> {
    wait::until("the older routes to win", async || {
        let old = [("x-bundle-version", "1.4.2")];
        let address = testbed.gateway.address();
        let answer = ask(address, &testbed.shop, "/api/cart", &old).await?;
        let kind = answer.headers().get("content-type");
        let is_of_api = kind.is_some_and(|kind| kind == "application/json");
        Ok(!answered_by(&answer).is_empty() && !is_of_api)
    })
    .await?;
    finds(
        cluster,
        testbed,
        0,
        "VirtualService looked-at/earlier is for looked-at.example.com, too, and older",
    )
    .await?;
    testbed
        .shop
        .kubectl(&["delete", "virtualservice", "earlier"])
        .await?;
    testbed.shop.apply(neighbour(testbed, "later")).await?;
    answers_to_the_old_tab(testbed, "1.4.2").await?;
    finds(
        cluster,
        testbed,
        0,
        "VirtualService looked-at/later is for looked-at.example.com, too, and newer",
    )
    .await?;
    testbed
        .shop
        .kubectl(&["delete", "virtualservice", "later"])
        .await?;
    Ok(())
}

/// It hides ours from the gateway, and with it every release.
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
    for (what, headers) in [
        ("no tab", &[][..]),
        ("a tab of current", &[("x-bundle-version", "2.0.0")]),
    ] {
        wait::until(&format!("{what} to be served"), async || {
            let answer = ask(
                testbed.gateway.address(),
                &testbed.shop,
                "/api/cart",
                headers,
            )
            .await?;
            Ok(answer.status().as_u16() == 503)
        })
        .await?;
    }
    finds(cluster, testbed, 1, "DestinationRule edge/theirs is for api.looked-at.svc.cluster.local and stands beside the gateways, where it wins over ours").await?;
    kubernetes.delete(EDGE, "destinationrule", "theirs").await?;
    answers_to_the_old_tab(testbed, "1.4.2").await
}

/// An installed Istio has its configuration in a ConfigMap.
async fn tags(cluster: &Cluster, testbed: &Testbed<'_>) -> Result<()> {
    for (tags, words) in [
        (
            json!(["release", "outcome"]),
            "edge/first does not know the tags class, answer, plugin",
        ),
        (
            json!(["release", "outcome", "class", "answer", "plugin"]),
            "",
        ),
    ] {
        let mesh = json!({ "defaultConfig": { "extraStatTags": tags } });
        cluster
            .kubernetes()
            .apply(&json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": { "name": "istio", "namespace": "istio-system" },
                "data": { "mesh": mesh.to_string() },
            }))
            .await?;
        finds(cluster, testbed, 0, words).await?;
    }
    Ok(())
}

/// It obeys a client that names its release.
async fn a_gateway_without_the_plugin(cluster: &Cluster, testbed: &mut Testbed<'_>) -> Result<()> {
    let second = cluster.start_gateway(GatewayName::Second).await?;
    let both = [GatewayName::First, GatewayName::Second].map(GatewayName::label);
    testbed.chart.values()["gateways"] = json!(both);
    testbed.chart.step(&[&testbed.gateway]).await?;
    wait::until("the second gateway to serve the routes", async || {
        let chosen = [("x-release", "v1-4-2")];
        let answer = ask(second.address(), &testbed.shop, "/api/cart", &chosen).await?;
        Ok(answered_by(&answer) == "1.4.2")
    })
    .await?;
    let words = format!("{GATEWAY_NAMESPACE}/second serves Gateway second without the plugin");
    finds(cluster, testbed, 1, &words).await?;
    second.stop().await?;
    testbed.chart.values()["gateways"] = json!([GatewayName::First.label()]);
    testbed.chart.step(&[&testbed.gateway]).await
}

/// A plugin that applies to no pod or no port.
async fn ports_and_labels_that_match_nothing(
    cluster: &Cluster,
    testbed: &mut Testbed<'_>,
) -> Result<()> {
    testbed.chart.values()["plugin"]["ports"] = json!([443]);
    testbed.chart.upgrade().await?;
    finds(
        cluster,
        testbed,
        1,
        "edge/first port 9080 http://looked-at.example.com is served without the plugin",
    )
    .await?;
    testbed.chart.values()["plugin"]["ports"] = json!([]);
    testbed.chart.values()["selector"] = json!({ "istio": "ingress" });
    testbed.chart.upgrade().await?;
    finds(
        cluster,
        testbed,
        1,
        "there are no pods with the labels istio=ingress in namespace edge",
    )
    .await?;
    testbed.chart.values()["selector"] = json!({});
    testbed.chart.step(&[&testbed.gateway]).await
}

/// An image that is not in the registry, and one named by a tag.
async fn images(cluster: &Cluster, testbed: &mut Testbed<'_>) -> Result<()> {
    let (right, tag) = (
        testbed.chart.image().url(),
        testbed.chart.image().url_by_tag(),
    );
    testbed.chart.values()["plugin"]["url"] = json!(tag);
    testbed.chart.upgrade().await?;
    finds(
        cluster,
        testbed,
        0,
        "is a tag, and what stands under it may change",
    )
    .await?;
    testbed.chart.values()["plugin"]["url"] = json!(format!("{tag}-mistyped"));
    testbed.chart.upgrade().await?;
    finds(cluster, testbed, 1, "-mistyped cannot be pulled").await?;
    testbed.chart.values()["plugin"]["url"] = json!(right);
    testbed.chart.step(&[&testbed.gateway]).await
}

/// Pods without their subset's labels, and a listed release whose pods are gone.
async fn pods_that_are_not_there(cluster: &Cluster, testbed: &mut Testbed<'_>) -> Result<()> {
    testbed.deploy("2.1.0").await?;
    let listed = [("2.1.0", "live"), ("2.0.0", "live"), ("1.4.2", "draining")];
    testbed.chart.list(&listed, json!("2.0.0"));
    testbed.chart.values()["releases"][0]["labels"] = json!({ "release": "2.1.0" });
    testbed.chart.step(&[&testbed.gateway]).await?;
    finds(cluster, testbed, 0, "2.1.0 has no pods of service api: right before they are deployed; else they lack the labels").await?;
    testbed.step(&listed, json!("2.0.0")).await?;
    finds(cluster, testbed, 0, "").await?;

    let old = deployment(Tier::Api, "1.4.2");
    testbed
        .shop
        .kubectl(&["delete", "deployment", &old])
        .await?;
    testbed.shop.gone(Tier::Api, "1.4.2").await?;
    finds(
        cluster,
        testbed,
        0,
        "1.4.2 has no pods of service api: its tabs are told to reload",
    )
    .await?;
    let current = deployment(Tier::Api, "2.0.0");
    testbed
        .shop
        .kubectl(&["delete", "deployment", &current])
        .await?;
    testbed.shop.gone(Tier::Api, "2.0.0").await?;
    finds(
        cluster,
        testbed,
        1,
        "2.0.0 has no pods of service api, and it is current: every visitor gets 503",
    )
    .await
}
