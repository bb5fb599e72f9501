//! A tab of the old release of the built application, and what happens to that release.

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::browser::Browser;

use crate::application::Build;
use crate::shop::{OLD, Shop};

/// A tab that was opened while the old release was current.
pub async fn open(build: Build, changes: Value) -> Result<(Shop, Browser)> {
    let mut configuration = json!({ "current": OLD });
    if let (Some(keys), Value::Object(changes)) = (configuration.as_object_mut(), changes) {
        keys.extend(changes);
    }
    let shop = Shop::of(build, configuration).await?;
    let browser = Browser::start().await?;
    browser.open(&shop.url("/")).await?;
    shows(&browser, OLD).await?;
    Ok((shop, browser))
}

/// A tab whose release is still served, next to the new one.
pub async fn draining(build: Build, changes: Value) -> Result<(Shop, Browser)> {
    let (mut shop, browser) = open(build, changes).await?;
    shop.add_new_release().await?;
    shop.make_new_release_current("draining").await?;
    Ok((shop, browser))
}

/// Retires its release.
pub async fn retire(shop: &mut Shop) -> Result<()> {
    shop.add_new_release().await?;
    shop.make_new_release_current("retired").await?;
    shop.end_old_release().await
}

/// Waits until the page of that release is shown, with its back end's answer.
pub async fn shows(browser: &Browser, release: &str) -> Result<()> {
    browser
        .until(&format!(
            "document.querySelector('#page')?.textContent === '{release}' \
             && document.querySelector('#cart')?.textContent === '{release}'"
        ))
        .await
}

/// Waits until the page of that release is shown, whatever happened to its calls.
pub async fn shows_page_of(browser: &Browser, release: &str) -> Result<()> {
    browser
        .until(&format!(
            "document.querySelector('#page')?.textContent === '{release}'"
        ))
        .await
}

/// Waits until the part behind the link is there, in the code of that release.
pub async fn shows_orders_of(browser: &Browser, release: &str) -> Result<()> {
    browser
        .until(&format!(
            "document.querySelector('#orders-of')?.textContent === '{release}'"
        ))
        .await
}

/// Waits until the page says that a part of it is missing.
pub async fn lacks_a_part(browser: &Browser) -> Result<()> {
    browser
        .until("document.body.textContent.includes('This part could not be loaded')")
        .await
}

/// Waits until the page shows the banner.
pub async fn shows_the_banner(browser: &Browser) -> Result<()> {
    browser
        .until("document.querySelector('[role=alert]')?.textContent.includes('out of date')")
        .await
}

/// The page's location within its origin.
pub async fn place(browser: &Browser) -> Result<String> {
    browser
        .run("return location.pathname + location.search + location.hash")
        .await
}

/// How often the tab in front has loaded a page of the shop.
pub async fn loads(browser: &Browser) -> Result<u32> {
    browser.run("return Number(sessionStorage.loads)").await
}
