//! The filter's own answers, as Envoy sends them.

use anyhow::{Context, Result};
use serde_json::json;
use skew_guard_lab::http::{self, RawAnswer};
use skew_guard_lab::wait;

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const ON_EVERY_ENVOY: &[Behaviour] = behaviours![
    a_call_of_a_retired_version_gets_the_reload_answer,
    an_asset_of_a_retired_version_gets_404_that_no_cache_keeps,
    a_head_request_gets_the_reload_answer_without_a_body,
    grpc_gets_a_status_that_no_client_retries,
    grpc_web_gets_its_status_in_headers_and_a_frame_of_trailers,
    a_body_that_still_arrives_does_not_hinder_the_answer,
    a_websocket_of_a_retired_version_is_refused_with_the_reload_answer,
    the_access_log_says_why,
];

pub const ON_THE_NEWEST_ENVOY: &[Behaviour] = behaviours![
    a_server_action_of_next_is_led_to_its_page_and_never_elsewhere,
    a_form_post_of_a_retired_version_gets_a_page,
    a_preflight_is_never_refused,
    only_an_allowed_origin_may_read_the_answer,
    status_and_body_can_be_chosen,
    a_page_of_a_retired_version_becomes_a_current_one,
    an_unknown_version_is_gone_where_there_is_a_current,
    a_draining_release_is_retired_at_its_time,
];

/// A gateway that knows a retired release, one that is denied, and a floor.
async fn gateway<'l>(lab: &'l Lab, name: &str) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&shop(json!({
            "releases": [
                { "version": "2.0.0", "route": "v2-0-0" },
                { "version": "1.4.2", "route": "v1-4-2" },
                { "version": "1.3.0", "state": "retired" },
            ],
            "denied": ["1.2.9"],
            "minVersion": "1.2.0",
        })))?
        .open(lab)
        .await
}

const RETIRED: (&str, &str) = ("x-bundle-version", "1.3.0");
const RELOAD: &str = r#"{"error":"client_outdated","client":"1.3.0","current":"2.0.0"}"#;

#[track_caller]
fn assert_reload(answer: &RawAnswer) {
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(answer.values("content-type"), ["application/json"]);
    assert_eq!(answer.values("cache-control"), ["no-store"]);
    assert_eq!(answer.values("x-client-update"), ["required"]);
    assert_eq!(answer.values("x-client-current"), ["2.0.0"]);
}

async fn a_call_of_a_retired_version_gets_the_reload_answer(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "reload").await?;
    let answer = gateway.get("/api/cart", &[RETIRED]).await?;
    assert_reload(&answer);
    assert_eq!(answer.text(), RELOAD);
    Ok(())
}

async fn an_asset_of_a_retired_version_gets_404_that_no_cache_keeps(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "retired-asset").await?;
    let script = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")];
    let answer = gateway.get("/main.js?dpl=1.3.0", &script).await?;
    assert_eq!((answer.status, answer.text().as_str()), (404, ""));
    assert_eq!(answer.values("cache-control"), ["no-store"]);
    assert_eq!(answer.values("x-client-update"), ["required"]);
    Ok(())
}

async fn a_server_action_of_next_is_led_to_its_page_and_never_elsewhere(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "next-action").await?;
    let action = |referer: &'static str| {
        [
            RETIRED,
            ("host", "shop.example.com"),
            ("next-action", "7f"),
            ("referer", referer),
        ]
    };
    let page = action("https://shop.example.com/cart?step=2");
    let answer = gateway.request("POST", "/cart", &page).await?;
    assert_reload(&answer);
    assert_eq!(
        answer.values("x-action-redirect"),
        ["https://shop.example.com/cart?step=2;replace"]
    );
    let elsewhere = action("https://shop.example.com//evil.example/");
    let answer = gateway.request("POST", "/cart", &elsewhere).await?;
    assert_reload(&answer);
    assert!(answer.values("x-action-redirect").is_empty());
    Ok(())
}

async fn a_head_request_gets_the_reload_answer_without_a_body(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "reload-head").await?;
    let answer = gateway.request("HEAD", "/api/cart", &[RETIRED]).await?;
    assert_reload(&answer);
    assert_eq!(answer.text(), "");
    Ok(())
}

async fn grpc_gets_a_status_that_no_client_retries(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "reload-grpc").await?;
    let client = http::client_http2()?;
    let answer = client
        .post(format!("http://{}/shop.Cart/Get", gateway.address()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header(RETIRED.0, RETIRED.1)
        .send()
        .await?;
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .map(|value| value.as_bytes().to_vec())
    };
    assert_eq!(answer.status(), 200);
    assert_eq!(header("grpc-status"), Some(b"9".to_vec()));
    assert_eq!(header("grpc-message"), Some(b"client_outdated".to_vec()));
    assert_eq!(header("content-type"), Some(b"application/grpc".to_vec()));
    assert_eq!(header("x-client-update"), Some(b"required".to_vec()));
    Ok(())
}

async fn grpc_web_gets_its_status_in_headers_and_a_frame_of_trailers(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "reload-grpc-web").await?;
    let headers = [RETIRED, ("content-type", "application/grpc-web+proto")];
    let answer = gateway.request("POST", "/shop.Cart/Get", &headers).await?;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.values("content-type"),
        ["application/grpc-web+proto"]
    );
    assert_eq!(answer.values("grpc-status"), ["9"]);
    assert_eq!(answer.values("x-client-update"), ["required"]);
    assert_eq!(
        answer.body,
        b"\x80\0\0\0\x2dgrpc-status:9\r\ngrpc-message:client_outdated\r\n"
    );
    Ok(())
}

async fn a_body_that_still_arrives_does_not_hinder_the_answer(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "reload-body").await?;
    let half_a_request = format!(
        "POST /api/order HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{}: {}\r\ncontent-length: 1000000\r\n\r\nthe first of many bytes",
        gateway.address(),
        RETIRED.0,
        RETIRED.1
    );
    let answer = http::exchange(gateway.address(), half_a_request.as_bytes()).await?;
    assert_reload(&answer);
    assert_eq!(answer.text(), RELOAD);
    Ok(())
}

async fn a_websocket_of_a_retired_version_is_refused_with_the_reload_answer(
    lab: &Lab,
) -> Result<()> {
    let gateway = gateway(lab, "reload-websocket").await?;
    let upgrade = format!(
        "GET /api/chat?dpl=1.3.0 HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-fetch-mode: websocket\r\nsec-fetch-dest: empty\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        gateway.address()
    );
    let answer = http::exchange(gateway.address(), upgrade.as_bytes()).await?;
    assert_reload(&answer);
    Ok(())
}

async fn the_access_log_says_why(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "details").await?;
    for (version, details) in [
        ("1.3.0", "skew_guard_retired"),
        ("1.2.9", "skew_guard_denied"),
        ("1.1.0", "skew_guard_below_minimum"),
        ("9.9.9", "skew_guard_unknown"),
    ] {
        let path = format!("/api/because-{version}");
        gateway.get(&path, &[("x-bundle-version", version)]).await?;
        wait::until(&format!("{details} in the access log"), async || {
            let log = gateway.access_log()?;
            Ok(log
                .lines()
                .any(|line| line.starts_with(&path) && line.ends_with(details)))
        })
        .await?;
    }
    Ok(())
}

async fn a_form_post_of_a_retired_version_gets_a_page(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "reload-form").await?;
    let form = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-site", "same-origin"),
        ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let answer = gateway.request("POST", "/order?dpl=1.3.0", &form).await?;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.values("content-type"), ["text/html; charset=utf-8"]);
    assert!(answer.text().contains("<h1>This page is out of date</h1>"));
    Ok(())
}

async fn a_preflight_is_never_refused(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "reload-preflight").await?;
    let preflight = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-bundle-version"),
    ];
    let answer = gateway
        .request("OPTIONS", "/api/request?dpl=1.3.0", &preflight)
        .await?;
    assert_eq!(
        (answer.status, answer.value("x-app-version").as_deref()),
        (200, Some("2.0.0"))
    );
    Ok(())
}

async fn only_an_allowed_origin_may_read_the_answer(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "reload-cors")?
        .configured(&shop(json!({
            "denied": ["1.3.0"],
            "cors": { "allowOrigins": ["https://app.example.com"], "allowCredentials": true },
        })))?
        .open(lab)
        .await?;
    let allowed = gateway
        .get(
            "/api/cart",
            &[RETIRED, ("origin", "https://app.example.com")],
        )
        .await?;
    assert_reload(&allowed);
    assert_eq!(
        allowed.values("access-control-allow-origin"),
        ["https://app.example.com"]
    );
    assert_eq!(allowed.values("access-control-allow-credentials"), ["true"]);
    assert_eq!(allowed.values("vary"), ["Origin"]);
    let other = gateway
        .get(
            "/api/cart",
            &[RETIRED, ("origin", "https://evil.example.com")],
        )
        .await?;
    assert_reload(&other);
    assert!(other.values("access-control-allow-origin").is_empty());
    assert_eq!(other.values("vary"), ["Origin"]);
    Ok(())
}

async fn status_and_body_can_be_chosen(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "reload-chosen")?
        .configured(&shop(json!({
            "denied": ["1.3.0"],
            "reload": { "status": 426, "body": { "code": "RELOAD" } },
        })))?
        .open(lab)
        .await?;
    let answer = gateway.get("/api/cart", &[RETIRED]).await?;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (426, r#"{"code":"RELOAD"}"#)
    );
    Ok(())
}

async fn a_page_of_a_retired_version_becomes_a_current_one(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "reload-page").await?;
    let navigation = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("accept", "text/html"),
    ];
    let answer = gateway.get("/?dpl=1.3.0", &navigation).await?;
    assert_eq!(
        (answer.status, answer.value("x-app-version").as_deref()),
        (200, Some("2.0.0"))
    );
    Ok(())
}

async fn an_unknown_version_is_gone_where_there_is_a_current(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "reload-unknown").await?;
    let answer = gateway
        .get("/api/cart", &[("x-bundle-version", "7.7.7")])
        .await?;
    assert_reload(&answer);
    Ok(())
}

async fn a_draining_release_is_retired_at_its_time(lab: &Lab) -> Result<()> {
    let draining_until = |until: &str| {
        shop(json!({
            "releases": [
                { "version": "2.0.0", "route": "v2-0-0" },
                { "version": "1.4.2", "route": "v1-4-2", "state": "draining", "until": until },
            ],
        }))
    };
    let mut gateway = Spec::of(lab, "until")?
        .configured(&draining_until("2999-01-01T00:00:00Z"))?
        .open(lab)
        .await?;
    let call = [("x-bundle-version", "1.4.2")];
    let answer = gateway.get("/api/cart", &call).await?;
    assert_eq!(
        answer.value("x-app-version").context("no pod answered")?,
        "1.4.2"
    );
    assert_eq!(answer.values("x-client-update"), ["available"]);
    gateway
        .configure(&draining_until("2026-01-01T01:00:00+02:00"))
        .await?;
    assert_reload(&gateway.get("/api/cart", &call).await?);
    Ok(())
}
