//! Requests to other origins.

use anyhow::Result;
use serde_json::json;

use crate::application::{self, Build};
use crate::old_tab;
use crate::server::{Record, Server};
use crate::shop::OLD;

#[tokio::test(flavor = "multi_thread")]
async fn another_origin_gets_no_version_and_no_preflight() -> Result<()> {
    let stranger = Record::default();
    let site = tokio::task::spawn_blocking(|| application::site(Build::Guarded, OLD)).await??;
    let server = Server::start(OLD, site, &stranger).await?;
    let (_shop, browser) = old_tab::open(Build::Guarded, json!({})).await?;
    let url = format!("http://{}/api/kind/fetch", server.address());
    browser
        .run::<()>(&format!(
            "await fetch('{url}').catch(() => {{}});
             const request = new XMLHttpRequest();
             request.open('GET', '{url}');
             request.send();
             await new Promise((resolve) => {{ request.onloadend = resolve; }});
             navigator.sendBeacon('{url}')"
        ))
        .await?;
    let asked = stranger.all();
    assert!(asked.len() >= 2, "{asked:?}");
    for asked in asked {
        assert!(!asked.headers.contains_key("x-bundle-version"), "{asked:?}");
        assert_eq!(
            (asked.method != "OPTIONS", asked.query.as_str()),
            (true, "")
        );
    }
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_origin_gets_the_version_without_a_preflight() -> Result<()> {
    let listed = Record::default();
    let site = tokio::task::spawn_blocking(|| application::site(Build::Guarded, OLD)).await??;
    let server = Server::start(OLD, site, &listed).await?;
    let (_shop, browser) = old_tab::open(Build::Guarded, json!({})).await?;
    let origin = format!("http://{}", server.address());
    browser
        .run::<()>(&format!(
            "window.client.install({{ version: '{OLD}', origins: ['{origin}'] }});
             await fetch('{origin}/api/cart').catch(() => {{}});
             await fetch(new Request('{origin}/api/cart', {{ method: 'POST', body: 'Lamp' }})).catch(() => {{}})"
        ))
        .await?;
    let asked = listed.all();
    let seen: Vec<_> = asked
        .iter()
        .map(|asked| (asked.method.as_str(), asked.query.as_str()))
        .collect();
    assert_eq!(seen, [("GET", "dpl=1.4.2"), ("POST", "dpl=1.4.2")]);
    browser.stop().await
}
