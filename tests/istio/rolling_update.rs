//! The main job: a rolling update of two Deployments, under load.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GatewayName};

use crate::chart::Chart;
use crate::shop::{Half, Shop};
use crate::visitors;

/// How many requests a page's load and use make before and after a roll-out.
const SOME: u64 = 500;

/// Split by path and nothing more, as before skew-guard.
pub async fn with_plain_routing(cluster: &Cluster) -> Result<()> {
    let shop = Shop::open(cluster, "plain").await?;
    let gateway = cluster.start_gateway(GatewayName::First).await?;
    shop.apply(split_by_path(&shop)).await?;
    shop.deploy(Half::Api, "api", "1.4.2", 3).await?;
    shop.deploy(Half::Web, "web", "1.4.2", 3).await?;
    shop.rolled_out("api").await?;
    shop.rolled_out("web").await?;

    let load = visitors::arrive(&[&gateway], &shop).await?;
    load.answers(SOME).await?;
    let before = load.tally();
    ensure!(
        before.skewed == 0 && before.failed == 0,
        "one release cannot be skewed: {before:?}"
    );
    shop.deploy(Half::Api, "api", "2.0.0", 3).await?;
    shop.deploy(Half::Web, "web", "2.0.0", 3).await?;
    shop.rolled_out("api").await?;
    shop.rolled_out("web").await?;
    shop.gone(Half::Api, "1.4.2").await?;
    shop.gone(Half::Web, "1.4.2").await?;
    let tally = load.stop().await;
    visitors::report("a rolling update with plain routing", &tally);
    ensure!(
        tally.skewed > 0,
        "plain routing mixes releases, or the load does not see it"
    );
    shop.close().await
}

/// In the order that makes it safe: the API's roll-out starts and is paused with a new Pod ready, the pages are rolled,
/// the API's roll-out goes on.
pub async fn with_the_chart(cluster: &Cluster) -> Result<()> {
    let shop = Shop::open(cluster, "rolling").await?;
    let gateway = cluster.start_gateway(GatewayName::First).await?;
    shop.deploy(Half::Api, "api", "1.4.2", 3).await?;
    shop.deploy(Half::Web, "web", "1.4.2", 3).await?;
    shop.rolled_out("api").await?;
    shop.rolled_out("web").await?;
    let mut chart = Chart::of(cluster, &shop).await?;
    chart.list(&[("1.4.2", "live")], json!(""));
    chart.step(&[&gateway]).await?;

    let load = visitors::arrive(&[&gateway], &shop).await?;
    load.answers(SOME).await?;
    chart.list(&[("2.0.0", "live"), ("1.4.2", "live")], json!(""));
    chart.step(&[&gateway]).await?;
    shop.deploy(Half::Api, "api", "2.0.0", 3).await?;
    shop.kubectl(&["rollout", "pause", "deployment/api"])
        .await?;
    shop.ready(Half::Api, "2.0.0").await?;
    shop.deploy(Half::Web, "web", "2.0.0", 3).await?;
    shop.rolled_out("web").await?;
    shop.kubectl(&["rollout", "resume", "deployment/api"])
        .await?;
    shop.rolled_out("api").await?;
    shop.gone(Half::Api, "1.4.2").await?;
    load.until_no_page_of("1.4.2").await?;
    chart.list(&[("2.0.0", "live"), ("1.4.2", "retired")], json!(""));
    chart.step(&[&gateway]).await?;
    load.answers(SOME).await?;
    let tally = load.stop().await;
    visitors::expect_neither_skew_nor_failure("a rolling update with skew-guard", &tally)?;
    chart.uninstall().await?;
    shop.close().await
}

fn split_by_path(shop: &Shop<'_>) -> Value {
    let to = |half| json!([{ "destination": { "host": shop.service_host(half), "port": { "number": 8080 } } }]);
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": { "name": "shop" },
        "spec": {
            "hosts": [shop.host()],
            "gateways": [GatewayName::First.label()],
            "http": [
                { "match": [{ "uri": { "prefix": "/api/" } }], "route": to(Half::Api) },
                { "route": to(Half::Web) },
            ],
        },
    })
}
