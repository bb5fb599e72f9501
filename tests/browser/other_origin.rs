//! A page whose API is another origin.

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::browser::Browser;

use crate::page::{self, Seen};
use crate::shop::{NEW, OLD, Shop};

/// A tab of the old release that calls the API under another name, once while its release is there and once when it is
/// retired.
async fn calls(cors: bool) -> Result<[Seen; 2]> {
    let mut shop = Shop::for_other_origins(json!({ "current": OLD })).await?;
    if cors {
        shop.configure(json!({ "cors": { "allowOrigins": [shop.other_origin()] } }))
            .await?;
    }
    let browser = Browser::start().await?;
    browser.open(&shop.other_origin()).await?;
    let before = page::call(&browser, &shop.url("/api/cart")).await?;
    shop.add_new_release().await?;
    shop.make_new_release_current("retired").await?;
    let after = page::call(&browser, &shop.url("/api/cart")).await?;
    browser.stop().await?;
    Ok([before, after])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_can_read_that_it_has_to_reload() -> Result<()> {
    let [before, after] = calls(true).await?;
    assert_eq!(
        before.status, 200,
        "the preflight lets the version header in"
    );
    assert_eq!(
        (after.status, after.update.as_deref()),
        (409, Some("required"))
    );
    assert_eq!(after.current.as_deref(), Some(NEW));
    assert!(after.body.contains("client_outdated"), "{}", after.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_cors_a_script_sees_only_a_network_error() -> Result<()> {
    let [before, after] = calls(false).await?;
    assert_eq!(before.status, 200);
    assert_eq!(after.status, 0, "{}", after.body);
    Ok(())
}
