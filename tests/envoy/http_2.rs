//! A client that sends what no library would over HTTP/2 too: any value, and any number of copies.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use http::Request;
use skew_guard_lab::http::{PATIENCE, RawAnswer};
use tokio::net::TcpStream;

/// Sends a request without a body over HTTP/2 without TLS; `host` becomes the authority.
pub async fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &[u8])],
) -> Result<RawAnswer> {
    let host = headers.iter().find(|(name, _)| *name == "host");
    let host = host.map_or(Ok("shop.example.com"), |(_, host)| {
        std::str::from_utf8(host)
    })?;
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{host}{target}"));
    for (name, value) in headers.iter().filter(|(name, _)| *name != "host") {
        request = request.header(*name, *value);
    }
    let answer = tokio::time::timeout(PATIENCE, exchange(address, request.body(())?));
    answer.await.context("no end of the answer")?
}

async fn exchange(address: SocketAddr, request: Request<()>) -> Result<RawAnswer> {
    let (client, connection) = h2::client::handshake(TcpStream::connect(address).await?).await?;
    let connection = tokio::spawn(connection);
    let (answer, _) = client.ready().await?.send_request(request, true)?;
    let (head, mut rest) = answer.await?.into_parts();
    let mut body = Vec::new();
    while let Some(part) = rest.data().await {
        let part = part?;
        rest.flow_control().release_capacity(part.len())?;
        body.extend(part);
    }
    connection.abort();
    let headers = head.headers.iter();
    Ok(RawAnswer {
        status: head.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect(),
        body,
    })
}
