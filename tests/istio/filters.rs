//! The plugin next to a redirect, another plugin, and EnvoyFilters.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, GatewayName};
use skew_guard_lab::{tool, trap, wait};

use crate::analysis;
use crate::probing::{Certificate, TLS_PORT, with_tls};
use crate::testbed::{OLD_TAB, Testbed};
use crate::visitors::answered_by;

/// A tab whose release is gone.
const GONE: [(&str, &str); 1] = [("x-bundle-version", "1.0.0")];

/// The plugin answers before a plain port redirects to https, unless it is limited to the other port. Its ports are
/// the pods' ports, whose numbers a Service may map to others.
pub async fn before_the_redirect_to_https(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::with_two_releases(cluster, "redirected").await?;
    let mut service = analysis::gateway_service(GatewayName::First);
    service["spec"]["ports"] = json!([
        { "name": "http", "port": GatewayName::First.port(), "targetPort": GatewayName::First.port() },
        { "name": "https", "port": 443, "targetPort": TLS_PORT },
    ]);
    cluster.kubernetes().apply(&service).await?;
    let certificate = Certificate::of(&testbed.shop.host())?;
    let mut gateway = with_tls(&testbed.shop, &certificate);
    gateway["spec"]["servers"][0]["tls"] = json!({ "httpsRedirect": true });
    gateway["spec"]["servers"][1]["port"]["number"] = json!(443);
    testbed.shop.apply(gateway).await?;
    wait::until("the redirect to be in force", async || {
        Ok(plain(&testbed, &[]).await? == 301)
    })
    .await?;
    ensure!(
        plain(&testbed, &GONE).await? == 409,
        "a tab whose release is gone is told so before it is redirected"
    );

    testbed.chart.values()["plugin"]["ports"] = json!([TLS_PORT]);
    testbed.upgrade().await?;
    wait::until("the plugin to leave plain http alone", async || {
        Ok(plain(&testbed, &GONE).await? == 301)
    })
    .await?;
    let (gone, kept) = (
        by_tls(cluster, &testbed, "1.0.0").await?,
        by_tls(cluster, &testbed, "1.4.2").await?,
    );
    ensure!(gone.starts_with("HTTP/1.1 409"), "by https: {gone}");
    ensure!(kept.contains("x-app-version: 1.4.2"), "by https: {kept}");

    // No listener has the number of the Service's port.
    testbed.chart.values()["plugin"]["ports"] = json!([443]);
    testbed.chart.upgrade().await?;
    wait::until("the plugin to be nowhere", async || {
        let kept = by_tls(cluster, &testbed, "1.4.2").await?;
        Ok(kept.contains("x-app-version: 2.0.0"))
    })
    .await?;
    let kubernetes = cluster.kubernetes();
    kubernetes
        .delete(GATEWAY_NAMESPACE, "service", GatewayName::First.label())
        .await?;
    testbed.tear_down().await
}

/// The status of a request over plain http.
async fn plain(testbed: &Testbed<'_>, headers: &[(&str, &str)]) -> Result<u16> {
    let answer = testbed.ask("/api/cart", headers).await?;
    Ok(answer.status().as_u16())
}

/// What a tab of that version gets over https.
async fn by_tls(cluster: &Cluster, testbed: &Testbed<'_>, version: &str) -> Result<String> {
    let host = testbed.shop.host();
    let script = format!(
        "printf 'GET /api/cart HTTP/1.1\\r\\nhost: {host}\\r\\nx-bundle-version: {version}\\r\\nconnection: close\\r\\n\\r\\n' \
             | openssl s_client -quiet -connect 127.0.0.1:{TLS_PORT} -servername {host} 2> /dev/null"
    );
    cluster
        .shell(&script, &std::env::temp_dir(), &tool::path()?)
        .await
}

/// In one phase, the plugin with the higher priority sees a request first.
pub async fn by_priority(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::with_two_releases(cluster, "ordered").await?;
    let module = cluster.push_image(&trap::module()?, "neighbour", "tested")?;
    // The other plugin writes the header in which ours would look for a version.
    testbed.chart.values()["config"]["sources"] = json!([{ "header": trap::PASSED.0 }]);
    cluster
        .kubernetes()
        .apply(&neighbour(&module.url_by_tag()))
        .await?;
    for (priority, outcome) in [(20, "unversioned"), (5, "invalid"), (20, "unversioned")] {
        testbed.chart.values()["plugin"]["priority"] = json!(priority);
        testbed.upgrade().await?;
        let what =
            format!("outcome {outcome} with priority {priority}, beside another plugin of 10");
        wait::until(&what, async || {
            let before = counted(&testbed, outcome).await?;
            let answer = testbed.ask("/api/request", &[]).await?;
            let received: Value = answer.json().await?;
            let passed = json!([trap::PASSED.0, trap::PASSED.1]);
            let lines = received["headers"].as_array();
            let has_passed_both = lines.is_some_and(|lines| lines.contains(&passed));
            Ok(has_passed_both && counted(&testbed, outcome).await? > before)
        })
        .await?;
    }
    let kubernetes = cluster.kubernetes();
    kubernetes
        .delete(GATEWAY_NAMESPACE, "wasmplugin", "neighbour")
        .await?;
    testbed.tear_down().await
}

fn neighbour(url: &str) -> Value {
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": { "name": "neighbour", "namespace": GATEWAY_NAMESPACE },
        "spec": {
            "selector": { "matchLabels": { "gateway": GatewayName::First.label() } },
            "url": url,
            "phase": "AUTHN",
            "priority": 10,
            "failStrategy": "FAIL_OPEN",
        },
    })
}

/// How many requests of this shop had that outcome.
async fn counted(testbed: &Testbed<'_>, outcome: &str) -> Result<u64> {
    let filter = format!(
        "{}.*outcome=.={outcome};.*skew_guard_requests_total",
        testbed.chart.plugin()
    );
    Ok(testbed.gateway.stats(&filter).await?.values().sum())
}

/// Another team's EnvoyFilter finds a release's route by the name in the README.
pub async fn of_others_by_route_name(cluster: &Cluster) -> Result<()> {
    let testbed = Testbed::with_two_releases(cluster, "patched").await?;
    for (route, release) in [("v1-4-2|/api", "1.4.2"), ("v2-0-0|/api", "2.0.0")] {
        cluster.kubernetes().apply(&patch(route)).await?;
        wait::until(&format!("the patch of {route}"), async || {
            patched(&testbed, release, "/api/cart").await
        })
        .await?;
        for version in ["1.4.2", "2.0.0"] {
            for path in ["/api/cart", "/"] {
                let is_meant = version == release && path == "/api/cart";
                ensure!(
                    patched(&testbed, version, path).await? == is_meant,
                    "{route} patched for {version} at {path}"
                );
            }
        }
    }
    // The plugin, too, finds a route by its name.
    testbed.remove("1.4.2").await?;
    let gone = testbed.ask("/api/cart", &OLD_TAB).await?;
    ensure!(gone.status().as_u16() == 409, "{}", gone.status());
    let kubernetes = cluster.kubernetes();
    kubernetes
        .delete(GATEWAY_NAMESPACE, "envoyfilter", "by-name")
        .await?;
    testbed.tear_down().await
}

async fn patched(testbed: &Testbed<'_>, version: &str, path: &str) -> Result<bool> {
    let tab = [("x-bundle-version", version)];
    let answer = testbed.ask(path, &tab).await?;
    ensure!(
        path == "/" || answered_by(&answer) == version,
        "{} answers a tab of {version}",
        answered_by(&answer)
    );
    Ok(answer.headers().contains_key("x-patched"))
}

fn patch(route: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": { "name": "by-name", "namespace": GATEWAY_NAMESPACE },
        "spec": { "configPatches": [{
            "applyTo": "HTTP_ROUTE",
            "match": { "context": "GATEWAY", "routeConfiguration": { "vhost": { "route": { "name": route } } } },
            "patch": {
                "operation": "MERGE",
                "value": { "response_headers_to_add": [{ "header": { "key": "x-patched", "value": "yes" } }] },
            },
        }] },
    })
}
