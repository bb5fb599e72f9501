//! Requests over HTTP/2, including gRPC: the specification's own requests are HTTP/1.1.

use anyhow::{Context, Result};
use reqwest::Response;
use serde_json::json;
use skew_guard_lab::http;

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;
use crate::received::Received;
use crate::specification::hostile;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    http_2_is_routed_as_http_1_is,
    a_cookie_in_any_of_several_lines_is_found,
    a_header_that_holds_no_version_is_as_none,
    a_forged_route_header_never_reaches_the_mesh,
    grpc_of_a_retired_version_gets_a_status_that_no_client_retries,
    grpc_to_a_release_that_vanished_keeps_its_status_200_and_says_failed_precondition,
];

/// A GET of what a pod received, with these lines.
async fn get(gateway: &Gateway<'_>, lines: &[(&str, &[u8])]) -> Result<Received> {
    let url = format!("http://{}/api/request", gateway.address());
    let mut request = http::client_http2()?.get(url);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    let answer = request.send().await?.error_for_status()?;
    Received::read(&answer.bytes().await?)
}

/// A gRPC call by a client of this version.
pub async fn grpc(gateway: &Gateway<'_>, version: &str) -> Result<Response> {
    let call = http::client_http2()?
        .post(format!("http://{}/shop.Cart/Get", gateway.address()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-bundle-version", version);
    Ok(call.send().await?)
}

/// The call was told to reload, in a way that makes no client retry.
#[track_caller]
pub fn assert_failed_precondition(answer: &Response) {
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers().get(name).map(|value| value.as_bytes());
    assert_eq!(header("grpc-status"), Some(&b"9"[..]));
    assert_eq!(header("x-client-update"), Some(&b"required"[..]));
}

async fn http_2_is_routed_as_http_1_is(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "http-2")?.open(lab).await?;
    for version in ["2.0.0", "1.4.2"] {
        let received = get(&gateway, &[("x-bundle-version", version.as_bytes())]).await?;
        assert_eq!(received.release(), version);
    }
    Ok(())
}

async fn a_cookie_in_any_of_several_lines_is_found(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "cookie-http-2")?
        .configured(&shop(json!({ "sources": [{ "cookie": "pin" }] })))?
        .open(lab)
        .await?;
    let lines: [(&str, &[u8]); 2] = [("cookie", b"session=1"), ("cookie", b"pin=1.4.2")];
    assert_eq!(get(&gateway, &lines).await?.release(), "1.4.2");
    Ok(())
}

/// The request was answered by current, and nothing but current's route went on.
#[track_caller]
fn assert_unversioned(received: &Received, what: &str) {
    assert_eq!(received.release(), "2.0.0", "{what}");
    assert_eq!(received.lines("x-release"), ["v2-0-0"], "{what}");
}

async fn a_header_that_holds_no_version_is_as_none(lab: &Lab) -> Result<()> {
    let sources = json!([
        { "header": "x-bundle-version" },
        { "cookie": "pin" },
        { "baggage": "client-version" },
    ]);
    let gateway = Spec::of(lab, "hostile-http-2")?
        .configured(&shop(json!({ "sources": sources })))?
        .open(lab)
        .await?;
    for value in hostile::VALUES {
        let what = value.escape_ascii().to_string();
        let lines = ["x-bundle-version", "cookie", "baggage"].map(|name| (name, value));
        let received = get(&gateway, &lines).await.context(what.clone())?;
        assert_unversioned(&received, &what);
    }
    Ok(())
}

async fn a_forged_route_header_never_reaches_the_mesh(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "forged-http-2")?.open(lab).await?;
    let forged: [(&str, &[u8]); 3] = [
        ("x-release", b"v1-4-2"),
        ("x-release", b"v2-1-0"),
        ("x-bundle-version", b"2.0.0"),
    ];
    assert_unversioned(&get(&gateway, &forged).await?, "forged");
    Ok(())
}

async fn grpc_of_a_retired_version_gets_a_status_that_no_client_retries(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "reload-grpc")?
        .configured(&shop(json!({ "denied": ["1.3.0"] })))?
        .open(lab)
        .await?;
    let answer = grpc(&gateway, "1.3.0").await?;
    assert_failed_precondition(&answer);
    assert_eq!(answer.headers()["grpc-message"], "client_outdated");
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    Ok(())
}

async fn grpc_to_a_release_that_vanished_keeps_its_status_200_and_says_failed_precondition(
    lab: &Lab,
) -> Result<()> {
    let releases = json!([
        { "version": "2.0.0", "route": "v2-0-0" },
        { "version": "1.3.0", "route": "v1-3-0", "state": "draining" },
        { "version": "1.1.0", "route": "v1-1-0", "state": "draining" },
    ]);
    let gateway = Spec::of(lab, "no-pods-grpc")?
        .configured(&shop(json!({ "releases": releases })))?
        .open(lab)
        .await?;
    // One has no pods, the other no route.
    for version in ["1.3.0", "1.1.0"] {
        assert_failed_precondition(&grpc(&gateway, version).await?);
    }
    Ok(())
}
