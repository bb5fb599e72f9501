//! The main job: a rolling update of two Deployments, under load.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GatewayName};

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

    let load = visitors::arrive(&gateway, &shop).await?;
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
    let tally = load.stop().await;
    visitors::report("a rolling update with plain routing", &tally);
    ensure!(
        tally.skewed > 0,
        "plain routing mixes releases, or the load does not see it"
    );
    gateway.stop().await?;
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
