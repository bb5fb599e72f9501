//! The browser's own cache, and the service worker that it keeps.

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::browser::Browser;

use crate::page;
use crate::shop::{NEW, OLD, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_service_worker_is_replaced_by_that_of_the_current_release() -> Result<()> {
    let pin = json!({ "current": OLD, "pinCookie": { "name": "pin", "secure": false } });
    let mut shop = Shop::open(pin).await?;
    let browser = Browser::start().await?;
    browser.open(&shop.url("/")).await?;
    browser
        .run::<()>(
            "await navigator.serviceWorker.register('/sw.js'); await navigator.serviceWorker.ready",
        )
        .await?;
    shop.add_new_release().await?;
    shop.make_new_release_current("draining").await?;
    browser
        .run::<()>(
            "const registration = await navigator.serviceWorker.ready;
             const found = new Promise((resolve) => { registration.onupdatefound = resolve; });
             await registration.update();
             await found",
        )
        .await?;
    assert_eq!(
        page::answering_releases(&browser, "/api/cart").await?,
        [OLD]
    );
    browser.reload().await?;
    page::shows_the_cart(&browser, NEW).await?;
    browser.stop().await
}

/// A page asked too early for a file that its pod does not have. The browser must not find the wrong answer in its
/// cache when the right one exists.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_requested_again() -> Result<()> {
    let mut shop = Shop::open(json!({ "current": OLD })).await?;
    let browser = Browser::start().await?;
    browser.open(&shop.url("/")).await?;
    // The shop answers a missing file with index.html and 200.
    assert_eq!(
        load_script(&browser, "/assets/next/main.js").await?,
        "refused"
    );
    assert_eq!(
        load_script(&browser, "/assets/v-2.0.0/main.js").await?,
        "refused"
    );
    shop.add_new_release().await?;
    shop.make_new_release_current("draining").await?;
    assert_eq!(
        load_script(&browser, "/assets/v-2.0.0/main.js").await?,
        "loaded"
    );
    let missing: Vec<u16> = browser
        .run(
            "return performance.getEntriesByName(location.origin + '/assets/next/main.js')
               .map((entry) => entry.responseStatus)",
        )
        .await?;
    assert_eq!(missing, [404]);
    browser.stop().await
}

async fn load_script(browser: &Browser, path: &str) -> Result<String> {
    browser
        .run(&format!(
            "const script = document.createElement('script');
             script.src = '{path}';
             const outcome = new Promise((resolve) => {{
               script.onload = () => resolve('loaded');
               script.onerror = () => resolve('refused');
             }});
             document.head.append(script);
             return outcome"
        ))
        .await
}
