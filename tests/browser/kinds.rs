//! Every way in which a page makes a request, and whether its own release or another one answered.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::browser::Browser;
use skew_guard_lab::wait;

use crate::application::Build;
use crate::old_tab;
use crate::server::Record;
use crate::shop::{NEW, OLD, Shop};

/// The page's name for each kind of request, and the paths on which the pods receive it.
const KINDS: [(&str, &[&str]); 15] = [
    ("fetch", &["/api/kind/fetch"]),
    ("fetch of a Request", &["/api/kind/request"]),
    ("XMLHttpRequest", &["/api/kind/xhr"]),
    ("WebSocket", &["/api/kind/websocket"]),
    ("EventSource", &["/api/kind/eventsource"]),
    ("sendBeacon", &["/api/kind/beacon"]),
    ("a chunk and its style sheet", &["part-*.js", "part-*.css"]),
    (
        "a worker and its fetch",
        &["worker-*.js", "/api/kind/worker-fetch"],
    ),
    ("a form by its button", &["/api/kind/form"]),
    ("a form by submit()", &["/api/kind/submit"]),
    (
        "a form by requestSubmit() and formaction",
        &["/api/kind/formaction"],
    ),
    ("an image of the API", &["/api/kind/image"]),
    ("a frame of the API", &["/api/kind/frame"]),
    ("a download", &["/api/kind/download"]),
    ("a file of public/", &["/logo.svg"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn with_the_client_each_is_answered_by_the_release_of_the_page() -> Result<()> {
    let (shop, browser) = old_tab::draining(Build::Guarded, downloads_by_url()).await?;
    answered_by(&ask(&shop, &browser).await?, OLD);
    browser.stop().await
}

/// The counterpart: nothing states a version, so every kind goes to the new release, or finds no file there.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_client_none_is() -> Result<()> {
    let (shop, browser) = old_tab::draining(Build::Plain, downloads_by_url()).await?;
    answered_by(&ask(&shop, &browser).await?, NEW);
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_client_tabs_of_two_releases_stay_apart() -> Result<()> {
    in_two_tabs(downloads_by_url()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_client_tabs_of_two_releases_stay_apart_although_they_share_a_cookie() -> Result<()>
{
    in_two_tabs(with_cookie()).await
}

/// The counterpart: the cookie follows the tab that was opened last.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_client_the_cookie_takes_the_old_tab_to_the_new_release() -> Result<()> {
    let (shop, browser) = beside_a_new_tab(Build::Plain, with_cookie()).await?;
    answered_by(&ask(&shop, &browser).await?, NEW);
    browser.stop().await
}

async fn in_two_tabs(changes: Value) -> Result<()> {
    let (shop, browser) = beside_a_new_tab(Build::Guarded, changes).await?;
    answered_by(&ask(&shop, &browser).await?, OLD);
    browser.open(&shop.url("/")).await?;
    old_tab::shows(&browser, NEW).await?;
    answered_by(&ask(&shop, &browser).await?, NEW);
    browser.stop().await
}

/// An old tab in front, and one of the new release that was opened later.
async fn beside_a_new_tab(build: Build, changes: Value) -> Result<(Shop, Browser)> {
    let (shop, browser) = old_tab::draining(build, changes).await?;
    let old = browser.tab().await?;
    browser.open_tab().await?;
    browser.open(&shop.url("/")).await?;
    old_tab::shows(&browser, NEW).await?;
    browser.show(&old).await?;
    Ok((shop, browser))
}

/// A download is a navigation: only `pinnedNavigation` keeps it on the version in its URL.
fn downloads_by_url() -> Value {
    json!({ "pinnedNavigation": ["/api/kind/download"] })
}

fn with_cookie() -> Value {
    json!({
        "pinnedNavigation": ["/api/kind/download"],
        "pinCookie": { "name": "pin", "secure": false },
    })
}

fn answered_by(answered: &BTreeMap<&str, Vec<String>>, expected: &str) {
    for (path, releases) in answered {
        assert!(
            !releases.is_empty() && releases.iter().all(|release| release == expected),
            "{path}: {releases:?}\n{answered:#?}"
        );
    }
}

/// Which releases answered each path, after the tab in front has requested it in every possible way.
async fn ask(shop: &Shop, browser: &Browser) -> Result<BTreeMap<&'static str, Vec<String>>> {
    let record = shop.record();
    let before = record.all().len();
    for (kind, paths) in KINDS {
        browser
            .run::<()>(&format!("await window.kinds['{kind}']()"))
            .await?;
        let arrived = async || {
            let has_arrived = |path: &&str| !releases(&record, before, path).is_empty();
            Ok(paths.iter().all(has_arrived))
        };
        wait::until(kind, arrived).await?;
    }
    let paths = KINDS.iter().flat_map(|(_, paths)| paths.iter().copied());
    let answered = paths.map(|path| (path, releases(&record, before, path)));
    Ok(answered.collect())
}

/// The releases that have answered for that path since then. The star stands for the hash in a file's name.
fn releases(record: &Record, since: usize, path: &str) -> Vec<String> {
    let is_meant = |asked: &str| match path.split_once('*') {
        None => asked == path,
        Some((name, kind)) => {
            let file = asked.rsplit('/').next().unwrap_or_default();
            file.starts_with(name) && file.ends_with(kind)
        }
    };
    let asked = record.all().into_iter().skip(since);
    asked
        .filter(|asked| is_meant(&asked.path))
        .map(|asked| asked.release)
        .collect()
}
