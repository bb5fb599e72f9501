//! An application that answers as the request tells it to: for answers that the shop does not give.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The request header that says what to answer.
pub const ANSWER: &str = "x-answer";

/// A running application; dropping it ends it.
pub struct Application {
    address: SocketAddr,
    server: JoinHandle<std::io::Result<()>>,
}

impl Application {
    /// Starts it on a port of its own.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            axum::serve(listener, Router::new().fallback(answer))
                .into_future()
                .await
        });
        Ok(Self { address, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The value of [`ANSWER`] for an answer that begins with this and never ends.
pub fn endless(content_type: &str, beginning: &str) -> String {
    json!({
        "status": 200,
        "headers": [["content-type", content_type]],
        "body": beginning,
        "endless": true,
    })
    .to_string()
}

/// The value of [`ANSWER`] for an answer of these.
pub fn answer_of(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    json!({ "status": status, "headers": headers, "body": body }).to_string()
}

async fn answer(request: Request) -> Result<Response, String> {
    told(&request).map_err(|problem| format!("{problem:#}"))
}

fn told(request: &Request) -> Result<Response> {
    let told = request.headers().get(ANSWER).context(ANSWER)?;
    let told: Value = serde_json::from_slice(told.as_bytes())?;
    let status = u16::try_from(told["status"].as_u64().context("status")?)?;
    let mut response = Response::builder().status(status);
    for line in told["headers"].as_array().context("headers")? {
        response = response.header(
            line[0].as_str().context("name")?.parse::<HeaderName>()?,
            line[1].as_str().context("value")?.parse::<HeaderValue>()?,
        );
    }
    let body = told["body"].as_str().context("body")?.to_owned();
    let body = if told["endless"] == true {
        let beginning = stream::once(async { anyhow::Ok(body) });
        Body::from_stream(beginning.chain(stream::pending()))
    } else {
        Body::from(body)
    };
    Ok(response.body(body)?)
}
