//! The cookie that remembers a visitor's version, for applications that cannot say it in their URLs.

use anyhow::Result;
use serde_json::{Value, json};

use crate::application::answer_of;
use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{BROWSERS, Header, Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const ON_EVERY_ENVOY: &[Behaviour] =
    behaviours![a_page_pins_its_visitor_beside_the_applications_own_cookies];

pub const ON_THE_NEWEST_ENVOY: &[Behaviour] = behaviours![
    only_a_page_pins,
    a_page_that_is_not_found_and_one_that_answers_a_form_pin_too,
    every_page_is_private_not_only_one_that_writes_it,
    of_several_that_a_browser_has_the_one_of_a_served_release_counts,
    its_age_counts_from_the_last_page,
    it_is_written_only_when_it_changes,
    it_is_not_written_beside_that_of_a_gateway_behind,
    what_the_page_loads_stays_with_the_pages_version,
    a_page_load_moves_a_pinned_visitor_to_current,
    a_pinned_navigation_does_not_pin_anew,
    a_page_that_was_not_modified_pins,
    a_page_loaded_ahead_of_the_click_is_declined_where_it_would_move_the_visitor,
    a_page_loaded_ahead_of_the_click_is_served_where_it_moves_nobody,
    its_attributes_can_be_chosen,
    where_the_mesh_chooses_the_pod_says_the_version,
    a_page_from_no_known_pod_pins_nobody,
];

async fn gateway_of<'l>(lab: &'l Lab, name: &str, mut changes: Value) -> Result<Gateway<'l>> {
    if changes.get("pinCookie").is_none() {
        changes["pinCookie"] = json!({ "name": "pin" });
    }
    Spec::of(lab, name)?
        .configured(&shop(changes))?
        .one_route_to("application")
        .open(lab)
        .await
}

const PIN: &str = "pin=2.0.0; Path=/; SameSite=Lax; Secure; HttpOnly";

fn html(more: &[(&str, &str)]) -> String {
    let headers = [&[("content-type", "text/html; charset=utf-8")], more].concat();
    answer_of(200, &headers, "<!doctype html>")
}

fn with(mut headers: Vec<Header>, more: &[Header]) -> Vec<Header> {
    headers.extend(more);
    headers
}

async fn a_page_pins_its_visitor_beside_the_applications_own_cookies(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "pinning", json!({})).await?;
    let own = [
        ("set-cookie", "session=1; Path=/"),
        ("set-cookie", "theme=dark"),
    ];
    for browser in BROWSERS {
        let sent = browser.sends(Load::Navigation);
        let answer = gateway.get_answered(&html(&own), "/", &sent).await?;
        assert_eq!(
            answer.values("set-cookie"),
            ["session=1; Path=/", "theme=dark", PIN],
            "{}",
            browser.name
        );
        assert_eq!(answer.values("cache-control"), ["private, no-cache"]);
        assert_eq!(answer.text(), "<!doctype html>");
    }
    Ok(())
}

async fn only_a_page_pins(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "pinning-pages", json!({})).await?;
    for load in Load::ALL {
        if Load::NAVIGATIONS.contains(&load) || load == Load::FormPost {
            continue;
        }
        let answer = gateway
            .answered(load.method(), &html(&[]), "/", &chrome(load))
            .await?;
        assert!(answer.values("set-cookie").is_empty(), "{load:?}");
    }
    for (status, kind) in [
        (200, "application/pdf"),
        (200, "application/json"),
        (500, "text/html"),
        (302, "text/html"),
    ] {
        let told = answer_of(status, &[("content-type", kind)], "");
        let page = chrome(Load::Navigation);
        let answer = gateway.get_answered(&told, "/", &page).await?;
        assert!(answer.values("set-cookie").is_empty(), "{status} {kind}");
    }
    Ok(())
}

async fn a_page_that_is_not_found_and_one_that_answers_a_form_pin_too(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "pinning-other-pages", json!({})).await?;
    let missing = answer_of(404, &[("content-type", "text/html")], "no such page");
    let answer = gateway
        .get_answered(&missing, "/", &chrome(Load::Navigation))
        .await?;
    assert_eq!(answer.values("set-cookie"), [PIN]);
    let answer = gateway
        .answered("POST", &html(&[]), "/order", &chrome(Load::FormPost))
        .await?;
    assert_eq!(answer.values("set-cookie"), [PIN]);
    Ok(())
}

async fn every_page_is_private_not_only_one_that_writes_it(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "private-pages", json!({})).await?;
    let shared = html(&[
        ("cache-control", "public, max-age=60"),
        ("cdn-cache-control", "max-age=60"),
        ("cloudflare-cdn-cache-control", "max-age=60"),
        ("netlify-cdn-cache-control", "max-age=60"),
        ("x-accel-expires", "60"),
    ]);
    for load in [Load::Navigation, Load::Frame] {
        let sent = with(chrome(load), &[("cookie", "pin=2.0.0")]);
        let answer = gateway.get_answered(&shared, "/", &sent).await?;
        assert_eq!(
            answer.values("cache-control"),
            ["private, no-cache"],
            "{load:?}"
        );
        for (name, _) in &answer.headers {
            let is_of_a_cache = name.ends_with("-cache-control") || name == "x-accel-expires";
            assert!(!is_of_a_cache, "{name}");
        }
    }
    Ok(())
}

async fn of_several_that_a_browser_has_the_one_of_a_served_release_counts(lab: &Lab) -> Result<()> {
    let gateway = gateway_to_shop(lab, "several-pins").await?;
    for cookies in [
        "pin=1.3.0; pin=1.4.2",
        "pin=%; pin=1.4.2",
        "pin=1.4.2; pin=2.0.0",
    ] {
        let sent = with(chrome(Load::Fetch), &[("cookie", cookies)]);
        let received = gateway.received(&sent).await?;
        assert_eq!(received.lines("x-release"), ["v1-4-2"], "{cookies}");
    }
    Ok(())
}

async fn its_age_counts_from_the_last_page(lab: &Lab) -> Result<()> {
    let aged = json!({ "pinCookie": { "name": "pin", "maxAgeSeconds": 60 } });
    let gateway = gateway_of(lab, "aging-pins", aged).await?;
    let sent = with(chrome(Load::Navigation), &[("cookie", "pin=2.0.0")]);
    let answer = gateway.get_answered(&html(&[]), "/", &sent).await?;
    let renewed = "pin=2.0.0; Max-Age=60; Path=/; SameSite=Lax; Secure; HttpOnly";
    assert_eq!(answer.values("set-cookie"), [renewed]);
    let ahead = with(chrome(Load::Prefetch), &[("cookie", "pin=2.0.0")]);
    let answer = gateway.get_answered(&html(&[]), "/", &ahead).await?;
    assert!(answer.values("set-cookie").is_empty());
    assert_eq!(answer.status, 200);
    Ok(())
}

async fn gateway_to_shop<'l>(lab: &'l Lab, name: &str) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&shop(json!({ "pinCookie": { "name": "pin" } })))?
        .one_route_to("shop")
        .open(lab)
        .await
}

async fn it_is_written_only_when_it_changes(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "pin-changes", json!({})).await?;
    for (cookie, changes) in [
        ("pin=2.0.0", false),
        ("a=b; pin=2.0.0; c=d", false),
        ("pin=\"2.0.0\"", false),
        ("pin=1.4.2", true),
        ("pin=", true),
        ("pin=%%%", true),
        ("mypin=2.0.0", true),
    ] {
        let sent = with(chrome(Load::Navigation), &[("cookie", cookie)]);
        let answer = gateway.get_answered(&html(&[]), "/", &sent).await?;
        let expected: &[&str] = if changes { &[PIN] } else { &[] };
        assert_eq!(answer.values("set-cookie"), expected, "{cookie}");
    }
    Ok(())
}

async fn it_is_not_written_beside_that_of_a_gateway_behind(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "pin-twice", json!({})).await?;
    let theirs = [("set-cookie", "pin=1.4.2; Path=/"), ("set-cookie", "a=b")];
    let page = chrome(Load::Navigation);
    let answer = gateway.get_answered(&html(&theirs), "/", &page).await?;
    assert_eq!(answer.values("set-cookie"), ["pin=1.4.2; Path=/", "a=b"]);
    assert_eq!(answer.values("cache-control"), ["private, no-cache"]);
    let similar = [("set-cookie", "mypin=1"), ("set-cookie", "a=pin=2")];
    let answer = gateway.get_answered(&html(&similar), "/", &page).await?;
    assert_eq!(answer.values("set-cookie"), ["mypin=1", "a=pin=2", PIN]);
    Ok(())
}

/// The shop's own pods behind routes, for what a cookie leads to.
async fn routed<'l>(lab: &'l Lab, name: &str, mut changes: Value) -> Result<Gateway<'l>> {
    changes["pinCookie"] = json!({ "name": "pin" });
    changes["unpinnedPaths"] = json!(["/version.json", "/sw.js"]);
    Spec::of(lab, name)?
        .configured(&shop(changes))?
        .open(lab)
        .await
}

async fn what_the_page_loads_stays_with_the_pages_version(lab: &Lab) -> Result<()> {
    let gateway = routed(lab, "pinned-loads", json!({})).await?;
    let pinned = [("cookie", "session=1; pin=1.4.2")];
    for browser in BROWSERS {
        for load in [Load::Script, Load::Image, Load::Fetch, Load::Frame] {
            let sent = with(browser.sends(load), &pinned);
            let received = gateway.received(&sent).await?;
            assert_eq!(received.release(), "1.4.2", "{load:?} {}", browser.name);
        }
    }
    Ok(())
}

async fn a_page_load_moves_a_pinned_visitor_to_current(lab: &Lab) -> Result<()> {
    let releases = json!([
        { "version": "2.0.0", "route": "v2-0-0" },
        { "version": "1.4.2", "route": "v1-4-2", "state": "draining" },
    ]);
    let gateway = routed(lab, "pin-drains", json!({ "releases": releases })).await?;
    let pinned = [("cookie", "pin=1.4.2")];
    let call = gateway
        .get("/api/cart", &with(chrome(Load::Fetch), &pinned))
        .await?;
    assert_eq!(call.values("x-app-version"), ["1.4.2"]);
    assert!(call.values("set-cookie").is_empty(), "no call renews it");
    for load in [Load::Navigation, Load::Reload] {
        let page = gateway.get("/", &with(chrome(load), &pinned)).await?;
        assert_eq!(page.values("x-app-version"), ["2.0.0"], "{load:?}");
        assert_eq!(page.values("set-cookie"), [PIN], "{load:?}");
    }
    Ok(())
}

async fn a_pinned_navigation_does_not_pin_anew(lab: &Lab) -> Result<()> {
    let pinned = json!({ "pinnedNavigation": ["/checkout"] });
    let gateway = routed(lab, "pin-checkout", pinned).await?;
    let sent = with(chrome(Load::Navigation), &[("cookie", "pin=1.4.2")]);
    let answer = gateway.get("/checkout/pay", &sent).await?;
    assert_eq!(answer.values("x-app-version"), ["1.4.2"]);
    assert!(answer.values("set-cookie").is_empty());
    Ok(())
}

async fn a_page_that_was_not_modified_pins(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "pin-304", json!({})).await?;
    let told = answer_of(304, &[("etag", "\"page\"")], "");
    let answer = gateway
        .get_answered(&told, "/", &chrome(Load::Reload))
        .await?;
    assert_eq!(answer.status, 304);
    assert_eq!(answer.values("set-cookie"), [PIN]);
    Ok(())
}

/// Only an answer of 200 to 299 is kept for the click: <https://github.com/WICG/nav-speculation/pull/144>.
async fn a_page_loaded_ahead_of_the_click_is_declined_where_it_would_move_the_visitor(
    lab: &Lab,
) -> Result<()> {
    let gateway = gateway_of(lab, "declined", json!({})).await?;
    for load in [Load::Prefetch, Load::Prerender] {
        for cookie in ["pin=1.4.2", "session=1"] {
            let sent = with(chrome(load), &[("cookie", cookie)]);
            let answer = gateway.get_answered(&html(&[]), "/", &sent).await?;
            assert_eq!(answer.status, 503, "{load:?} with {cookie}");
            assert_eq!(answer.values("cache-control"), ["no-store"]);
            assert!(answer.values("set-cookie").is_empty());
        }
    }
    Ok(())
}

async fn a_page_loaded_ahead_of_the_click_is_served_where_it_moves_nobody(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "not-declined", json!({})).await?;
    for load in [Load::Prefetch, Load::Prerender] {
        let sent = with(chrome(load), &[("cookie", "pin=2.0.0")]);
        let answer = gateway.get_answered(&html(&[]), "/", &sent).await?;
        assert_eq!(answer.status, 200, "{load:?}");
        assert!(answer.values("set-cookie").is_empty(), "{load:?}");
    }
    let without_cookie = Spec::of(lab, "nothing-to-keep")?
        .one_route_to("application")
        .open(lab)
        .await?;
    let answer = without_cookie
        .get_answered(&html(&[]), "/", &chrome(Load::Prerender))
        .await?;
    assert_eq!(answer.status, 200, "without a pin cookie");
    Ok(())
}

async fn its_attributes_can_be_chosen(lab: &Lab) -> Result<()> {
    let cookie = json!({
        "name": "shop.release",
        "maxAgeSeconds": 3600,
        "domain": "example.com",
        "path": "/shop",
        "sameSite": "None",
    });
    let gateway = gateway_of(lab, "attributes", json!({ "pinCookie": cookie })).await?;
    let page = chrome(Load::Navigation);
    let answer = gateway.get_answered(&html(&[]), "/shop", &page).await?;
    assert_eq!(
        answer.values("set-cookie"),
        [
            "shop.release=2.0.0; Max-Age=3600; Domain=example.com; Path=/shop; SameSite=None; Secure; HttpOnly"
        ]
    );
    Ok(())
}

/// Without `current` the mesh chooses the pod, and only the pod knows its version.
fn chosen_by_mesh() -> Value {
    json!({ "current": null, "upstreamVersion": { "responseHeader": "x-app-version" } })
}

async fn where_the_mesh_chooses_the_pod_says_the_version(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "mesh-chooses", chosen_by_mesh()).await?;
    let told = html(&[("x-app-version", "1.4.2")]);
    let page = chrome(Load::Navigation);
    let answer = gateway.get_answered(&told, "/", &page).await?;
    assert_eq!(
        answer.values("set-cookie"),
        ["pin=1.4.2; Path=/; SameSite=Lax; Secure; HttpOnly"]
    );
    let ahead = chrome(Load::Prerender);
    let answer = gateway.get_answered(&told, "/", &ahead).await?;
    assert_eq!((answer.status, answer.text()), (503, String::new()));
    assert!(answer.values("set-cookie").is_empty());
    Ok(())
}

async fn a_page_from_no_known_pod_pins_nobody(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "mesh-says-nothing", chosen_by_mesh()).await?;
    for more in [vec![], vec![("x-app-version", "not a version")]] {
        let page = chrome(Load::Navigation);
        let answer = gateway.get_answered(&html(&more), "/", &page).await?;
        assert_eq!(answer.status, 200);
        assert!(answer.values("set-cookie").is_empty(), "{more:?}");
    }
    Ok(())
}
