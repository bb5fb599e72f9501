//! A configuration that changes while requests are under way.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use skew_guard_lab::http;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Spec, Vms, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    a_change_is_in_force_at_once,
    a_change_is_in_force_at_once_in_a_new_vm,
    no_request_fails_or_is_skewed_by_a_change,
    no_request_fails_or_is_skewed_by_a_change_to_a_new_vm,
    a_websocket_outlives_changes,
    a_websocket_outlives_changes_to_a_new_vm,
    counters_go_on_after_a_change,
    the_revision_in_force_is_shown_by_plugin,
];

async fn a_change_is_in_force_at_once(lab: &Lab) -> Result<()> {
    follows_changes(lab, Vms::Kept).await
}

async fn a_change_is_in_force_at_once_in_a_new_vm(lab: &Lab) -> Result<()> {
    follows_changes(lab, Vms::New).await
}

async fn follows_changes(lab: &Lab, vms: Vms) -> Result<()> {
    let name = format!("change-{vms:?}");
    let mut gateway = Spec::of(lab, &name)?.vms(vms).open(lab).await?;
    for (revision, current) in ["1.4.2", "2.0.0", "1.4.2", "2.0.0"].iter().enumerate() {
        gateway
            .configure(&shop(json!({ "current": current, "revision": revision })))
            .await?;
        for _ in 0..20 {
            assert_eq!(gateway.received(&[]).await?.release(), *current);
        }
        let gauge = ("skew_guard_config_revision", [("plugin", name.as_str())]);
        let shown = lab.metrics().await?.sum(gauge.0, &gauge.1);
        assert_eq!(shown, u64::try_from(revision)?);
    }
    Ok(())
}

async fn no_request_fails_or_is_skewed_by_a_change(lab: &Lab) -> Result<()> {
    keeps_requests_right(lab, Vms::Kept).await
}

async fn no_request_fails_or_is_skewed_by_a_change_to_a_new_vm(lab: &Lab) -> Result<()> {
    keeps_requests_right(lab, Vms::New).await
}

async fn keeps_requests_right(lab: &Lab, vms: Vms) -> Result<()> {
    let name = format!("under-way-{vms:?}");
    let mut gateway = Spec::of(lab, &name)?.vms(vms).open(lab).await?;
    let changed = AtomicBool::new(false);
    let address = gateway.address();
    let calls = async {
        let client = http::client()?;
        let mut calls = 0;
        while !changed.load(Ordering::Relaxed) || calls < 50 {
            let request = client
                .get(format!("http://{address}/api/cart"))
                .header("x-bundle-version", "1.4.2");
            let answer = request.send().await?.error_for_status()?;
            let release = answer.headers().get("x-app-version");
            assert_eq!(release.context("no pod answered")?, "1.4.2");
            answer.bytes().await?;
            calls += 1;
        }
        anyhow::Ok(())
    };
    let changes = async {
        for revision in 0..12 {
            let current = ["1.4.2", "2.0.0"][revision % 2];
            let next = shop(json!({ "current": current, "revision": revision }));
            gateway.configure(&next).await?;
        }
        changed.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    tokio::try_join!(calls, changes)?;
    Ok(())
}

async fn a_websocket_outlives_changes(lab: &Lab) -> Result<()> {
    keeps_websocket(lab, Vms::Kept).await
}

async fn a_websocket_outlives_changes_to_a_new_vm(lab: &Lab) -> Result<()> {
    keeps_websocket(lab, Vms::New).await
}

async fn keeps_websocket(lab: &Lab, vms: Vms) -> Result<()> {
    let name = format!("websocket-{vms:?}");
    let mut gateway = Spec::of(lab, &name)?.vms(vms).open(lab).await?;
    let url = format!("ws://{}/api/chat?dpl=1.4.2", gateway.address());
    let (mut socket, _) = tokio_tungstenite::connect_async(url.into_client_request()?).await?;
    let hello = socket.next().await.context("the pod said nothing")??;
    assert_eq!(hello.to_text()?, "1.4.2");
    for revision in 0..3 {
        gateway
            .configure(&shop(json!({ "revision": revision })))
            .await?;
        socket.send(Message::text(revision.to_string())).await?;
        let echo = socket.next().await.context("the connection ended")??;
        assert_eq!(echo.to_text()?, revision.to_string());
    }
    socket.close(None).await?;
    Ok(())
}

/// With the VM kept. With a new one, Envoy 1.39 and later may forget a counter that the new one has not used yet.
async fn counters_go_on_after_a_change(lab: &Lab) -> Result<()> {
    let route = "counted-through-changes";
    let configuration = |revision: u64| {
        shop(json!({
            "releases": [{ "version": "2.0.0", "route": route }],
            "current": null,
            "revision": revision,
        }))
    };
    let mut gateway = Spec::of(lab, route)?
        .configured(&configuration(0))?
        .one_route_to("shop-v2-0-0")
        .open(lab)
        .await?;
    for revision in 1..4 {
        for _ in 0..10 {
            gateway.received(&[("x-bundle-version", "2.0.0")]).await?;
        }
        let labels = [("release", route), ("outcome", "pinned")];
        let counted = lab.metrics().await?;
        let counted = counted.sum("skew_guard_requests_total", &labels);
        assert_eq!(counted, 10 * revision);
        gateway.configure(&configuration(revision)).await?;
    }
    Ok(())
}

async fn the_revision_in_force_is_shown_by_plugin(lab: &Lab) -> Result<()> {
    let mut gateway = Spec::of(lab, "shown")?
        .configured(&shop(json!({ "revision": 41 })))?
        .open(lab)
        .await?;
    let shown = async || {
        let metrics = lab.metrics().await?;
        anyhow::Ok(metrics.sum("skew_guard_config_revision", &[("plugin", "shown")]))
    };
    assert_eq!(shown().await?, 41);
    gateway.configure(&shop(json!({ "revision": 42 }))).await?;
    assert_eq!(shown().await?, 42);
    gateway.configure(&shop(json!({}))).await?;
    assert_eq!(shown().await?, 0, "without a revision");
    Ok(())
}
