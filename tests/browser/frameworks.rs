//! Applications in other frameworks. SvelteKit and Nuxt look for a new release themselves, but find none in the
//! directory of the old one.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::browser::Browser;

use crate::application::Build;
use crate::old_tab::{self, loads, place, shows_orders_of};
use crate::page;
use crate::shop::{NEW, OLD, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn sveltekit_hears_of_an_update_from_the_client() -> Result<()> {
    let (_shop, browser) = told_of_an_update(Build::SvelteKit).await?;
    browser.click("#orders").await?;
    shows_orders_of(&browser, OLD).await?;
    assert_eq!(loads(&browser).await?, 1);
    browser.stop().await
}

/// The counterpart: its own check requests a file in the old release's directory, so it gets that release's.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_client_sveltekit_believes_that_it_is_the_newest() -> Result<()> {
    let (_shop, browser) = old_tab::draining(Build::SvelteKit, json!({})).await?;
    let is_updated: bool = browser.run("return window.asksForItsVersion()").await?;
    assert!(!is_updated);
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_sveltekit_leads_to_the_new_release_by_one_load() -> Result<()> {
    a_link_leads_to_the_new_release_by_one_load(Build::SvelteKit).await
}

/// The counterpart: the link leads to an error.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_client_a_link_of_sveltekit_leads_nowhere() -> Result<()> {
    let (mut shop, browser) = old_tab::open(Build::PlainSvelteKit, json!({})).await?;
    old_tab::retire(&mut shop).await?;
    browser.click("#orders").await?;
    old_tab::lacks_a_part(&browser).await?;
    assert_eq!(loads(&browser).await?, 1);
    browser.stop().await
}

/// Nuxt's own hook: the next link becomes a page load.
#[tokio::test(flavor = "multi_thread")]
async fn nuxt_hears_of_an_update_from_the_client() -> Result<()> {
    let (_shop, browser) = told_of_an_update(Build::Nuxt).await?;
    browser.click("#orders").await?;
    shows_orders_of_the_new_release(&browser).await?;
    browser.stop().await
}

/// The counterpart: its own check requests a file in the old release's directory, so it gets that release's.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_client_nuxt_believes_that_it_is_the_newest() -> Result<()> {
    let (_shop, browser) = old_tab::draining(Build::Nuxt, json!({})).await?;
    let latest = format!("/assets/v-{OLD}/builds/latest.json");
    let answer = page::fetch(&browser, &latest, json!({})).await?;
    assert_eq!((answer.status, answer.release.as_deref()), (200, Some(OLD)));
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_nuxt_leads_to_the_new_release_by_one_load() -> Result<()> {
    a_link_leads_to_the_new_release_by_one_load(Build::Nuxt).await
}

/// Its HttpClient states the version: `shows` waits for the answer.
#[tokio::test(flavor = "multi_thread")]
async fn angular_hears_of_an_update_from_the_client() -> Result<()> {
    let (_shop, browser) = told_of_an_update(Build::Angular).await?;
    browser.click("#orders").await?;
    shows_orders_of(&browser, OLD).await?;
    assert_eq!(loads(&browser).await?, 1);
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_angular_leads_to_the_new_release_by_one_load() -> Result<()> {
    a_link_leads_to_the_new_release_by_one_load(Build::Angular).await
}

/// The counterpart: the link leads nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_client_a_link_of_angular_leads_nowhere() -> Result<()> {
    let (mut shop, browser) = old_tab::open(Build::PlainAngular, json!({})).await?;
    old_tab::retire(&mut shop).await?;
    browser.click("#orders").await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let is_shown: bool = browser
        .run("return Boolean(document.querySelector('#orders-of'))")
        .await?;
    assert_eq!((is_shown, loads(&browser).await?), (false, 1));
    browser.stop().await
}

/// An old tab that has been told by any answer.
async fn told_of_an_update(build: Build) -> Result<(Shop, Browser)> {
    let (shop, browser) = old_tab::draining(build, json!({})).await?;
    let answer = page::fetch(&browser, "/api/cart", json!({})).await?;
    assert_eq!(answer.release.as_deref(), Some(OLD));
    browser
        .until("document.querySelector('#update').textContent === 'available'")
        .await?;
    Ok((shop, browser))
}

async fn a_link_leads_to_the_new_release_by_one_load(build: Build) -> Result<()> {
    let (mut shop, browser) = old_tab::open(build, json!({})).await?;
    old_tab::retire(&mut shop).await?;
    browser.click("#orders").await?;
    shows_orders_of_the_new_release(&browser).await?;
    browser.stop().await
}

async fn shows_orders_of_the_new_release(browser: &Browser) -> Result<()> {
    shows_orders_of(browser, NEW).await?;
    assert_eq!(
        (place(browser).await?.as_str(), loads(browser).await?),
        ("/orders?page=2#last", 2)
    );
    Ok(())
}
