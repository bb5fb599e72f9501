//! The Back button, to a page whose release has gone in the meantime.

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::browser::Browser;

use crate::application::Build;
use crate::old_tab;
use crate::shop::{OLD, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_restored_says_that_it_is_out_of_date() -> Result<()> {
    let (_shop, browser) = left_and_back(Build::Guarded).await?;
    assert_eq!(restored(&browser).await?, Some(true));
    says_so(&browser).await?;
    browser.stop().await
}

/// The counterpart: nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_client_it_says_nothing() -> Result<()> {
    let (_shop, browser) = left_and_back(Build::Plain).await?;
    assert_eq!(restored(&browser).await?, Some(true));
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(says_so_now(&browser).await.is_ok_and(|says| !says));
    browser.stop().await
}

/// A page that was not kept alive comes from the browser's cache, without revalidation.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_from_the_disk_cache_says_so_too() -> Result<()> {
    let (mut shop, browser) = old_tab::open(Build::Guarded, json!({})).await?;
    // An unload listener is one of the things that keep a page out of the back/forward cache.
    browser
        .run::<()>("addEventListener('unload', () => {}); window.kept = true")
        .await?;
    browser.open(&shop.url("/api/kind/frame")).await?;
    old_tab::retire(&mut shop).await?;
    browser.back().await?;
    old_tab::shows_page_of(&browser, OLD).await?;
    let kept: Option<bool> = browser.run("return window.kept").await?;
    assert_eq!(kept, None);
    says_so(&browser).await?;
    browser.stop().await
}

async fn left_and_back(build: Build) -> Result<(Shop, Browser)> {
    let (mut shop, browser) = old_tab::open(build, json!({})).await?;
    browser
        .run::<()>(
            "addEventListener('pageshow', (event) => { window.restored = event.persisted; })",
        )
        .await?;
    browser.open(&shop.url("/api/kind/frame")).await?;
    old_tab::retire(&mut shop).await?;
    browser.back().await?;
    old_tab::shows_page_of(&browser, OLD).await?;
    Ok((shop, browser))
}

async fn restored(browser: &Browser) -> Result<Option<bool>> {
    browser.run("return window.restored").await
}

async fn says_so_now(browser: &Browser) -> Result<bool> {
    browser
        .run("return Boolean(document.querySelector('[role=alert]'))")
        .await
}

async fn says_so(browser: &Browser) -> Result<()> {
    browser
        .until("document.querySelector('[role=alert]')?.textContent.includes('out of date')")
        .await
}
