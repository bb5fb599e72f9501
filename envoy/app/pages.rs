//! The pages of `envoy/page`, as Vite built them: one folder for each release.
//!
//! A pod has the page of its own release, and the assets of all, as from a bucket that all releases are uploaded to.
//! Else a page that is loaded while nothing keeps releases apart would often not come up at all, and nobody could see
//! what becomes of its calls.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{Html, Response};
use axum::routing::get;
use tower_http::services::ServeDir;

use crate::release::Release;

/// The page of one release, and all assets.
pub fn routes(release: &Release, pages: &Path) -> Result<Router> {
    let page = pages.join(&release.version).join("index.html");
    let page = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let mut assets = Router::new();
    for folder in fs::read_dir(pages)? {
        let folder = folder?;
        let name = folder.file_name();
        let version = name.to_str().context("a version is a folder's name")?;
        let directory = format!("assets/v-{version}");
        let files = ServeDir::new(folder.path().join(&directory));
        assets = assets.nest_service(&format!("/{directory}"), files);
    }
    Ok(assets
        .layer(middleware::map_response(kept_for_good))
        .fallback(get(async || ([(CACHE_CONTROL, "no-store")], Html(page)))))
}

/// The names of assets change with their content. That an asset is missing is not to be kept.
async fn kept_for_good(mut answer: Response) -> Response {
    if answer.status() == StatusCode::OK {
        let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
        answer.headers_mut().insert(CACHE_CONTROL, forever);
    }
    answer
}
