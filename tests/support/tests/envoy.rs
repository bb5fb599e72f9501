//! What the filter's tests rely on: Envoy assembled from parts, and everything in it changed while it runs.

use std::net::SocketAddr;
use std::slice;

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{self, Bootstrap, FILTER, Plugin};
use skew_guard_lab::envoy::{self, Envoy};
use skew_guard_lab::http;
use skew_guard_lab::pods::{Pod, Role};
use skew_guard_lab::xds::Files;
use skew_guard_lab::{module, wait};

fn plugin_for(version: &str) -> Result<Plugin> {
    let configuration =
        json!({ "releases": [{ "version": version, "route": "only" }], "current": version });
    Ok(Plugin::of(&module::path()?).configured(&configuration))
}

fn gateway(filters: &[Value]) -> Value {
    let routes = bootstrap::release_routes(&["only"], |_| "shop".into(), "shop");
    bootstrap::listener("gateway", filters, &routes)
}

/// The request as the pod received it.
#[derive(Deserialize)]
struct Received {
    headers: Vec<(String, String)>,
}

/// The route header that the pod received.
async fn route_header(gateway: SocketAddr) -> Result<Option<String>> {
    let answer = http::get(gateway, "/api/request", &[]).await?;
    let received: Received = serde_json::from_slice(&answer.body)?;
    let route = received
        .headers
        .into_iter()
        .find(|(name, _)| name == "x-release");
    Ok(route.map(|(_, value)| value))
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_and_the_filter_change_while_envoy_runs() -> Result<()> {
    let files = Files::new()?;
    let first = Pod::start(Role::All, "1.4.2", "first").await?;
    files.endpoints("shop", &[first.address()])?;
    files.extension(FILTER, &plugin_for("1.4.2")?.typed_config())?;
    let listener = gateway(&[bootstrap::discovered_filter(FILTER, &files)]);
    let bootstrap = Bootstrap::of(vec![listener], vec![bootstrap::cluster("shop", &files)]);
    let envoy = Envoy::start(&envoy::installed()?, bootstrap.value()).await?;
    let gateway = envoy.listener("gateway").await?;
    assert_eq!(route_header(gateway).await?.as_deref(), Some("only"));

    let second = Pod::start(Role::All, "2.0.0", "second").await?;
    files.endpoints("shop", &[second.address()])?;
    envoy
        .wait_for_endpoints("shop", &[second.address()])
        .await?;
    first.stop().await?;
    assert_eq!(
        http::get(gateway, "/", &[])
            .await?
            .value("x-pod")
            .as_deref(),
        Some("second")
    );

    let observing = json!({ "releases": [{ "version": "2.0.0", "route": "only" }], "enforce": false, "revision": 2 });
    files.extension(
        FILTER,
        &Plugin::of(&module::path()?)
            .configured(&observing)
            .typed_config(),
    )?;
    wait::until("the new configuration", async || {
        Ok(route_header(gateway).await?.is_none())
    })
    .await?;
    assert!(
        envoy
            .prometheus()
            .await?
            .contains("skew_guard_config_revision{plugin=\"skew-guard\"} 2")
    );
    envoy.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_come_and_go_while_envoy_runs() -> Result<()> {
    let files = Files::new()?;
    let pod = Pod::start(Role::All, "1.4.2", "only").await?;
    files.endpoints("shop", &[pod.address()])?;
    let listener = gateway(&[plugin_for("1.4.2")?.filter()]);
    files.listeners("listeners", slice::from_ref(&listener))?;
    let bootstrap = Bootstrap::of(Vec::new(), vec![bootstrap::cluster("shop", &files)])
        .discover_listeners(&files, "listeners");
    let envoy = Envoy::start(&envoy::installed()?, bootstrap.value()).await?;
    assert_eq!(
        http::get(envoy.listener("gateway").await?, "/", &[])
            .await?
            .status,
        200
    );

    let mut another = listener.clone();
    another["name"] = json!("another");
    files.listeners("listeners", &[listener, another])?;
    let another = wait::until_some("another listener", async || {
        Ok(envoy.listener("another").await.ok())
    })
    .await?;
    assert_eq!(http::get(another, "/", &[]).await?.status, 200);

    files.listeners("listeners", &[])?;
    wait::until("no listener", async || {
        Ok(envoy.listener("gateway").await.is_err())
    })
    .await?;
    Ok(())
}
