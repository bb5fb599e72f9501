//! An old page from a cache, whose entry script is gone.

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::browser::Browser;

use crate::application::Build;
use crate::old_tab;
use crate::shop::{NEW, Shop};

/// A first visit, through a cache with the page of a gone release.
async fn visit(build: Build) -> Result<(Shop, Browser)> {
    let mut shop = Shop::of(build, json!({})).await?;
    shop.add_new_release_with_old_pages().await?;
    shop.make_new_release_current("retired").await?;
    shop.end_old_release().await?;
    if build == Build::Plain {
        // Its old scripts are not in a directory that the filter knows to be gone.
        shop.record().hide("index-");
    }
    let browser = Browser::start().await?;
    browser.open(&shop.url("/orders?page=2")).await?;
    Ok((shop, browser))
}

#[tokio::test(flavor = "multi_thread")]
async fn is_reloaded_once_and_then_says_so() -> Result<()> {
    says_so(Build::Guarded).await
}

#[tokio::test(flavor = "multi_thread")]
async fn says_so_with_the_guard_in_a_file() -> Result<()> {
    says_so(Build::GuardInFile).await
}

async fn says_so(build: Build) -> Result<()> {
    let (mut shop, browser) = visit(build).await?;
    browser
        .until("document.querySelector('[role=alert]')?.textContent === 'This page could not be loaded completely. Load it again'")
        .await?;
    let pages = shop.record().all().into_iter();
    let pages: Vec<_> = pages.filter(|asked| asked.path == "/orders").collect();
    assert_eq!(pages.len(), 2, "{pages:?}");
    // The cache has learned of the new release, so the link is enough.
    shop.end_new_release().await?;
    shop.add_new_release().await?;
    browser.click("[role=alert] a").await?;
    old_tab::shows_orders_of(&browser, NEW).await?;
    browser.stop().await
}

/// The counterpart.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_client_it_stays_blank() -> Result<()> {
    let (shop, browser) = visit(Build::Plain).await?;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(browser.text("body").await?, "");
    assert!(shop.record().all().iter().all(|asked| asked.release == NEW));
    browser.stop().await
}
