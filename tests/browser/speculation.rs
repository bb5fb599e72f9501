//! Pages that the browser loads before anybody goes there.

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::browser::Browser;
use skew_guard_lab::wait;

use crate::page;
use crate::shop::{NEW, OLD, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_prefetch_does_not_move_the_page_that_requested_it() -> Result<()> {
    is_declined("prefetch").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prerendered_page_does_not_move_the_page_that_requested_it() -> Result<()> {
    is_declined("prerender").await
}

/// Loading a page that may never be shown would move the pin cookie, and with it the visible page, to the new
/// release. It is declined, and the browser loads the page when the visitor goes there.
async fn is_declined(kind: &str) -> Result<()> {
    let pin = json!({ "current": OLD, "pinCookie": { "name": "pin", "secure": false } });
    let mut shop = Shop::open(pin).await?;
    let browser = Browser::start().await?;
    browser.open(&shop.url("/")).await?;
    page::shows_the_cart(&browser, OLD).await?;
    shop.add_new_release().await?;
    shop.make_new_release_current("draining").await?;
    browser
        .run::<()>(&format!(
            r#"const rules = document.createElement('script');
               rules.type = 'speculationrules';
               rules.textContent = '{{"{kind}":[{{"source":"list","urls":["/next"],"eagerness":"immediate"}}]}}';
               document.head.append(rules)"#
        ))
        .await?;
    wait::until("the load to be declined", async || {
        Ok(shop.decided("declined").await? > 0)
    })
    .await?;
    assert_eq!(browser.cookie("pin").await?.as_deref(), Some(OLD));
    let unversioned = page::fetch(&browser, "/api/cart", json!({})).await?;
    assert_eq!(unversioned.release.as_deref(), Some(OLD));

    browser
        .run::<()>("setTimeout(() => { location.href = '/next'; })")
        .await?;
    page::shows_the_cart(&browser, NEW).await?;
    assert_eq!(browser.cookie("pin").await?.as_deref(), Some(NEW));
    browser.stop().await
}
