//! Callers inside the mesh, whose sidecars route like a gateway.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, GatewayName, Sidecar};
use skew_guard_lab::{http, wait};

use crate::shop::{POD_PORT, Tier};
use crate::testbed::Testbed;
use crate::visitors::answered_by;

/// The namespace of the callers.
const CALLERS: &str = "callers";

/// `mesh` beside a gateway, each with its own plugin: a caller that passes on the version of the page it serves
/// reaches that release, cannot choose another, and is told when it is gone.
pub async fn beside_a_gateway(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "called").await?;
    let caller = cluster.start_sidecar(CALLERS, POD_PORT).await?;
    let api = testbed.shop.service_host(Tier::Api);
    testbed.chart.values()["hosts"] = json!([testbed.shop.host(), api]);
    testbed.chart.values()["gateways"] = json!([GatewayName::First.label(), "mesh"]);
    testbed.chart.values()["plugins"] = json!([
        {
            "namespace": GATEWAY_NAMESPACE,
            "selector": { "gateway": GatewayName::First.label() },
            "gateways": [GatewayName::First.label()],
        },
        { "namespace": CALLERS, "selector": Sidecar::labels(), "gateways": ["mesh"] },
    ]);
    testbed.chart.values()["plugin"] = json!({ "url": testbed.chart.image().url() });
    testbed.serve_two_releases().await?;

    wait::until("a caller to keep its release", async || {
        Ok(
            asked(&caller, &api, &[("x-bundle-version", "1.4.2")]).await?
                == (200, "1.4.2".to_owned()),
        )
    })
    .await?;
    for (headers, expected) in [
        (&[("x-release", "v1-4-2")][..], (200, "2.0.0")),
        (
            &[("x-bundle-version", "2.0.0"), ("x-release", "v1-4-2")],
            (200, "2.0.0"),
        ),
        (&[("x-bundle-version", "1.0.0")], (409, "")),
    ] {
        let (status, version) = asked(&caller, &api, headers).await?;
        ensure!(
            (status, version.as_str()) == expected,
            "{headers:?}: {status} by {version}, not {expected:?}"
        );
    }
    testbed.old_tab_reaches("1.4.2").await?;
    drop(caller);
    testbed.tear_down().await
}

/// Status and version of the answer to a caller.
async fn asked(caller: &Sidecar, host: &str, headers: &[(&str, &str)]) -> Result<(u16, String)> {
    let url = format!("http://{}/api/cart", caller.address());
    let mut request = http::client()?
        .get(url)
        .header("host", format!("{host}:{POD_PORT}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answered_by(&answer).to_owned()))
}
