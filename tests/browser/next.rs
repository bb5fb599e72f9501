//! An application in Next.js, which leaves its pages itself: it loads the page again when told to.

use std::time::Duration;

use anyhow::Result;
use skew_guard_lab::browser::Browser;

use crate::next_application::{BasePath, deployment_id};
use crate::old_tab::{self, loads, place};
use crate::shop::{NEW, OLD, Shop};

/// Long enough for another load to happen.
const WHILE_IT_COULD_LOOP: Duration = Duration::from_secs(4);

async fn open(base: BasePath) -> Result<(Shop, Browser)> {
    let shop = Shop::in_next(base).await?;
    let browser = Browser::start().await?;
    browser
        .open(&shop.url(&format!("{base}/cart?step=2")))
        .await?;
    shows(&browser, OLD).await?;
    Ok((shop, browser))
}

/// Waits until the page of that release is there, and its router has started.
async fn shows(browser: &Browser, release: &str) -> Result<()> {
    let id = deployment_id(release);
    browser
        .until(&format!(
            "document.querySelector('#page')?.textContent === '{id}' \
             && document.querySelector('[data-shown=true]')"
        ))
        .await
}

async fn order(browser: &Browser) -> Result<()> {
    browser.type_into("[name=note]", "Lamp").await?;
    browser.click("button").await
}

/// Waits for an order that says which release took it.
async fn is_ordered_from(browser: &Browser, release: &str) -> Result<()> {
    let id = deployment_id(release);
    browser
        .until(&format!(
            "document.querySelector('output')?.textContent === 'Lamp, ordered from {id}'"
        ))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn its_calls_events_and_actions_are_answered_by_the_release_of_the_page() -> Result<()> {
    let (mut shop, browser) = open("").await?;
    shop.add_new_release().await?;
    shop.make_new_release_current("draining").await?;
    let called: String = browser
        .run("return (await fetch('/api/release')).text()")
        .await?;
    let heard: String = browser
        .run(
            "const source = new EventSource('/api/events');
             const event = await new Promise((resolve, reject) => {
               source.onmessage = resolve;
               source.onerror = reject;
             });
             source.close();
             return event.data",
        )
        .await?;
    let id = deployment_id(OLD);
    assert_eq!((called.as_str(), heard.as_str()), (&*id, &*id));
    order(&browser).await?;
    is_ordered_from(&browser, OLD).await?;
    assert_eq!(loads(&browser).await?, 1);
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_is_gone_leads_to_its_page_by_one_load() -> Result<()> {
    leads_to_its_page("").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_is_gone_leads_to_its_page_below_a_base_path() -> Result<()> {
    leads_to_its_page("/shop").await
}

async fn leads_to_its_page(base: BasePath) -> Result<()> {
    let (mut shop, browser) = open(base).await?;
    old_tab::retire(&mut shop).await?;
    order(&browser).await?;
    shows(&browser, NEW).await?;
    tokio::time::sleep(WHILE_IT_COULD_LOOP).await;
    assert_eq!(
        (place(&browser).await?, loads(&browser).await?),
        (format!("{base}/cart?step=2"), 2)
    );
    // The new page works.
    order(&browser).await?;
    is_ordered_from(&browser, NEW).await?;
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_the_new_release_by_one_load() -> Result<()> {
    let (mut shop, browser) = open("").await?;
    old_tab::retire(&mut shop).await?;
    browser.click("a").await?;
    shows(&browser, NEW).await?;
    tokio::time::sleep(WHILE_IT_COULD_LOOP).await;
    assert_eq!(
        (place(&browser).await?.as_str(), loads(&browser).await?),
        ("/cart?step=3", 2)
    );
    browser.stop().await
}

/// The counterpart: if a page does not say where it is, the filter cannot send it back there, and Next reports a failure.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_referrer_an_action_that_is_gone_is_an_error_on_the_page() -> Result<()> {
    let (mut shop, browser) = open("").await?;
    browser
        .run::<()>(
            "document.head.insertAdjacentHTML('beforeend', '<meta name=referrer content=no-referrer>')",
        )
        .await?;
    old_tab::retire(&mut shop).await?;
    order(&browser).await?;
    browser
        .until("document.querySelector('[role=alert]')?.textContent")
        .await?;
    tokio::time::sleep(WHILE_IT_COULD_LOOP).await;
    assert_eq!(
        (place(&browser).await?.as_str(), loads(&browser).await?),
        ("/cart?step=2", 1)
    );
    browser.stop().await
}
