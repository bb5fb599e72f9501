//! What a browser's request is taken for, and which release answers it because of that.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{BROWSERS, Header, Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;
use crate::metrics::Metrics;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    each_load_of_each_browser_has_its_class,
    without_fetch_metadata_only_a_page_is_told_from_the_rest,
    a_navigation_goes_to_current_whatever_version_it_carries,
    everything_else_stays_with_its_version,
    a_navigation_below_a_pinned_path_stays_with_its_version,
    what_is_below_an_unpinned_path_goes_to_current,
    a_framed_document_that_no_release_serves_goes_to_current,
    a_preflight_follows_the_url_and_nothing_else,
    a_link_on_another_site_chooses_no_version_for_a_page,
    a_cookie_counts_on_a_link_from_another_site,
    a_page_of_current_is_never_answered_with_not_modified,
    conditions_stay_where_the_url_chose_the_release_and_go_elsewhere,
    conditions_that_guard_a_write_stay,
    a_range_goes_with_its_condition,
    an_application_whose_etags_are_hashes_keeps_all_conditions,
    an_asset_follows_its_path_and_not_a_header,
];

/// Every source.
fn sources() -> Value {
    json!([
        { "header": "x-bundle-version" },
        { "query": "dpl" },
        { "path": "/api/v-{version}/" },
        { "cookie": "pin" },
    ])
}

async fn gateway_of<'l>(lab: &'l Lab, name: &str, mut changes: Value) -> Result<Gateway<'l>> {
    if changes.get("sources").is_none() {
        changes["sources"] = sources();
    }
    Spec::of(lab, name)?
        .configured(&shop(changes))?
        .one_route_to("shop")
        .open(lab)
        .await
}

/// The route that a pod sees on such a request.
async fn route_of(gateway: &Gateway<'_>, load: Load, headers: &[Header]) -> Result<String> {
    route_at(gateway, load, "/api/request", headers).await
}

async fn route_at(
    gateway: &Gateway<'_>,
    load: Load,
    path: &str,
    headers: &[Header],
) -> Result<String> {
    let received = gateway.received_as(load.method(), path, headers).await?;
    Ok(received.lines("x-release").join(" and "))
}

fn with(mut headers: Vec<Header>, more: &[Header]) -> Vec<Header> {
    headers.extend(more);
    headers
}

const CLASSES: [&str; 5] = ["navigation", "framed", "asset", "api", "other"];

fn counted(metrics: &Metrics, route: &str) -> [u64; 5] {
    CLASSES.map(|class| {
        let labels = [("release", route), ("class", class)];
        metrics.sum("skew_guard_requests_total", &labels)
    })
}

/// The class under which the next request is counted.
async fn class_of(lab: &Lab, gateway: &Gateway<'_>, load: Load, sent: &[Header]) -> Result<String> {
    let before = counted(&lab.metrics().await?, gateway.name());
    gateway.request(load.method(), "/x", sent).await?;
    let after = counted(&lab.metrics().await?, gateway.name());
    let risen = CLASSES.iter().zip(after.iter().zip(before));
    let risen = risen.filter(|(_, (after, before))| *after > before);
    Ok(risen.map(|(class, _)| *class).collect::<Vec<_>>().join(" "))
}

/// A gateway whose route header is its own name, so that its counters are its own.
async fn counting_gateway<'l>(lab: &'l Lab, name: &str) -> Result<Gateway<'l>> {
    let releases = json!([{ "version": "2.0.0", "route": name }]);
    gateway_of(lab, name, json!({ "releases": releases })).await
}

async fn each_load_of_each_browser_has_its_class(lab: &Lab) -> Result<()> {
    let gateway = counting_gateway(lab, "classes").await?;
    for browser in BROWSERS {
        for load in Load::ALL {
            let expected = match load {
                load if Load::NAVIGATIONS.contains(&load) => "navigation",
                load if Load::ASSETS.contains(&load) => "asset",
                Load::LinkPrefetch => "asset",
                Load::Frame => "framed",
                _ => "api",
            };
            let class = class_of(lab, &gateway, load, &browser.sends(load)).await?;
            assert_eq!(class, expected, "{load:?} of {}", browser.name);
        }
    }
    Ok(())
}

async fn without_fetch_metadata_only_a_page_is_told_from_the_rest(lab: &Lab) -> Result<()> {
    let gateway = counting_gateway(lab, "classes-without-metadata").await?;
    for browser in BROWSERS {
        for load in Load::ALL {
            let is_page = Load::NAVIGATIONS.contains(&load) || load == Load::Frame;
            let expected = if is_page { "navigation" } else { "other" };
            let sent = browser.sends_without_fetch_metadata(load);
            let class = class_of(lab, &gateway, load, &sent).await?;
            assert_eq!(class, expected, "{load:?} of {}", browser.name);
        }
    }
    Ok(())
}

/// Where a request may carry its version, the header aside, which no navigation has.
const CARRIERS: [(&str, &[Header]); 3] = [
    ("/api/request?dpl=1.4.2", &[]),
    ("/api/request", &[("cookie", "pin=1.4.2")]),
    ("/api/request?dpl=1.4.2", &[("cookie", "pin=1.4.2")]),
];

async fn a_navigation_goes_to_current_whatever_version_it_carries(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "navigations", json!({})).await?;
    for browser in BROWSERS {
        for load in Load::NAVIGATIONS {
            for (path, carrier) in CARRIERS {
                let sent = with(browser.sends(load), carrier);
                let route = route_at(&gateway, load, path, &sent).await?;
                assert_eq!(route, "v2-0-0", "{load:?} of {} to {path}", browser.name);
            }
        }
    }
    Ok(())
}

async fn everything_else_stays_with_its_version(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "others", json!({})).await?;
    for browser in BROWSERS {
        for load in Load::ALL {
            let is_page = Load::NAVIGATIONS.contains(&load);
            // Its registration must see updates; a cookie does not pin it.
            if is_page || load == Load::ServiceWorker {
                continue;
            }
            for (path, carrier) in CARRIERS {
                let sent = with(browser.sends(load), carrier);
                let route = route_at(&gateway, load, path, &sent).await?;
                assert_eq!(route, "v1-4-2", "{load:?} of {} to {path}", browser.name);
            }
        }
    }
    Ok(())
}

async fn a_navigation_below_a_pinned_path_stays_with_its_version(lab: &Lab) -> Result<()> {
    let pinned = json!({ "pinnedNavigation": ["/api/request", "/checkout"] });
    let gateway = gateway_of(lab, "pinned-navigation", pinned).await?;
    let cookie = with(chrome(Load::Navigation), &[("cookie", "pin=1.4.2")]);
    assert_eq!(
        route_of(&gateway, Load::Navigation, &cookie).await?,
        "v1-4-2"
    );

    let other = json!({ "pinnedNavigation": ["/api/req", "/api/requests"] });
    let gateway = gateway_of(lab, "pinned-other-navigation", other).await?;
    assert_eq!(
        route_of(&gateway, Load::Navigation, &cookie).await?,
        "v2-0-0",
        "prefixes are whole segments"
    );
    Ok(())
}

async fn what_is_below_an_unpinned_path_goes_to_current(lab: &Lab) -> Result<()> {
    let unpinned = json!({ "unpinnedPaths": ["/api/request"] });
    let gateway = gateway_of(lab, "unpinned", unpinned).await?;
    for load in [Load::Fetch, Load::ServiceWorker, Load::Script, Load::Frame] {
        for (path, carrier) in CARRIERS {
            let sent = with(chrome(load), carrier);
            let route = route_at(&gateway, load, path, &sent).await?;
            assert_eq!(route, "v2-0-0", "{load:?} to {path}");
        }
        let header = with(chrome(load), &[("x-bundle-version", "1.4.2")]);
        assert_eq!(route_of(&gateway, load, &header).await?, "v2-0-0");
    }
    Ok(())
}

async fn a_framed_document_that_no_release_serves_goes_to_current(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "framed", json!({ "denied": ["1.3.0"] })).await?;
    for version in ["1.3.0", "0.0.7"] {
        let path = format!("/api/request?dpl={version}");
        let route = route_at(&gateway, Load::Frame, &path, &chrome(Load::Frame)).await?;
        assert_eq!(route, "v2-0-0", "{version}");
    }
    Ok(())
}

async fn a_preflight_follows_the_url_and_nothing_else(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "preflight", json!({ "denied": ["1.3.0"] })).await?;
    let preflight = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-bundle-version"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-dest", "empty"),
        ("cookie", "pin=1.4.2"),
    ];
    for (path, route) in [
        ("/api/request?dpl=1.4.2", "v1-4-2"),
        ("/api/request", "v2-0-0"),
        ("/api/request?dpl=1.3.0", "v2-0-0"),
        ("/api/request?dpl=0.0.7", "v2-0-0"),
    ] {
        let received = gateway.received_as("OPTIONS", path, &preflight).await?;
        assert_eq!(received.lines("x-release"), [route], "{path}");
    }
    let no_preflight = [("sec-fetch-mode", "cors"), ("cookie", "pin=1.4.2")];
    let received = gateway
        .received_as("OPTIONS", "/api/request", &no_preflight)
        .await?;
    assert_eq!(received.lines("x-release"), ["v1-4-2"], "plain OPTIONS");
    Ok(())
}

fn from_another_site(load: Load) -> Vec<Header> {
    let mut headers = chrome(load);
    headers.retain(|(name, _)| *name != "sec-fetch-site");
    with(headers, &[("sec-fetch-site", "cross-site")])
}

async fn a_link_on_another_site_chooses_no_version_for_a_page(lab: &Lab) -> Result<()> {
    let pinned = json!({ "pinnedNavigation": ["/"] });
    let gateway = gateway_of(lab, "cross-site", pinned).await?;
    let link = "/api/request?dpl=1.4.2";
    for load in [Load::Navigation, Load::Frame] {
        let theirs = route_at(&gateway, load, link, &from_another_site(load)).await?;
        assert_eq!(theirs, "v2-0-0", "{load:?}");
        let ours = route_at(&gateway, load, link, &chrome(load)).await?;
        assert_eq!(ours, "v1-4-2", "{load:?}");
    }
    let part = Load::Script;
    let script = route_at(&gateway, part, link, &from_another_site(part)).await?;
    assert_eq!(script, "v1-4-2", "a part of a page may be on another site");
    Ok(())
}

async fn a_cookie_counts_on_a_link_from_another_site(lab: &Lab) -> Result<()> {
    let pinned = json!({ "pinnedNavigation": ["/"] });
    let gateway = gateway_of(lab, "cross-site-cookie", pinned).await?;
    let sent = with(
        from_another_site(Load::Navigation),
        &[("cookie", "pin=1.4.2")],
    );
    assert_eq!(route_of(&gateway, Load::Navigation, &sent).await?, "v1-4-2");
    Ok(())
}

const CONDITIONS: [Header; 2] = [
    ("if-none-match", "\"65920080-352\""),
    ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT"),
];

async fn a_page_of_current_is_never_answered_with_not_modified(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "not-modified")?.open(lab).await?;
    let page = chrome(Load::Navigation);
    let first = gateway.get("/", &page).await?;
    // Both releases have it: the files' time is fixed, and index.html keeps its length.
    let etag = first.value("etag").context("an ETag")?;
    let reload = [page.as_slice(), &[("if-none-match", &etag)]].concat();
    let again = gateway.get("/", &reload).await?;
    assert_eq!((again.status, again.text()), (200, first.text()));
    Ok(())
}

/// What has a version in its URL was of that release when the browser stored it.
async fn conditions_stay_where_the_url_chose_the_release_and_go_elsewhere(lab: &Lab) -> Result<()> {
    let pinned = json!({ "pinnedNavigation": ["/"] });
    let gateway = gateway_of(lab, "conditions", pinned).await?;
    let (by_header, by_cookie) = (("x-bundle-version", "1.4.2"), ("cookie", "pin=1.4.2"));
    let script = [("accept", "*/*")];
    let received = gateway
        .received(&with(script.to_vec(), &CONDITIONS))
        .await?;
    assert_eq!(
        received.lines(CONDITIONS[0].0),
        [CONDITIONS[0].1],
        "no browser"
    );
    for (load, path, carried, stay) in [
        (Load::Fetch, "/api/request", None, false),
        (Load::Fetch, "/api/request?dpl=1.4.2", None, true),
        (Load::Script, "/api/request?dpl=1.4.2", None, true),
        (Load::Fetch, "/api/request", Some(by_header), false),
        (Load::Fetch, "/api/request", Some(by_cookie), false),
        (Load::Script, "/api/request", Some(by_cookie), false),
        (Load::Script, "/api/request", None, false),
        (Load::Navigation, "/api/request?dpl=1.4.2", None, false),
        (Load::Navigation, "/api/request", None, false),
        (Load::Frame, "/api/request", None, false),
    ] {
        let mut sent = with(chrome(load), &CONDITIONS);
        sent.extend(carried);
        let received = gateway.received_at(path, &sent).await?;
        for (name, value) in CONDITIONS {
            let expected: &[&str] = if stay { &[value] } else { &[] };
            assert_eq!(
                received.lines(name),
                expected,
                "{load:?} {path} {carried:?} {name}"
            );
        }
    }
    Ok(())
}

async fn conditions_that_guard_a_write_stay(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "guarded-writes", json!({})).await?;
    let sent = with(chrome(Load::Fetch), &CONDITIONS);
    let sent = with(
        sent,
        &[("x-bundle-version", "1.4.2"), ("if-match", "\"2\"")],
    );
    let received = gateway.received_as("PUT", "/api/request", &sent).await?;
    for (name, value) in CONDITIONS {
        assert_eq!(received.lines(name), [value]);
    }
    assert_eq!(received.lines("if-match"), ["\"2\""]);
    let received = gateway.received(&sent).await?;
    assert_eq!(received.lines("if-match"), ["\"2\""]);
    Ok(())
}

async fn a_range_goes_with_its_condition(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "ranges", json!({})).await?;
    let part = [("x-bundle-version", "1.4.2"), ("range", "bytes=0-9")];
    let received = gateway.received(&part).await?;
    assert_eq!(received.lines("range"), ["bytes=0-9"]);
    let conditional = [part[0], part[1], ("if-range", "\"1\"")];
    let received = gateway.received(&conditional).await?;
    assert!(received.lines("range").is_empty() && received.lines("if-range").is_empty());
    Ok(())
}

async fn an_application_whose_etags_are_hashes_keeps_all_conditions(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "kept-conditions", json!({ "conditional": "keep" })).await?;
    for load in [Load::Navigation, Load::Fetch, Load::Script] {
        let sent = with(chrome(load), &CONDITIONS);
        let received = gateway.received(&sent).await?;
        for (name, value) in CONDITIONS {
            assert_eq!(received.lines(name), [value], "{load:?}");
        }
    }
    Ok(())
}

async fn an_asset_follows_its_path_and_not_a_header(lab: &Lab) -> Result<()> {
    let by_path = json!({ "sources": [
        { "header": "x-bundle-version" },
        { "path": "/assets/v-{version}/" },
    ] });
    let gateway = Spec::of(lab, "path-before-header")?
        .configured(&shop(by_path))?
        .open(lab)
        .await?;
    for (load, release) in [(Load::Script, "1.4.2"), (Load::Fetch, "2.0.0")] {
        let sent = with(chrome(load), &[("x-bundle-version", "2.0.0")]);
        let answer = gateway.get("/assets/v-1.4.2/main.js", &sent).await?;
        assert_eq!(answer.values("x-app-version"), [release], "{load:?}");
    }
    Ok(())
}
