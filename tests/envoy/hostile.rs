//! Line breaks in a header, which no library would send.

use anyhow::{Result, ensure};
use skew_guard_lab::http;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec};
use crate::lab::Lab;
use crate::received::Received;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    a_line_break_in_a_header_smuggles_no_route,
    a_line_break_in_a_header_of_http_2_is_refused_before_the_filter,
];

/// The request was answered by current, and nothing but current's route went on.
#[track_caller]
fn assert_unversioned(received: &Received, what: &str) {
    assert_eq!(received.release(), "2.0.0", "{what}");
    assert_eq!(received.lines("x-release"), ["v2-0-0"], "{what}");
}

async fn a_line_break_in_a_header_smuggles_no_route(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "line-break")?.open(lab).await?;
    for value in [
        "1.4.2\rx-release: v1-4-2",
        "1.4.2\r\n x-release: v1-4-2",
        "1.4.2\0",
    ] {
        let headers = [("x-bundle-version", value.as_bytes())];
        let answer = http::get(gateway.address(), "/api/request", &headers).await?;
        // Whether Envoy refuses it or treats the break as a space differs between its parsers.
        if answer.status != 400 {
            assert_unversioned(&Received::from(&answer)?, value);
        }
    }
    assert_unversioned(&gateway.received(&[]).await?, "the next request");
    Ok(())
}

async fn a_line_break_in_a_header_of_http_2_is_refused_before_the_filter(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "line-break-http-2")?.open(lab).await?;
    assert!(is_answered_in_http_2(&gateway, "2.0.0").await?);
    for value in ["2.0.0\r\nx-release: v1-4-2", "2.0.0\n", "\r", "a\0b"] {
        assert!(!is_answered_in_http_2(&gateway, value).await?, "{value:?}");
    }
    assert_unversioned(&gateway.received(&[]).await?, "the next request");
    Ok(())
}

// Frame types and layouts of HTTP/2: https://www.rfc-editor.org/rfc/rfc9113#section-6
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const END_STREAM_AND_HEADERS: u8 = 0x1 | 0x4;

/// Whether a request with this value of `x-bundle-version` gets an answer, rather than the end of its stream or of the
/// connection. In bytes, because no library would send a line break.
async fn is_answered_in_http_2(gateway: &Gateway<'_>, value: &str) -> Result<bool> {
    let mut connection = TcpStream::connect(gateway.address()).await?;
    let mut request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    request.extend(frame(SETTINGS, 0, 0, &[])?);
    let mut fields = Vec::new();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/api/request"),
        (":authority", "shop.example.com"),
        ("x-bundle-version", value),
    ] {
        fields.extend(literal_field(name, value)?);
    }
    request.extend(frame(HEADERS, END_STREAM_AND_HEADERS, 1, &fields)?);
    connection.write_all(&request).await?;
    loop {
        let mut head = [0; 9];
        if connection.read_exact(&mut head).await.is_err() {
            return Ok(false);
        }
        let [a, b, c, kind, ..] = head;
        if [HEADERS, RST_STREAM, GOAWAY].contains(&kind) {
            return Ok(kind == HEADERS);
        }
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; usize::try_from(length)?];
        connection.read_exact(&mut payload).await?;
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<Vec<u8>> {
    let [_, length @ ..] = u32::try_from(payload.len())?.to_be_bytes();
    let mut frame = length.to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    Ok(frame)
}

/// A header field without compression: https://www.rfc-editor.org/rfc/rfc7541#section-6.2.2
fn literal_field(name: &str, value: &str) -> Result<Vec<u8>> {
    let mut field = vec![0];
    for text in [name, value] {
        ensure!(text.len() < 127, "a length that needs more than one byte");
        field.push(u8::try_from(text.len())?);
        field.extend(text.as_bytes());
    }
    Ok(field)
}
