//! Pods of the built application: each serves the files of one release and a back end, and records its requests.

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request to any pod.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The release of the pod that answered.
    pub release: String,
    /// The method.
    pub method: Method,
    /// The path, without its query.
    pub path: String,
    /// The query.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
}

/// The requests to all pods, in order, and which files the pods hide.
#[derive(Debug, Clone, Default)]
pub struct Record {
    asked: Arc<Mutex<Vec<Asked>>>,
    hidden: Arc<Mutex<Option<String>>>,
}

impl Record {
    /// All requests so far.
    pub fn all(&self) -> Vec<Asked> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From now on no pod has files whose name begins like this.
    pub fn hide(&self, files: &str) {
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        *hidden = Some(files.to_owned());
    }

    fn hides(&self, path: &str) -> bool {
        let hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        let name = path.rsplit('/').next().unwrap_or_default();
        hidden.as_ref().is_some_and(|files| name.starts_with(files))
    }

    fn add(&self, release: &str, request: &Request) {
        let asked = Asked {
            release: release.to_owned(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
        };
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(asked);
    }
}

/// A running pod; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    version: String,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a pod of this release with the files of that folder.
    pub async fn start(version: &str, site: PathBuf, record: &Record) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let pod = Pod {
            version: version.to_owned(),
            site,
            record: record.clone(),
        };
        let application = routes(pod);
        let task = tokio::spawn(async move {
            // The server ends with its task; the browser reports a failed connection.
            let _ = axum::serve(listener, application).await;
        });
        Ok(Self {
            version: version.to_owned(),
            address,
            task,
        })
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Clone)]
struct Pod {
    version: String,
    site: PathBuf,
    record: Record,
}

fn routes(pod: Pod) -> Router {
    let noting = pod.clone();
    Router::new()
        .route("/api/kind/websocket", any(socket))
        .route("/api/kind/eventsource", get(events))
        .route("/api/kind/image", get(image))
        .route("/api/kind/frame", get(frame))
        .route("/api/kind/{name}", any(release))
        .route("/api/cart", any(release))
        .route("/api/order", any(page_of_order))
        .fallback(get(file))
        .with_state(pod)
        .layer(middleware::from_fn(move |request, next| {
            note(noting.clone(), request, next)
        }))
}

async fn note(pod: Pod, request: Request, next: Next) -> Response {
    pod.record.add(&pod.version, &request);
    let mut response = next.run(request).await;
    if let Ok(version) = HeaderValue::from_str(&pod.version) {
        let name = HeaderName::from_static("x-app-version");
        response.headers_mut().insert(name, version);
    }
    response
}

async fn release(State(pod): State<Pod>) -> Response {
    let body = format!(r#"{{"release":"{}"}}"#, pod.version);
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn page_of_order(State(pod): State<Pod>) -> Response {
    html(&format!("<title>Ordered</title>{}", pod.version))
}

async fn frame(State(pod): State<Pod>) -> Response {
    html(&pod.version)
}

fn html(body: &str) -> Response {
    axum::response::Html(body.to_owned()).into_response()
}

async fn image() -> Response {
    let image = r#"<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>"#;
    ([(CONTENT_TYPE, "image/svg+xml")], image).into_response()
}

/// One event, and then the answer ends.
async fn events(State(pod): State<Pod>) -> Response {
    let body = format!("retry: 60000\ndata: {}\n\n", pod.version);
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn socket(State(pod): State<Pod>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        // An error means that the page has gone away.
        let _ = socket.send(pod.version.into()).await;
    })
}

/// The file of that path, or the page for every other path, as in most servers of single-page applications.
async fn file(State(pod): State<Pod>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    // The files of a tool that cannot put them into the version's directory are served from there.
    let directory = format!("assets/v-{}/", pod.version);
    let path = match path.strip_prefix(&directory) {
        Some(file) if !pod.site.join(path).exists() => file,
        _ => path,
    };
    match read(&pod.site, path) {
        Ok((kind, bytes)) if !pod.record.hides(path) => answer(kind, bytes),
        _ => match read(&pod.site, "index.html") {
            Ok((kind, bytes)) => answer(kind, bytes),
            Err(_) => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

fn answer(kind: &'static str, bytes: Vec<u8>) -> Response {
    let caching = if kind == "text/html" {
        "no-cache"
    } else {
        "max-age=600"
    };
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, caching)], bytes).into_response()
}

fn read(site: &Path, path: &str) -> Result<(&'static str, Vec<u8>)> {
    let path = Path::new(path);
    let within = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let kind = path.extension().and_then(|extension| extension.to_str());
    let kind = match kind.filter(|_| within).context("a file has an extension")? {
        "html" => "text/html",
        "js" => "text/javascript",
        "css" => "text/css",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    Ok((kind, std::fs::read(site.join(path))?))
}
