//! What a page of the shop does, as helpers for tests.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use skew_guard_lab::browser::Browser;

/// Enough calls for plain routing to reach each pod several times.
pub const CALLS: usize = 40;

/// What a script of the page sees of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Seen {
    /// The status; 0 if the browser hides the answer from the script.
    pub status: u16,
    /// `x-app-version`.
    pub release: Option<String>,
    /// `x-client-update`.
    pub update: Option<String>,
    /// `x-client-current`.
    pub current: Option<String>,
    /// `content-type`.
    pub kind: Option<String>,
    /// `cache-control`.
    pub caching: Option<String>,
    /// The body.
    pub body: String,
}

/// Waits until the page shows what the cart costs, and which release it is from.
pub async fn shows_the_cart(browser: &Browser, release: &str) -> Result<()> {
    browser
        .until(&format!(
            "document.querySelector('#page')?.textContent === '{release}' \
             && document.querySelector('#total').textContent === '€527.00'"
        ))
        .await
}

/// Calls the API as the page does: with its version in the header.
pub async fn call(browser: &Browser, path: &str) -> Result<Seen> {
    fetch(
        browser,
        path,
        json!({ "headers": { "x-bundle-version": version(browser).await? } }),
    )
    .await
}

/// The version that the page was built from.
pub async fn version(browser: &Browser) -> Result<String> {
    browser
        .run("return document.querySelector('meta[name=\"app-version\"]').content")
        .await
}

/// Fetches anything from within the page.
pub async fn fetch(browser: &Browser, url: &str, options: Value) -> Result<Seen> {
    browser
        .run(&format!(
            "try {{
               const answer = await fetch('{url}', {options});
               const header = (name) => answer.headers.get(name);
               return {{
                 status: answer.status,
                 release: header('x-app-version'),
                 update: header('x-client-update'),
                 current: header('x-client-current'),
                 kind: header('content-type'),
                 caching: header('cache-control'),
                 body: await answer.text(),
               }};
             }} catch (error) {{
               return {{ status: 0, body: String(error) }};
             }}"
        ))
        .await
}

/// The releases that answer many calls of the page, each once.
pub async fn answering_releases(browser: &Browser, path: &str) -> Result<Vec<String>> {
    let version = version(browser).await?;
    browser
        .run(&format!(
            "const releases = new Set();
             for (let call = 0; call < {CALLS}; call += 1) {{
               const headers = {{ 'x-bundle-version': '{version}' }};
               const answer = await fetch('{path}', {{ headers, cache: 'no-store' }});
               releases.add(answer.headers.get('x-app-version'));
             }}
             return [...releases].sort()"
        ))
        .await
}

/// Checks out: loads the code for that, which the page did not have yet, and sends the order.
pub async fn check_out(browser: &Browser) -> Result<()> {
    browser.click("#checkout").await
}
