//! Requests that are none of ours.

use anyhow::Result;
use serde_json::{Value, json};

use crate::application::answer_of;
use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    hosts_are_exact_names_or_all_below_one_whatever_the_port,
    paths_are_prefixes_of_whole_segments,
    a_request_outside_the_scope_is_untouched,
    an_answer_outside_the_scope_is_untouched,
    an_outdated_client_outside_the_scope_is_not_told_to_reload,
];

async fn gateway_of<'l>(lab: &'l Lab, name: &str, changes: Value) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&shop(changes))?
        .one_route_to("shop")
        .open(lab)
        .await
}

async fn hosts_are_exact_names_or_all_below_one_whatever_the_port(lab: &Lab) -> Result<()> {
    let hosts = json!({ "hosts": ["shop.example.com", "*.shop.example.com"] });
    let gateway = gateway_of(lab, "hosts", hosts).await?;
    for (host, is_ours) in [
        ("shop.example.com", true),
        ("shop.example.com:8443", true),
        ("SHOP.Example.com", true),
        ("de.shop.example.com", true),
        ("a.b.shop.example.com:80", true),
        ("myshop.example.com", false),
        ("example.com", false),
        ("shop.example.com.evil.example", false),
        ("wiki.example.com", false),
    ] {
        let received = gateway.received(&[("host", host)]).await?;
        let expected: &[&str] = if is_ours { &["v2-0-0"] } else { &[] };
        assert_eq!(received.lines("x-release"), expected, "{host}");
    }
    Ok(())
}

async fn paths_are_prefixes_of_whole_segments(lab: &Lab) -> Result<()> {
    for (number, (prefix, is_ours)) in [
        ("/api", true),
        ("/api/request", true),
        ("/api/", true),
        ("/ap", false),
        ("/api/req", false),
        ("/api/request/x", false),
        ("/API", false),
    ]
    .into_iter()
    .enumerate()
    {
        let paths = json!({ "paths": [prefix] });
        let gateway = gateway_of(lab, &format!("paths-{number}"), paths).await?;
        let expected: &[&str] = if is_ours { &["v2-0-0"] } else { &[] };
        for path in ["/api/request", "/api/request?x=/api/req/"] {
            let received = gateway.received_at(path, &[]).await?;
            assert_eq!(received.lines("x-release"), expected, "{prefix} {path}");
        }
    }
    Ok(())
}

/// A configuration that would do something to every request and answer.
fn busy() -> Value {
    json!({
        "hosts": ["shop.example.com"],
        "releases": [
            { "version": "2.0.0", "route": "scope-v2" },
            { "version": "1.4.2", "route": "scope-v1", "state": "draining" },
        ],
        "unknownVersion": "reload",
        "pinCookie": { "name": "pin" },
        "upstreamVersion": { "responseHeader": "x-app-version" },
    })
}

const ELSEWHERE: (&str, &str) = ("host", "wiki.example.com");

async fn a_request_outside_the_scope_is_untouched(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "scope-request", busy()).await?;
    let headers = [
        ELSEWHERE,
        ("x-release", "mine"),
        ("x-release", "too"),
        ("x-bundle-version", "1.4.2"),
        ("if-none-match", "\"1\""),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("accept", "text/html"),
    ];
    let received = gateway.received(&headers).await?;
    for (name, _) in headers {
        let sent = headers.iter().filter(|(other, _)| *other == name);
        let sent: Vec<_> = sent.map(|(_, value)| *value).collect();
        assert_eq!(received.lines(name), sent, "{name}");
    }
    let metrics = lab.metrics().await?;
    for route in ["scope-v2", "scope-v1"] {
        let counted = metrics.sum("skew_guard_requests_total", &[("release", route)]);
        assert_eq!(counted, 0, "{route}");
    }
    Ok(())
}

async fn an_answer_outside_the_scope_is_untouched(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "scope-answer")?
        .configured(&shop(busy()))?
        .one_route_to("application")
        .open(lab)
        .await?;
    let headers = [
        ("content-type", "text/html"),
        ("cache-control", "max-age=5"),
        ("x-app-version", "9.9.9"),
        ("set-cookie", "session=1"),
    ];
    let answer = answer_of(200, &headers, "<html>");
    let script = [
        ELSEWHERE,
        ("x-bundle-version", "1.4.2"),
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-dest", "script"),
    ];
    let page = [
        ELSEWHERE,
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    for request in [script.as_slice(), &page] {
        let answered = gateway.get_answered(&answer, "/a.js", request).await?;
        assert_eq!((answered.status, answered.text()), (200, "<html>".into()));
        for (name, value) in headers {
            assert_eq!(answered.values(name), [value]);
        }
        for name in ["vary", "x-client-update"] {
            assert_eq!(answered.value(name), None, "{name}");
        }
    }
    Ok(())
}

async fn an_outdated_client_outside_the_scope_is_not_told_to_reload(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "scope-outdated", busy()).await?;
    let outdated = ("x-bundle-version", "0.0.1");
    let ours = [("host", "shop.example.com"), outdated];
    assert_eq!(gateway.get("/api/cart", &ours).await?.status, 409);
    let theirs = [ELSEWHERE, outdated];
    assert_eq!(gateway.get("/api/cart", &theirs).await?.status, 200);
    Ok(())
}
