//! The filter's own answers to requests that are not over yet.

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::http::{self, RawAnswer};

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    a_request_body_that_is_still_arriving_does_not_delay_the_answer,
    a_websocket_of_a_retired_version_is_refused_with_the_reload_answer,
];

/// A gateway at which 1.3.0 is out of date.
async fn gateway<'l>(lab: &'l Lab, name: &str) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&shop(json!({ "denied": ["1.3.0"] })))?
        .open(lab)
        .await
}

#[track_caller]
fn assert_reload(answer: &RawAnswer) {
    assert_eq!(answer.status, 409, "{answer:?}");
    let body = r#"{"error":"client_outdated","client":"1.3.0","current":"2.0.0"}"#;
    assert_eq!(answer.text(), body);
}

async fn a_request_body_that_is_still_arriving_does_not_delay_the_answer(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "reload-body").await?;
    let half_a_request = format!(
        "POST /api/order HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nx-bundle-version: 1.3.0\r\ncontent-length: 1000000\r\n\r\nthe first of many bytes",
        gateway.address()
    );
    let answer = http::exchange(gateway.address(), half_a_request.as_bytes()).await?;
    assert_reload(&answer);
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
