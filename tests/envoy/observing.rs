//! `"enforce": false`: everything is decided and counted, and nothing is changed but a forged route.

use anyhow::Result;
use serde_json::{Value, json};

use crate::application::answer_of;
use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{Header, Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    a_request_is_only_rid_of_a_forged_route,
    an_answer_is_unchanged,
    an_outdated_client_is_not_told,
    envoys_own_failure_is_unchanged,
    every_decision_is_counted_and_browsers_are_told_from_others,
];

/// A configuration that would do something to every request and answer.
fn busy(name: &str) -> Value {
    shop(json!({
        "releases": [
            { "version": "2.0.0", "route": format!("{name}-v2") },
            { "version": "1.4.2", "route": format!("{name}-v1"), "state": "draining" },
            { "version": "1.3.0", "state": "retired" },
        ],
        "pinCookie": { "name": "pin" },
        "upstreamVersion": { "responseHeader": "x-app-version" },
        "enforce": false,
    }))
}

async fn gateway_to<'l>(lab: &'l Lab, name: &str, cluster: &str) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&busy(name))?
        .one_route_to(cluster)
        .open(lab)
        .await
}

fn with(mut headers: Vec<Header>, more: &[Header]) -> Vec<Header> {
    headers.extend(more);
    headers
}

const OLD: Header = ("x-bundle-version", "1.4.2");
const RETIRED: Header = ("x-bundle-version", "1.3.0");

async fn a_request_is_only_rid_of_a_forged_route(lab: &Lab) -> Result<()> {
    let gateway = gateway_to(lab, "observed-request", "shop").await?;
    let sent = with(
        chrome(Load::Reload),
        &[
            ("x-release", "mine"),
            ("if-modified-since", "yesterday"),
            OLD,
        ],
    );
    let received = gateway.received(&sent).await?;
    assert_eq!(received.lines("x-release"), [""; 0]);
    for (name, value) in sent.iter().filter(|(name, _)| *name != "x-release") {
        assert_eq!(received.lines(name), [*value], "{name}");
    }
    Ok(())
}

async fn an_answer_is_unchanged(lab: &Lab) -> Result<()> {
    let gateway = gateway_to(lab, "observed-answer", "application").await?;
    let headers = [
        ("content-type", "text/html"),
        ("cache-control", "max-age=60"),
        ("x-app-version", "9.9.9"),
    ];
    let told = answer_of(200, &headers, "<!doctype html>");
    for load in [Load::Navigation, Load::Prerender, Load::Script, Load::Fetch] {
        for more in [
            vec![],
            vec![OLD],
            vec![RETIRED],
            vec![("cookie", "pin=1.4.2")],
        ] {
            let sent = with(chrome(load), &more);
            let answer = gateway.get_answered(&told, "/", &sent).await?;
            let what = format!("{load:?} with {more:?}");
            assert_eq!(answer.status, 200, "{what}");
            assert_eq!(answer.text(), "<!doctype html>", "{what}");
            for (name, value) in headers {
                assert_eq!(answer.values(name), [value], "{what}");
            }
            for name in ["vary", "set-cookie", "x-client-update"] {
                assert_eq!(answer.value(name), None, "{what}");
            }
        }
    }
    Ok(())
}

async fn an_outdated_client_is_not_told(lab: &Lab) -> Result<()> {
    let gateway = gateway_to(lab, "observed-outdated", "shop").await?;
    let received = gateway
        .received(&with(chrome(Load::Fetch), &[RETIRED]))
        .await?;
    assert_eq!(received.lines("x-release"), [""; 0]);
    Ok(())
}

async fn envoys_own_failure_is_unchanged(lab: &Lab) -> Result<()> {
    let gateway = gateway_to(lab, "observed-failure", "shop-v1-3-0").await?;
    let answer = gateway.get("/", &with(chrome(Load::Fetch), &[OLD])).await?;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (503, "no healthy upstream")
    );
    assert_eq!(answer.value("x-client-update"), None);
    Ok(())
}

async fn every_decision_is_counted_and_browsers_are_told_from_others(lab: &Lab) -> Result<()> {
    let gateway = gateway_to(lab, "observed-counts", "shop").await?;
    for _ in 0..3 {
        gateway
            .get("/api/cart", &with(chrome(Load::Fetch), &[OLD]))
            .await?;
        gateway.get("/api/cart?dpl=1.4.2", &[]).await?;
        gateway.get("/api/cart", &chrome(Load::Fetch)).await?;
        gateway.get("/", &chrome(Load::Navigation)).await?;
    }
    let metrics = lab.metrics().await?;
    for (route, outcome, class, expected) in [
        ("observed-counts-v1", "pinned", "api", 3),
        ("observed-counts-v1", "pinned", "other", 3),
        ("observed-counts-v2", "uncovered", "api", 3),
        ("observed-counts-v2", "unversioned", "navigation", 3),
    ] {
        let labels = [("release", route), ("outcome", outcome), ("class", class)];
        let counted = metrics.sum("skew_guard_requests_total", &labels);
        assert_eq!(counted, expected, "{labels:?}");
    }
    Ok(())
}
