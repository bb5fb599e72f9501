//! The main job: a rolling update of two Deployments.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::cluster::{Cluster, GatewayName};
use skew_guard_lab::{http, wait};

use crate::shop::{Half, Shop};

/// Split by path and nothing more, as before skew-guard.
pub async fn with_plain_routing(cluster: &Cluster) -> Result<()> {
    let shop = Shop::open(cluster, "plain").await?;
    shop.deploy(Half::Api, "api", "1.4.2", 3).await?;
    shop.deploy(Half::Web, "web", "1.4.2", 3).await?;
    shop.apply(json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": { "name": "shop" },
        "spec": {
            "hosts": [shop.host()],
            "gateways": ["first"],
            "http": [
                { "match": [{ "uri": { "prefix": "/api" } }], "route": [{ "destination": { "host": shop.service_host(Half::Api), "port": { "number": 8080 } } }] },
                { "route": [{ "destination": { "host": shop.service_host(Half::Web), "port": { "number": 8080 } } }] },
            ],
        },
    }))
    .await?;
    let gateway = cluster.start_gateway(GatewayName::First).await?;
    shop.rolled_out("api").await?;
    shop.rolled_out("web").await?;
    eprintln!("rolled out");
    let client = http::client()?;
    let url = format!("http://{}/api/cart", gateway.address());
    wait::until("an answer", async || {
        let answer = client.get(&url).header("host", shop.host()).send().await?;
        eprintln!("{} {:?}", answer.status(), answer.headers());
        Ok(answer.status().is_success())
    }).await?;
    shop.deploy(Half::Api, "api", "2.0.0", 3).await?;
    shop.rolled_out("api").await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    eprintln!("{}", shop.kubectl(&["get", "pods", "-o", "wide"]).await?);
    gateway.stop().await?;
    shop.close().await
}
