//! Where a version is read from, with all that real requests hold beside it.

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::http;

use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;
use crate::received::Received;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    a_version_in_the_asset_directory_routes,
    a_cookie_is_found_by_its_exact_name,
    a_cookie_in_any_of_several_lines_is_found,
    a_cookie_in_any_of_several_lines_of_http_2_is_found,
    a_member_of_baggage_is_found,
    the_order_of_sources_decides,
    a_source_that_holds_no_version_yields_to_the_next,
];

async fn gateway_of<'l>(lab: &'l Lab, name: &str, sources: Value) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&shop(json!({ "sources": sources })))?
        .open(lab)
        .await
}

async fn a_version_in_the_asset_directory_routes(lab: &Lab) -> Result<()> {
    let sources = json!([{ "path": "/assets/v-{version}/" }]);
    let gateway = gateway_of(lab, "path", sources).await?;
    let script = chrome(Load::Script);
    for version in ["1.4.2", "2.0.0"] {
        let path = format!("/assets/v-{version}/checkout.js");
        let answer = gateway.get(&path, &script).await?;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.values("x-app-version"), [version], "{path}");
        assert!(answer.text().contains(&format!("release {version}")));
    }
    for path in [
        "/assets/img/logo.svg",
        "/static/assets/v-1.4.2/main.js",
        "/assets/v-1.4.2",
        "/assets/v-/main.js",
    ] {
        let answer = gateway.get(path, &chrome(Load::Fetch)).await?;
        assert_eq!(answer.values("x-app-version"), ["2.0.0"], "{path}");
    }
    Ok(())
}

async fn a_cookie_is_found_by_its_exact_name(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "cookie", json!([{ "cookie": "x-pin" }])).await?;
    for (cookie, release) in [
        ("x-pin=1.4.2", "1.4.2"),
        ("a=b; x-pin=1.4.2; c=d", "1.4.2"),
        ("a=b;x-pin=1.4.2", "1.4.2"),
        ("x-pin=\"1.4.2\"", "1.4.2"),
        ("  x-pin = 1.4.2 ", "1.4.2"),
        ("consent; x-pin=1.4.2", "1.4.2"),
        ("token=abc==; x-pin=1.4.2", "1.4.2"),
        ("x-pin=1.4.2; x-pin=2.0.0", "1.4.2"),
        ("my-x-pin=1.4.2", "2.0.0"),
        ("x-pin-2=1.4.2", "2.0.0"),
        ("X-Pin=1.4.2", "2.0.0"),
        ("x-pin", "2.0.0"),
        ("x-pin=", "2.0.0"),
        ("last=x-pin=1.4.2", "2.0.0"),
    ] {
        let headers = [("cookie", cookie)];
        let received = gateway.received(&headers).await?;
        assert_eq!(received.release(), release, "{cookie}");
        assert_eq!(received.lines("cookie"), [cookie.trim()], "untouched");
    }
    let similar = [("cookie", "x-pin=1x4-2")];
    let answer = gateway.get("/api/cart", &similar).await?;
    assert_eq!(answer.status, 409, "not taken for 1.4.2");
    Ok(())
}

async fn a_cookie_in_any_of_several_lines_is_found(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "cookie-lines", json!([{ "cookie": "pin" }])).await?;
    let lines = [
        ("Cookie", b"session=\xff\xfe".as_slice()),
        ("cookie", b"nothing"),
        ("cookie", b"a=b; pin=1.4.2"),
        ("cookie", b"pin=2.0.0"),
    ];
    let answer = http::get(gateway.address(), "/api/request", &lines).await?;
    assert_eq!(Received::from(&answer)?.release(), "1.4.2");
    Ok(())
}

async fn a_cookie_in_any_of_several_lines_of_http_2_is_found(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "cookie-http-2", json!([{ "cookie": "pin" }])).await?;
    let answer = http::client_http2()?
        .get(format!("http://{}/api/request", gateway.address()))
        .header("cookie", "session=1")
        .header("cookie", "pin=1.4.2")
        .send()
        .await?;
    let received = Received::read(&answer.bytes().await?)?;
    assert_eq!(received.release(), "1.4.2");
    Ok(())
}

async fn a_member_of_baggage_is_found(lab: &Lab) -> Result<()> {
    let sources = json!([{ "baggage": "client-version" }]);
    let gateway = gateway_of(lab, "baggage", sources).await?;
    for (baggage, release) in [
        ("client-version=1.4.2", "1.4.2"),
        ("user=7, client-version = 1.4.2 ;ttl=5,x=y", "1.4.2"),
        ("client-version=1%2E4.2", "1.4.2"),
        ("old-client-version=1.4.2", "2.0.0"),
        ("client-version", "2.0.0"),
        ("client-version=", "2.0.0"),
        ("user=client-version=1.4.2", "2.0.0"),
    ] {
        let received = gateway.received(&[("baggage", baggage)]).await?;
        assert_eq!(received.release(), release, "{baggage}");
        assert_eq!(received.lines("baggage"), [baggage], "untouched");
    }
    let lines = [("baggage", "user=7"), ("Baggage", "client-version=1.4.2")];
    assert_eq!(gateway.received(&lines).await?.release(), "1.4.2");
    Ok(())
}

/// A request that holds another version in each place.
const BOTH: (&str, &[(&str, &str)]) = (
    "/api/request?dpl=2.0.0",
    &[("x-bundle-version", "2.1.0"), ("cookie", "pin=1.4.2")],
);

async fn the_order_of_sources_decides(lab: &Lab) -> Result<()> {
    let header = json!({ "header": "x-bundle-version" });
    let query = json!({ "query": "dpl" });
    let cookie = json!({ "cookie": "pin" });
    let releases = json!([
        { "version": "2.1.0", "route": "v2-1-0" },
        { "version": "2.0.0", "route": "v2-0-0" },
        { "version": "1.4.2", "route": "v1-4-2" },
    ]);
    let orders = [
        ([&header, &query, &cookie], "2.1.0"),
        ([&query, &header, &cookie], "2.0.0"),
        ([&cookie, &query, &header], "1.4.2"),
    ];
    for (number, (order, release)) in orders.into_iter().enumerate() {
        let gateway = Spec::of(lab, &format!("order-{number}"))?
            .configured(&shop(json!({ "releases": releases, "sources": order })))?
            .open(lab)
            .await?;
        let received = gateway.received_at(BOTH.0, BOTH.1).await?;
        assert_eq!(received.release(), release, "{order:?}");
    }
    Ok(())
}

async fn a_source_that_holds_no_version_yields_to_the_next(lab: &Lab) -> Result<()> {
    let sources = json!([
        { "header": "x-bundle-version" },
        { "query": "dpl" },
        { "cookie": "pin" },
    ]);
    let gateway = gateway_of(lab, "yielding", sources).await?;
    let headers = [
        ("x-bundle-version", "undefined; null"),
        ("cookie", "pin=1.4.2"),
    ];
    let received = gateway
        .received_at("/api/request?dpl=%20", &headers)
        .await?;
    assert_eq!(received.release(), "1.4.2");
    Ok(())
}
