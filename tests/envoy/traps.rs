//! The traps that similar attempts fell into, each from beginning to end, with a browser's own headers.

use anyhow::{Context, Result};
use serde_json::json;

use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{BROWSERS, Header, Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    a_second_tab_does_not_move_the_first,
    the_update_probe_and_the_service_worker_see_the_update,
    a_service_workers_own_fetches_see_the_update,
    a_renamed_version_header_does_not_keep_old_clients_from_being_told,
    a_reload_brings_another_page_and_that_page_works,
    the_clients_of_a_removed_release_are_gone_and_not_skewed,
    a_page_a_frame_and_a_form_are_never_shown_json,
    another_application_with_a_version_header_of_its_own_is_left_alone,
];

fn with<'a>(headers: Vec<Header>, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut headers: Vec<(&str, &str)> = headers;
    headers.extend(more);
    headers
}

/// All ways to carry a version, the cookie last.
async fn gateway<'l>(lab: &'l Lab, name: &str) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&shop(json!({
            "sources": [
                { "header": "x-bundle-version" },
                { "query": "dpl" },
                { "path": "/assets/v-{version}/" },
            ],
            "releases": [
                { "version": "2.0.0", "route": "v2-0-0" },
                { "version": "1.4.2", "route": "v1-4-2", "state": "draining" },
                { "version": "1.3.0", "state": "retired" },
            ],
            "unpinnedPaths": ["/version.json", "/sw.js"],
            "pinCookie": { "name": "pin" },
        })))?
        .open(lab)
        .await
}

/// The second tab got a page of 2.0.0, and with it a cookie that both tabs send.
async fn a_second_tab_does_not_move_the_first(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "second-tab").await?;
    let cookie = ("cookie", "pin=2.0.0");
    for browser in BROWSERS {
        for (load, path, more) in [
            (
                Load::Fetch,
                "/api/cart",
                Some(("x-bundle-version", "1.4.2")),
            ),
            (Load::Fetch, "/api/cart?dpl=1.4.2", None),
            (Load::WebSocket, "/api/cart?dpl=1.4.2", None),
            (Load::Module, "/assets/v-1.4.2/checkout.js", None),
            (Load::Worker, "/assets/v-1.4.2/main.js", None),
        ] {
            let mut sent = with(browser.sends(load), &[cookie]);
            sent.extend(more);
            let answer = gateway.get(path, &sent).await?;
            let what = format!("{load:?} of {} to {path}", browser.name);
            assert_eq!(answer.values("x-app-version"), ["1.4.2"], "{what}");
        }
    }
    Ok(())
}

const PINNED: Header = ("cookie", "pin=1.4.2");

async fn the_update_probe_and_the_service_worker_see_the_update(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "probe").await?;
    for browser in BROWSERS {
        for (load, path) in [
            (Load::Fetch, "/version.json"),
            (Load::ServiceWorker, "/sw.js"),
            (Load::ServiceWorker, "/elsewhere/worker.js"),
        ] {
            let answer = gateway
                .get(path, &with(browser.sends(load), &[PINNED]))
                .await?;
            let what = format!("{load:?} of {} to {path}", browser.name);
            assert_eq!(answer.values("x-app-version"), ["2.0.0"], "{what}");
        }
    }
    Ok(())
}

async fn a_service_workers_own_fetches_see_the_update(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "worker-fetches").await?;
    for (referer, release) in [
        ("https://shop.example.com/sw.js", "2.0.0"),
        ("https://shop.example.com/sw.js?v=3", "2.0.0"),
        ("https://shop.example.com/", "1.4.2"),
        ("https://shop.example.com/sw.json", "1.4.2"),
        ("https://shop.example.com", "1.4.2"),
        ("sw.js", "1.4.2"),
    ] {
        let sent = with(chrome(Load::Fetch), &[PINNED, ("referer", referer)]);
        let received = gateway.received(&sent).await?;
        assert_eq!(received.release(), release, "{referer}");
    }
    let versioned = [
        PINNED,
        ("referer", "https://shop.example.com/sw.js"),
        ("x-bundle-version", "1.4.2"),
    ];
    let received = gateway
        .received(&with(chrome(Load::Fetch), &versioned))
        .await?;
    assert_eq!(
        received.release(),
        "1.4.2",
        "a page's call that it passes on"
    );
    Ok(())
}

/// The new client sends `x-shop-version`; the old one still asks permission to send `x-bundle-version`.
async fn a_renamed_version_header_does_not_keep_old_clients_from_being_told(
    lab: &Lab,
) -> Result<()> {
    let app = "https://app.example.com";
    let gateway = Spec::of(lab, "renamed")?
        .configured(&shop(json!({
            "sources": [{ "header": "x-shop-version" }, { "header": "x-bundle-version" }],
            "denied": ["1.3.0"],
            "cors": { "allowOrigins": [app] },
        })))?
        .open(lab)
        .await?;
    let preflight = [
        ("origin", app),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-bundle-version"),
    ];
    let asked = gateway
        .received_as("OPTIONS", "/api/request", &preflight)
        .await?;
    assert_eq!(
        asked.lines("access-control-request-headers"),
        ["x-bundle-version"],
        "the application answers it"
    );
    let call = [("origin", app), ("x-bundle-version", "1.3.0")];
    let answer = gateway.get("/api/cart", &call).await?;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.values("access-control-allow-origin"), [app]);
    let exposed = answer.value("access-control-expose-headers");
    assert!(
        exposed
            .context("nothing exposed")?
            .contains("x-client-update")
    );
    Ok(())
}

/// A reload must not bring the same page again, be it by a 304, by the pin, or by the same release.
async fn a_reload_brings_another_page_and_that_page_works(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "reload-loop").await?;
    let old_page = gateway
        .get("/", &with(chrome(Load::Navigation), &[]))
        .await?;
    let etag = old_page.value("etag").context("an ETag")?;
    let cookie = ("cookie", "pin=1.3.0");
    let call = with(
        chrome(Load::Fetch),
        &[cookie, ("x-bundle-version", "1.3.0")],
    );
    let told = gateway.get("/api/cart", &call).await?;
    assert_eq!(told.values("x-client-update"), ["required"]);

    for browser in BROWSERS {
        let mut reload = with(browser.sends(Load::Reload), &[cookie]);
        reload.retain(|(name, _)| *name != "if-none-match");
        reload.push(("if-none-match", &etag));
        let page = gateway.get("/", &reload).await?;
        assert_eq!(page.status, 200, "{}", browser.name);
        assert_eq!(page.values("x-app-version"), ["2.0.0"], "{}", browser.name);
        let pinned = page.value("set-cookie").context("a new pin")?;
        let pinned = pinned.split(';').next().context("a value")?;
        assert_eq!(pinned, "pin=2.0.0", "{}", browser.name);
        let call = with(
            browser.sends(Load::Fetch),
            &[("cookie", pinned), ("x-bundle-version", "2.0.0")],
        );
        let answer = gateway.get("/api/cart", &call).await?;
        assert_eq!(
            answer.values("x-app-version"),
            ["2.0.0"],
            "{}",
            browser.name
        );
        assert_eq!(answer.value("x-client-update"), None, "{}", browser.name);
    }
    Ok(())
}

async fn the_clients_of_a_removed_release_are_gone_and_not_skewed(lab: &Lab) -> Result<()> {
    let mut gateway = gateway(lab, "removed").await?;
    let call = with(chrome(Load::Fetch), &[("x-bundle-version", "1.4.2")]);
    assert_eq!(gateway.get("/api/cart", &call).await?.status, 200);
    let without = json!([{ "version": "2.0.0", "route": "v2-0-0" }]);
    gateway
        .configure(&shop(json!({ "releases": without })))
        .await?;
    assert_eq!(gateway.get("/api/cart", &call).await?.status, 409);
    let script = chrome(Load::Script);
    let answer = gateway.get("/main.js?dpl=1.4.2", &script).await?;
    assert_eq!(answer.status, 404);
    Ok(())
}

async fn a_page_a_frame_and_a_form_are_never_shown_json(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "no-json").await?;
    for browser in BROWSERS {
        for load in Load::NAVIGATIONS.into_iter().chain([Load::Frame]) {
            let sent = with(browser.sends(load), &[("cookie", "pin=1.3.0")]);
            let answer = gateway.get("/?dpl=1.3.0", &sent).await?;
            let what = format!("{load:?} of {}", browser.name);
            // A page that is loaded ahead of the click is declined, because it would move the pin.
            let is_ahead = matches!(load, Load::Prefetch | Load::Prerender);
            assert_eq!(answer.status, if is_ahead { 503 } else { 200 }, "{what}");
            let kind = answer.value("content-type").unwrap_or_default();
            assert!(is_ahead || kind.starts_with("text/html"), "{what}: {kind}");
        }
        let form = with(browser.sends(Load::FormPost), &[("content-length", "0")]);
        let answer = gateway.request("POST", "/order?dpl=1.3.0", &form).await?;
        assert_eq!(answer.status, 409);
        assert_eq!(answer.values("content-type"), ["text/html; charset=utf-8"]);
    }
    Ok(())
}

async fn another_application_with_a_version_header_of_its_own_is_left_alone(
    lab: &Lab,
) -> Result<()> {
    let gateway = Spec::of(lab, "neighbour")?
        .configured(&shop(json!({ "hosts": ["shop.example.com"] })))?
        .one_route_to("shop")
        .open(lab)
        .await?;
    let theirs = [
        ("host", "wiki.example.com"),
        ("x-bundle-version", "0.1.0"),
        ("x-deployment-id", "7"),
    ];
    let received = gateway
        .received(&with(chrome(Load::Fetch), &theirs))
        .await?;
    assert_eq!(received.lines("x-bundle-version"), ["0.1.0"]);
    assert_eq!(received.lines("x-release"), [""; 0]);
    Ok(())
}
