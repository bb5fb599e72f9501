//! An application whose service worker serves the page: `vite-plugin-pwa`, in both of its modes.

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::browser::Browser;

use crate::application::Build;
use crate::old_tab::{self, loads, place};
use crate::shop::{NEW, OLD, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn that_asks_before_it_updates_takes_one_load_to_leave() -> Result<()> {
    takes_one_load_to_leave(Build::PwaPrompt).await
}

#[tokio::test(flavor = "multi_thread")]
async fn that_updates_by_itself_takes_one_load_to_leave() -> Result<()> {
    takes_one_load_to_leave(Build::PwaAutoUpdate).await
}

async fn takes_one_load_to_leave(build: Build) -> Result<()> {
    let (_shop, browser) = retired(build).await?;
    browser.run::<()>("await fetch('/api/cart')").await?;
    old_tab::shows_the_banner(&browser).await?;
    browser.click("#orders").await?;
    old_tab::shows_orders_of(&browser, NEW).await?;
    assert_eq!(place(&browser).await?, "/orders?page=2#last");
    assert_eq!(loads(&browser).await?, 3);
    let registrations: usize = browser
        .run("return (await navigator.serviceWorker.getRegistrations()).length")
        .await?;
    assert_eq!(registrations, 1);
    browser.stop().await
}

/// The counterpart: a plain reload is answered by the worker, with the old page.
#[tokio::test(flavor = "multi_thread")]
async fn without_an_update_of_the_worker_a_reload_brings_the_old_page_back() -> Result<()> {
    let (_shop, browser) = retired(Build::PwaPrompt).await?;
    browser.reload().await?;
    old_tab::shows_page_of(&browser, OLD).await?;
    browser.stop().await
}

/// A tab that the old release's worker controls, after its second load.
async fn retired(build: Build) -> Result<(Shop, Browser)> {
    let (mut shop, browser) = old_tab::open(build, json!({})).await?;
    browser
        .run::<()>("await navigator.serviceWorker.ready")
        .await?;
    browser.reload().await?;
    browser
        .until("navigator.serviceWorker.controller?.state === 'activated'")
        .await?;
    old_tab::shows(&browser, OLD).await?;
    assert_eq!(loads(&browser).await?, 2);
    old_tab::retire(&mut shop).await?;
    Ok((shop, browser))
}
