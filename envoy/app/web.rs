//! The static files, served as most nginx images serve a single-page application: index.html for every path that is
//! not a file. That includes a script of another release, which is how an old tab gets HTML where it asked for code.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::release::Release;

const INDEX: &str = include_str!("site/index.html");
const MAIN: &str = include_str!("site/main.js");
const CHECKOUT: &str = include_str!("site/checkout.js");
const STYLE: &str = include_str!("site/style.css");
const SERVICE_WORKER: &str = include_str!("site/sw.js");

/// Reproducible images give every file the same time, so an ETag made of time and length, as nginx makes it, is the
/// same in two releases whose index.html has one length.
const FILE_TIME: &str = "65920080";

/// The site of one release.
pub fn routes(release: &Release) -> Router {
    let assets = format!("/assets/v-{}", release.version);
    Router::new()
        .route(
            &format!("{assets}/main.js"),
            get(async |site| script(site, MAIN)),
        )
        .route(
            &format!("{assets}/checkout.js"),
            get(async |site| script(site, CHECKOUT)),
        )
        .route(
            &format!("{assets}/style.css"),
            get(async |site| asset(site, "text/css", STYLE)),
        )
        .route("/version.json", get(version))
        .route("/sw.js", get(service_worker))
        .fallback(get(index))
        .with_state(release.clone())
}

async fn index(State(release): State<Release>, headers: HeaderMap) -> Response {
    let page = filled_in(INDEX, &release);
    let etag = format!("\"{FILE_TIME}-{:x}\"", page.len());
    let caching = [
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, etag.clone()),
    ];
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, axum::response::Html(page)).into_response()
}

fn script(site: State<Release>, source: &str) -> Response {
    asset(site, "text/javascript", source)
}

fn asset(State(release): State<Release>, kind: &'static str, source: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, filled_in(source, &release)).into_response()
}

/// What a page asks now and then to learn of a new release.
async fn version(State(release): State<Release>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (
        headers,
        format!("{{\"version\":\"{}\"}}\n", release.version),
    )
        .into_response()
}

async fn service_worker(State(release): State<Release>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, filled_in(SERVICE_WORKER, &release)).into_response()
}

/// What a bundler does when it builds a release: the version and the API's field names are fixed in the files.
fn filled_in(source: &str, release: &Release) -> String {
    source
        .replace("__VERSION__", &release.version)
        .replace("__COST_FIELD__", release.cost_field())
}
