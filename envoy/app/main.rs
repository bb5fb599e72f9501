//! `shop`: the application of the demo and the tests, one version of it in each process.
//!
//! It is the set-up that version skew is about: a single-page application whose static files ([`web`], or [`pages`] that were built) and back end
//! ([`api`]) are built together and deployed as one release. Both entry points are in one binary, so that one image
//! runs either half.

mod api;
mod pages;
mod release;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use clap::{Args, Parser, Subcommand};
use skew_guard_lab::http;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::release::Release;

/// The demo shop: a single-page application and its back end.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    entry_point: EntryPoint,
}

#[derive(Debug, Subcommand)]
enum EntryPoint {
    /// Serve the back end under /api
    Api(Pod),
    /// Serve the static files, and index.html for every other path
    Web(Pod),
    /// Serve both in one process
    All(Pod),
    /// Ask a pod whether it is ready, and exit with 1 if it is not (the health check of an image without a shell)
    Probe {
        /// Where the pod listens
        #[arg(default_value = "127.0.0.1:8080")]
        address: SocketAddr,
    },
}

#[derive(Debug, Args)]
struct Pod {
    /// The version of the release that this pod belongs to
    #[arg(long)]
    version: String,
    /// Where to listen; with port 0 the kernel chooses, and the first line of output says what
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The name of this pod, sent in every answer; by default its host's name
    #[arg(long, env = "HOSTNAME", default_value = "shop")]
    pod: String,
    /// How long to go on as before after SIGTERM, as a preStop hook would
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    delay_on_stop: u64,
    /// Pages that were built, one folder for each release, in place of the shop's own
    #[arg(long, value_name = "FOLDER")]
    pages: Option<PathBuf>,
}

impl Pod {
    fn web(&self, release: &Release) -> Result<Router> {
        match &self.pages {
            None => Ok(web::routes(release)),
            Some(pages) => pages::routes(release, pages),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    match Cli::parse().entry_point {
        EntryPoint::Api(pod) => serve("api", |release| Ok(api::routes(release)), &pod).await?,
        EntryPoint::Web(pod) => serve("web", |release| pod.web(release), &pod).await?,
        EntryPoint::All(pod) => {
            let both = |release: &Release| Ok(api::routes(release).merge(pod.web(release)?));
            serve("all", both, &pod).await?;
        }
        EntryPoint::Probe { address } => return probe(address).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(role: &str, routes: impl Fn(&Release) -> Result<Router>, pod: &Pod) -> Result<()> {
    let release = Release::new(&pod.version, &pod.pod);
    let identity = Identity::of(&release)?;
    let application = routes(&release)?
        .route("/healthz", get(async || "ok\n"))
        .layer(middleware::from_fn(move |request, next| {
            identity.clone().sign(request, next)
        }));
    let listener = TcpListener::bind(pod.listen)
        .await
        .with_context(|| format!("listening on {}", pod.listen))?;
    println!(
        "shop {role} {} (pod {}) listening on {}",
        pod.version,
        pod.pod,
        listener.local_addr()?
    );
    let without_delay = listener.tap_io(|connection| {
        // A connection that the client has closed already is found out when it is read.
        let _ = connection.set_nodelay(true);
    });
    axum::serve(without_delay, application)
        .with_graceful_shutdown(told_to_stop(pod.delay_on_stop))
        .await?;
    Ok(())
}

/// Ends when the pod is told to: from then on it answers what it has begun, and accepts nothing new.
async fn told_to_stop(delay: u64) {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => terminate.recv().await,
        Err(error) => {
            eprintln!("SIGTERM cannot be caught, so this pod ends without grace: {error}");
            std::future::pending().await
        }
    };
    tokio::time::sleep(Duration::from_secs(delay)).await;
}

/// Who answers: every response says so.
#[derive(Debug, Clone)]
struct Identity {
    version: HeaderValue,
    pod: HeaderValue,
}

impl Identity {
    fn of(release: &Release) -> Result<Self> {
        Ok(Self {
            version: HeaderValue::from_str(&release.version).context("--version")?,
            pod: HeaderValue::from_str(&release.pod).context("--pod")?,
        })
    }

    async fn sign(self, request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        response.headers_mut().insert("x-app-version", self.version);
        response.headers_mut().insert("x-pod", self.pod);
        response
            .headers_mut()
            .insert(header::SERVER, HeaderValue::from_static("shop"));
        response
    }
}

async fn probe(address: SocketAddr) -> Result<ExitCode> {
    let answer = http::get(address, "/healthz", &[]).await?;
    ensure!(answer.status == 200, "{address} answered {}", answer.status);
    Ok(ExitCode::SUCCESS)
}
