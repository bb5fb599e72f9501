//! The buttons' API. It listens on loopback, and the page reaches it below `/demo/` of its own origin.

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

use super::explain::Question;
use super::same_origin::of_the_page_only;
use super::sight::Sight;
use super::stage::Stage;
use super::story::Refusal;

type Shared = State<Arc<Stage>>;

/// Serves it for ever.
pub async fn serve(listener: TcpListener, stage: Arc<Stage>) -> Result<()> {
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
        .with_state(stage);
    Ok(axum::serve(listener, routes).await?)
}

/// What failed, or why a button cannot be pressed now.
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

async fn state(State(stage): Shared) -> Result<Json<Sight>, Failure> {
    Ok(Json(stage.sight().await?))
}

async fn explain(
    State(stage): Shared,
    Query(question): Query<Question>,
) -> Result<Response, Failure> {
    Ok(Json(stage.explain(&question).await?).into_response())
}

async fn deploy(State(stage): Shared) -> Result<StatusCode, Failure> {
    stage.press(|story, settled| story.deploy(settled))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn retire(State(stage): Shared) -> Result<StatusCode, Failure> {
    stage.press(|story, settled| story.retire(settled))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn start_over(State(stage): Shared) -> Result<StatusCode, Failure> {
    stage.press(|story, _| {
        story.start_over();
        Ok(())
    })?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Switch {
    on: bool,
}

async fn guard(State(stage): Shared, Json(switch): Json<Switch>) -> Result<StatusCode, Failure> {
    stage.press(|story, _| {
        story.guard = switch.on;
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
    State(stage): Shared,
    Json(weights): Json<Weights>,
) -> Result<StatusCode, Failure> {
    stage.press(|story, settled| story.weigh(weights.new, settled))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn visitors(State(stage): Shared) -> Result<Response, Failure> {
    Ok(Json(stage.visitors().await?).into_response())
}
