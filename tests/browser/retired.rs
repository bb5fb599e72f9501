//! A tab whose release is gone.

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::browser::Browser;

use crate::page;
use crate::shop::{NEW, OLD, Shop, releases};

/// A tab of the old release in a shop that has retired it.
async fn with_a_tab_of_the_old_release() -> Result<(Shop, Browser)> {
    let mut shop = Shop::open(json!({ "current": OLD })).await?;
    let browser = Browser::start().await?;
    browser.open(&shop.url("/")).await?;
    page::shows_the_cart(&browser, OLD).await?;
    shop.add_new_release().await?;
    shop.make_new_release_current("retired").await?;
    shop.end_old_release().await?;
    Ok((shop, browser))
}

#[tokio::test(flavor = "multi_thread")]
async fn its_calls_are_told_to_reload() -> Result<()> {
    let (_shop, browser) = with_a_tab_of_the_old_release().await?;
    let answer = page::call(&browser, "/api/cart").await?;
    assert_eq!(
        (answer.status, answer.update.as_deref()),
        (409, Some("required"))
    );
    assert_eq!(answer.current.as_deref(), Some(NEW));
    assert_eq!(
        answer.body,
        r#"{"error":"client_outdated","client":"1.4.2","current":"2.0.0"}"#
    );
    // The page itself notices it, with the shop's own code.
    browser
        .until("document.querySelector('#status').textContent === 'update required'")
        .await?;
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn its_missing_code_is_a_404_and_not_the_page() -> Result<()> {
    let (_shop, browser) = with_a_tab_of_the_old_release().await?;
    let chunk = page::fetch(&browser, "/assets/v-1.4.2/checkout.js", json!({})).await?;
    assert_eq!(chunk.status, 409, "a fetch is told to reload");
    let refused: String = browser
        .run(
            "const script = document.createElement('script');
             script.src = '/assets/v-1.4.2/checkout.js';
             const outcome = new Promise((resolve) => {
               script.onload = () => resolve('loaded');
               script.onerror = () => resolve('refused');
             });
             document.head.append(script);
             return outcome",
        )
        .await?;
    assert_eq!(refused, "refused");
    let entries: Vec<(u16, u64)> = browser
        .run(
            "return performance.getEntriesByName(location.origin + '/assets/v-1.4.2/checkout.js')
               .filter((entry) => entry.initiatorType === 'script')
               .map((entry) => [entry.responseStatus, entry.decodedBodySize])",
        )
        .await?;
    assert_eq!(entries, [(404, 0)]);
    browser.stop().await
}

/// Both releases have the same ETag, as in reproducible images: the browser asks whether its page is still valid.
#[tokio::test(flavor = "multi_thread")]
async fn one_reload_is_enough() -> Result<()> {
    let (_shop, browser) = with_a_tab_of_the_old_release().await?;
    browser
        .run::<()>("sessionStorage.loads = 0; document.cookie = 'told=; max-age=0'")
        .await?;
    for load in 1.. {
        let answer = page::call(&browser, "/api/cart").await?;
        if answer.update.as_deref() != Some("required") {
            assert_eq!(load, 2, "loads of the page");
            break;
        }
        browser.reload().await?;
    }
    page::shows_the_cart(&browser, NEW).await?;
    browser.stop().await
}

/// The counterpart of the previous test: with plain routing, the browser keeps the old page because of its ETag.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_filter_a_reload_brings_the_old_page_back() -> Result<()> {
    let mut shop = Shop::unguarded().await?;
    let browser = Browser::start().await?;
    browser.open(&shop.url("/")).await?;
    page::shows_the_cart(&browser, OLD).await?;
    shop.add_new_release().await?;
    shop.end_old_release().await?;
    browser.reload().await?;
    assert_eq!(page::version(&browser).await?, OLD);
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn its_form_gets_a_page_that_a_person_can_read() -> Result<()> {
    let (shop, browser) = with_a_tab_of_the_old_release().await?;
    submit_form(&browser, &format!("/api/order?dpl={OLD}")).await?;
    browser
        .until("document.title === 'This page is out of date'")
        .await?;
    let status: u16 = browser
        .run("return performance.getEntriesByType('navigation')[0].responseStatus")
        .await?;
    assert_eq!(status, 409);
    assert!(shop.decided("gone").await? > 0);
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_a_draining_release_is_answered_by_it() -> Result<()> {
    let mut shop = Shop::open(json!({ "current": OLD })).await?;
    let browser = Browser::start().await?;
    browser.open(&shop.url("/")).await?;
    shop.add_new_release().await?;
    shop.configure(json!({ "current": NEW, "releases": releases("draining") }))
        .await?;
    submit_form(&browser, &format!("/api/order?dpl={OLD}")).await?;
    browser
        .until("document.body.textContent.includes('received')")
        .await?;
    let answer = browser.text("body").await?;
    assert!(answer.contains(r#""release":"1.4.2""#), "{answer}");
    browser.stop().await
}

/// Sends a form as a button of the page would: the answer replaces the page.
async fn submit_form(browser: &Browser, action: &str) -> Result<()> {
    browser
        .run(&format!(
            "const form = document.createElement('form');
             form.method = 'post';
             form.action = '{action}';
             form.innerHTML = '<input name=\"item\" value=\"Lamp\">';
             document.body.append(form);
             setTimeout(() => form.submit());"
        ))
        .await
}
