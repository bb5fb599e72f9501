//! An application that answers as the request tells it to, for answers that the shop never gives.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use skew_guard_behaviour::Lines;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The request header that holds the answer to give.
pub const ANSWER: &str = "x-answer";

/// The request header by which a test later looks up what was received.
pub const CASE: &str = "x-case";

/// What was received, by [`CASE`].
type Received = Arc<Mutex<HashMap<String, Lines>>>;

/// A running application; dropping it ends it.
pub struct Application {
    address: SocketAddr,
    received: Received,
    server: JoinHandle<std::io::Result<()>>,
}

impl Application {
    /// Starts it on its own port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let received = Received::default();
        let application = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&received));
        let server =
            tokio::spawn(async move { axum::serve(listener, application).into_future().await });
        Ok(Self {
            address,
            received,
            server,
        })
    }

    /// The request of that [`CASE`] as it arrived, returned once; nothing if there was none.
    pub fn received(&self, case: &str) -> Option<Lines> {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.remove(case)
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

/// The [`ANSWER`] value for an answer that begins with this and never ends.
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

async fn answer(State(received): State<Received>, request: Request) -> Result<Response, String> {
    note(&received, &request);
    told(&request).map_err(|problem| format!("{problem:#}"))
}

fn note(received: &Received, request: &Request) {
    let case = request.headers().get(CASE).map(HeaderValue::as_bytes);
    let Some(case) = case.and_then(|case| std::str::from_utf8(case).ok()) else {
        return;
    };
    let lines = request.headers().iter();
    let lines = lines.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let path = (":path".to_owned(), request.uri().to_string().into_bytes());
    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
    received.insert(case.to_owned(), lines.chain([path]).collect());
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
