//! The buttons' API. It listens on loopback, and the page reaches it below `/demo/` at its own origin.

use std::sync::Arc;

use anyhow::Result;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use super::controller::Controller;
use super::desired_state::Refusal;
use super::explain::Question;
use super::same_origin::of_the_page_only;
use super::snapshot::Snapshot;

type Shared = State<Arc<Controller>>;

/// Serves it forever.
pub async fn serve(listener: TcpListener, controller: Arc<Controller>) -> Result<()> {
    let routes = Router::new()
        .route("/demo/state", get(state))
        .route("/demo/explain", get(explain))
        .route("/demo/deploy", post(deploy))
        .route("/demo/guard", post(guard))
        .route("/demo/retire", post(retire))
        .route("/demo/weights", post(weights))
        .route("/demo/visitors", post(visitors))
        .route("/demo/start-over", post(start_over))
        .layer(middleware::from_fn(of_the_page_only))
        .with_state(controller);
    Ok(axum::serve(listener, routes).await?)
}

/// What failed, or why a button is unavailable now.
enum Failure {
    Refused(Refusal),
    Failed(anyhow::Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Refused(refusal) => (StatusCode::CONFLICT, refusal.to_owned()),
            Self::Failed(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")),
        };
        (status, Json(json!({ "error": error }))).into_response()
    }
}

async fn state(State(controller): Shared) -> Result<Json<Snapshot>, Failure> {
    Ok(Json(controller.snapshot().await?))
}

async fn explain(
    State(controller): Shared,
    Query(question): Query<Question>,
) -> Result<Response, Failure> {
    Ok(Json(controller.explain(&question).await?).into_response())
}

async fn deploy(State(controller): Shared) -> Result<StatusCode, Failure> {
    controller.press(|desired, settled| desired.deploy(settled))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn retire(State(controller): Shared) -> Result<StatusCode, Failure> {
    controller.press(|desired, settled| desired.retire(settled))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn start_over(State(controller): Shared) -> Result<StatusCode, Failure> {
    controller.press(|desired, _| {
        desired.start_over();
        Ok(())
    })?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Switch {
    on: bool,
}

async fn guard(
    State(controller): Shared,
    Json(switch): Json<Switch>,
) -> Result<StatusCode, Failure> {
    controller.press(|desired, _| {
        desired.guard = switch.on;
        Ok(())
    })?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Weights {
    /// Of a hundred new visitors.
    new: u8,
}

async fn weights(
    State(controller): Shared,
    Json(weights): Json<Weights>,
) -> Result<StatusCode, Failure> {
    controller.press(|desired, settled| desired.weigh(weights.new, settled))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn visitors(State(controller): Shared) -> Result<Response, Failure> {
    Ok(Json(controller.visitors().await?).into_response())
}
