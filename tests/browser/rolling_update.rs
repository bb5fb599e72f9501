//! A tab that stays open while its release is replaced pod by pod.

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::browser::Browser;

use crate::page::{self, CALLS};
use crate::shop::{NEW, OLD, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_keeps_working_while_its_release_is_replaced() -> Result<()> {
    let mut shop = Shop::open(json!({})).await?;
    let browser = Browser::start().await?;
    browser.open(&shop.url("/")).await?;
    page::shows_the_cart(&browser, OLD).await?;

    shop.add_new_release().await?;
    shop.shrink_old_release().await?;

    assert_eq!(
        page::answering_releases(&browser, "/api/cart").await?,
        [OLD]
    );
    page::check_out(&browser).await?;
    browser
        .until(&shows(&format!("Release {OLD} took the order.")))
        .await?;
    assert_eq!(
        sockets(&browser, &format!("/api/chat?dpl={OLD}")).await?,
        [OLD]
    );
    page::shows_the_cart(&browser, OLD).await?;
    browser.stop().await
}

/// The same without the filter: this is what the filter is for.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_filter_the_same_tab_breaks() -> Result<()> {
    let mut shop = Shop::unguarded().await?;
    let browser = Browser::start().await?;
    browser.open(&shop.url("/")).await?;
    page::shows_the_cart(&browser, OLD).await?;

    shop.add_new_release().await?;
    shop.shrink_old_release().await?;

    assert_eq!(
        page::answering_releases(&browser, "/api/cart").await?,
        [OLD, NEW]
    );
    assert_eq!(
        sockets(&browser, &format!("/api/chat?dpl={OLD}")).await?,
        [OLD, NEW]
    );
    shop.end_old_release().await?;
    browser
        .until("document.querySelector('#total').textContent === '€NaN'")
        .await?;
    let refused: String = browser
        .run("return import('/assets/v-1.4.2/checkout.js').then(() => 'loaded', (error) => error.name)")
        .await?;
    assert_eq!(refused, "TypeError", "index.html was taken for a script");
    browser.stop().await
}

/// A page that is opened meanwhile gets everything from one release.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_opened_meanwhile_gets_one_release_only() -> Result<()> {
    let mut shop = Shop::open(json!({})).await?;
    shop.add_new_release().await?;
    let browser = Browser::start().await?;
    let mut releases = Vec::new();
    for _ in 0..CALLS / 4 {
        browser.open(&shop.url("/")).await?;
        let release = page::version(&browser).await?;
        page::shows_the_cart(&browser, &release).await?;
        page::check_out(&browser).await?;
        browser
            .until(&shows(&format!("Release {release} took the order.")))
            .await?;
        releases.push(release);
    }
    releases.sort();
    releases.dedup();
    assert_eq!(releases, [OLD, NEW], "both were opened");
    browser.stop().await
}

fn shows(status: &str) -> String {
    format!("document.querySelector('#status').textContent === '{status}'")
}

/// Which releases answer when the page opens WebSockets: each sends its release first, and then echoes.
async fn sockets(browser: &Browser, path: &str) -> Result<Vec<String>> {
    browser
        .run(&format!(
            "const talk = () => new Promise((resolve, reject) => {{
               const heard = [];
               const socket = new WebSocket('{path}');
               socket.onerror = reject;
               socket.onopen = () => socket.send('echo');
               socket.onmessage = (message) => {{
                 heard.push(message.data);
                 if (heard.length < 2) return;
                 socket.close();
                 heard[1] === 'echo' ? resolve(heard[0]) : reject(heard);
               }};
             }});
             const releases = new Set();
             for (let call = 0; call < {CALLS}; call += 1) releases.add(await talk());
             return [...releases].sort()"
        ))
        .await
}
