//! Several tabs of one visitor.

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::browser::{Browser, Tab};

use crate::page;
use crate::shop::{NEW, OLD, Shop};

/// A visitor with a tab of each release, and one pin cookie for both.
async fn with_a_tab_of_each() -> Result<(Shop, Browser, Tab, Tab)> {
    let pin = json!({ "current": OLD, "pinCookie": { "name": "pin", "secure": false } });
    let mut shop = Shop::open(pin).await?;
    let browser = Browser::start().await?;
    browser.open(&shop.url("/")).await?;
    page::shows_the_cart(&browser, OLD).await?;
    let old = browser.tab().await?;
    assert_eq!(browser.cookie("pin").await?.as_deref(), Some(OLD));
    shop.add_new_release().await?;
    shop.make_new_release_current("draining").await?;
    let new = browser.open_tab().await?;
    browser.open(&shop.url("/")).await?;
    page::shows_the_cart(&browser, NEW).await?;
    assert_eq!(browser.cookie("pin").await?.as_deref(), Some(NEW));
    Ok((shop, browser, old, new))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stays_with_its_release_if_it_states_its_version() -> Result<()> {
    let (_shop, browser, old, new) = with_a_tab_of_each().await?;
    for (tab, release) in [(&old, OLD), (&new, NEW), (&old, OLD)] {
        browser.show(tab).await?;
        assert_eq!(
            page::answering_releases(&browser, "/api/cart").await?,
            [release]
        );
        page::check_out(&browser).await?;
        let took = format!("Release {release} took the order.");
        browser
            .until(&format!(
                "document.querySelector('#status').textContent === '{took}'"
            ))
            .await?;
    }
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_one_is_told_about_the_update() -> Result<()> {
    let (_shop, browser, old, new) = with_a_tab_of_each().await?;
    browser.show(&old).await?;
    let stale = page::call(&browser, "/api/cart").await?;
    assert_eq!(
        (stale.status, stale.update.as_deref()),
        (200, Some("available"))
    );
    browser.show(&new).await?;
    let current = page::call(&browser, "/api/cart").await?;
    assert_eq!((current.status, current.update), (200, None));
    browser.stop().await
}

/// The price of the cookie, as the documentation says.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_cookie_is_shared_by_both() -> Result<()> {
    let (_shop, browser, old, _new) = with_a_tab_of_each().await?;
    browser.show(&old).await?;
    let unversioned = page::fetch(&browser, "/api/cart", json!({})).await?;
    assert_eq!(unversioned.release.as_deref(), Some(NEW));
    browser.stop().await
}

/// If these were pinned, neither an update probe nor a service worker would ever see an update.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_one_gets_the_new_worker_and_the_new_version() -> Result<()> {
    let (shop, browser, old, _new) = with_a_tab_of_each().await?;
    browser.show(&old).await?;
    let probe = page::call(&browser, "/version.json").await?;
    assert_eq!(probe.body.trim(), r#"{"version":"2.0.0"}"#);
    let before = shop.decided("current").await?;
    let updates: bool = browser
        .run(
            "const old = await (await fetch('/api/request', { headers: { 'x-bundle-version': '1.4.2' } })).json();
             const registration = await navigator.serviceWorker.register('/sw.js');
             const script = await (await fetch('/sw.js')).text();
             return old.release === '1.4.2' && script.includes('Release 2.0.0')
               && Boolean(registration.installing || registration.waiting || registration.active)",
        )
        .await?;
    assert!(updates);
    assert!(shop.decided("current").await? > before);
    browser.stop().await
}
