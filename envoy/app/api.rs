//! The back end: what a page of the same release can use.

use axum::body::Bytes;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::release::Release;

/// Everything under /api.
pub fn routes(release: &Release) -> Router {
    Router::new()
        .route("/api/cart", get(cart))
        .route("/api/order", post(order))
        .route("/api/chat", any(chat))
        .route("/api/request", any(request_as_received))
        .route("/api/status/{code}", any(status))
        .route("/api/{*unknown}", any(not_found))
        .with_state(release.clone())
}

async fn cart(State(release): State<Release>) -> Json<Value> {
    let item = |name: &str, cents: u32| json!({ "name": name, release.cost_field(): cents });
    Json(json!({
        "release": release.version,
        "currency": "EUR",
        "items": [item("Lamp", 4900), item("Chair", 12900), item("Table", 34900)],
    }))
}

async fn order(State(release): State<Release>, body: Bytes) -> Json<Value> {
    Json(json!({ "release": release.version, "received": String::from_utf8_lossy(&body) }))
}

/// A WebSocket that says its release first, and then echoes.
async fn chat(State(release): State<Release>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| {
        // An error here is the client's leaving, which ends the conversation as well as a close does.
        let _ = converse(socket, &release).await;
    })
}

async fn converse(mut socket: WebSocket, release: &Release) -> Result<(), axum::Error> {
    socket.send(release.version.clone().into()).await?;
    while let Some(message) = socket.recv().await {
        socket.send(message?).await?;
    }
    Ok(())
}

/// The request as it arrived here: what a test reads to know what the mesh did with it.
async fn request_as_received(State(release): State<Release>, request: Request) -> Json<Value> {
    Json(json!({
        "release": release.version,
        "pod": release.pod,
        "method": request.method().as_str(),
        "path": request.uri().to_string(),
        "headers": every_line(request.headers()),
    }))
}

/// Name and value of each header line, in order, with its copies.
fn every_line(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect()
}

/// An answer with that status, so that an upstream's own failure can be told from the mesh's.
async fn status(
    State(release): State<Release>,
    Path(code): Path<u16>,
) -> Result<(StatusCode, Json<Value>), StatusCode> {
    let status = StatusCode::from_u16(code).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok((
        status,
        Json(json!({ "release": release.version, "status": code })),
    ))
}

async fn not_found(State(release): State<Release>) -> (StatusCode, Json<Value>) {
    (
        StatusCode::NOT_FOUND,
        Json(json!({ "release": release.version, "error": "not_found" })),
    )
}
