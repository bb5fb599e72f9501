//! How a tab leaves a page whose release is gone, with the client package in the page.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::browser::Browser;

use crate::application::Build;
use crate::old_tab::{self, loads, place};
use crate::shop::{NEW, OLD, Shop};

/// Long enough for a loop to become visible.
const WHILE_IT_COULD_LOOP: Duration = Duration::from_secs(4);

async fn retired(build: Build) -> Result<(Shop, Browser)> {
    let (mut shop, browser) = old_tab::open(build, json!({})).await?;
    old_tab::retire(&mut shop).await?;
    Ok((shop, browser))
}

/// Clicks a link to a part that cannot be loaded: the page stays, and is not loaded again.
async fn stays_without_a_part(browser: &Browser) -> Result<()> {
    browser.click("#orders").await?;
    old_tab::lacks_a_part(browser).await?;
    tokio::time::sleep(WHILE_IT_COULD_LOOP).await;
    assert_eq!(loads(browser).await?, 1);
    Ok(())
}

/// Clicks a link whose part is gone: one load leads to where the link leads, in the new release.
async fn link_leads_to_the_new_release(browser: &Browser) -> Result<()> {
    browser.click("#orders").await?;
    old_tab::shows_orders_of(browser, NEW).await?;
    assert_eq!(place(browser).await?, "/orders?page=2#last");
    assert_eq!(loads(browser).await?, 2);
    Ok(())
}

/// The text in the page's field.
async fn typed(browser: &Browser) -> Result<String> {
    browser
        .run("return document.querySelector('#note').value")
        .await
}

/// The status of a call that the page makes.
async fn call(browser: &Browser) -> Result<u16> {
    browser
        .run("return (await fetch('/api/cart')).status")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_text_is_kept_and_nothing_is_loaded() -> Result<()> {
    let (mut shop, browser) = old_tab::open(Build::Guarded, json!({})).await?;
    browser.type_into("#note", "To my neighbour").await?;
    old_tab::retire(&mut shop).await?;
    assert_eq!(call(&browser).await?, 409);
    old_tab::shows_the_banner(&browser).await?;
    // Neither a link nor a missing part leaves the page.
    stays_without_a_part(&browser).await?;
    assert_eq!(typed(&browser).await?, "To my neighbour");
    // The button does.
    browser.click("[role=alert] button").await?;
    old_tab::shows_orders_of(&browser, NEW).await?;
    assert_eq!(loads(&browser).await?, 2);
    browser.stop().await
}

/// The counterpart: what Vite's documentation recommends for a missing part loads the page, and the text is gone.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_client_typed_text_is_lost() -> Result<()> {
    let (mut shop, browser) = old_tab::open(Build::Plain, json!({})).await?;
    browser.open(&shop.url("/?remedy")).await?;
    old_tab::shows(&browser, OLD).await?;
    browser.type_into("#note", "To my neighbour").await?;
    old_tab::retire(&mut shop).await?;
    browser.click("#orders").await?;
    old_tab::shows(&browser, NEW).await?;
    assert_eq!(typed(&browser).await?, "");
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_a_part_that_is_gone_leads_there_by_one_load() -> Result<()> {
    let (_shop, browser) = retired(Build::Guarded).await?;
    link_leads_to_the_new_release(&browser).await?;
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn vites_own_event_leads_to_the_new_release_by_one_load() -> Result<()> {
    let (mut shop, browser) = old_tab::open(Build::Guarded, json!({})).await?;
    browser.open(&shop.url("/?event")).await?;
    old_tab::shows(&browser, OLD).await?;
    let before = loads(&browser).await?;
    old_tab::retire(&mut shop).await?;
    browser
        .run::<()>("setTimeout(() => window.kinds['a chunk and its style sheet']())")
        .await?;
    old_tab::shows(&browser, NEW).await?;
    assert_eq!(
        (place(&browser).await?.as_str(), loads(&browser).await?),
        ("/?event", before + 1)
    );
    browser.stop().await
}

/// The counterpart: the link leads nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_client_a_link_to_a_part_that_is_gone_leads_nowhere() -> Result<()> {
    let (_shop, browser) = retired(Build::Plain).await?;
    browser.click("#orders").await?;
    old_tab::lacks_a_part(&browser).await?;
    assert_eq!(loads(&browser).await?, 1);
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn once_told_it_turns_the_next_link_into_a_page_load() -> Result<()> {
    let (_shop, browser) = retired(Build::Guarded).await?;
    call(&browser).await?;
    old_tab::shows_the_banner(&browser).await?;
    assert_eq!(loads(&browser).await?, 1, "a call loads nothing");
    link_leads_to_the_new_release(&browser).await?;
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_page_that_comes_back_is_loaded_once_and_then_says_so() -> Result<()> {
    let (mut shop, browser) = old_tab::open(Build::Guarded, json!({})).await?;
    // The old code is in the browser's cache, the old page in another cache.
    shop.add_new_release_with_old_pages().await?;
    shop.make_new_release_current("retired").await?;
    shop.end_old_release().await?;
    for loads_so_far in [2, 2] {
        call(&browser).await?;
        old_tab::shows_the_banner(&browser).await?;
        browser.click("#home").await?;
        browser
            .until(&format!("sessionStorage.loads === '{loads_so_far}'"))
            .await?;
        browser.until("document.querySelector('#home')").await?;
    }
    tokio::time::sleep(WHILE_IT_COULD_LOOP).await;
    assert_eq!(loads(&browser).await?, 2);
    old_tab::shows_the_banner(&browser).await?;
    // Once the other cache has forgotten it, the button works.
    browser.click("[role=alert] button").await?;
    browser.until("sessionStorage.loads === '3'").await?;
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn being_offline_loads_nothing() -> Result<()> {
    let (_shop, browser) = old_tab::open(Build::Guarded, json!({})).await?;
    browser.set_offline(true).await?;
    stays_without_a_part(&browser).await?;
    browser.set_offline(false).await?;
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_loads_nothing() -> Result<()> {
    let (mut shop, browser) = old_tab::open(Build::Guarded, json!({})).await?;
    shop.end_old_release().await?;
    assert_eq!(call(&browser).await?, 503);
    stays_without_a_part(&browser).await?;
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_part_of_the_current_release_loads_nothing() -> Result<()> {
    let (shop, browser) = old_tab::open(Build::Guarded, json!({})).await?;
    shop.record().hide("orders-");
    stays_without_a_part(&browser).await?;
    browser.stop().await
}

/// The counterpart: what Vite's documentation recommends loads the page again and again.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_client_a_missing_part_loads_the_page_in_a_loop() -> Result<()> {
    let (shop, browser) = old_tab::open(Build::Plain, json!({})).await?;
    shop.record().hide("orders-");
    browser
        .run::<()>("setTimeout(() => location.assign('/orders?remedy'), 500)")
        .await?;
    tokio::time::sleep(WHILE_IT_COULD_LOOP).await;
    let pages = shop.record().all().into_iter();
    let pages = pages.filter(|asked| asked.path == "/orders").count();
    assert!(pages > 5, "{pages} loads");
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_socket_shows_the_banner_and_sends_one_probe() -> Result<()> {
    let (_shop, browser) = retired(Build::Guarded).await?;
    let attempts: u32 = browser
        .run(
            "let attempts = 0;
             const end = Date.now() + 2000;
             while (Date.now() < end) {
               attempts += 1;
               const socket = new WebSocket(`ws://${location.host}/api/kind/websocket`);
               await new Promise((resolve) => { socket.onclose = resolve; });
             }
             return attempts",
        )
        .await?;
    assert!(attempts > 5, "{attempts} attempts");
    old_tab::shows_the_banner(&browser).await?;
    let probes: usize = browser
        .run(
            "return performance.getEntriesByName(location.origin + '/')
               .filter((entry) => entry.initiatorType === 'fetch').length",
        )
        .await?;
    assert_eq!((probes, loads(&browser).await?), (1, 1));
    browser.stop().await
}
