//! skew-guard's main job, to watch: a rolling update under load, without it and with it.

mod filter;
mod interactive;
mod picture;
mod report;
mod rollout;
mod site;
mod timeline;
mod up;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use skew_guard_lab::images;
use tokio::signal;

use crate::report::Runs;
use crate::site::{NEW, OLD, Routing};

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Rolling updates of the demo shop behind real Envoy.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Roll out release 2.0.0 over 1.4.2 pod by pod under load, first with plain routing, then
    /// with skew-guard
    Rollout {
        /// The minimum number of requests in each run
        #[arg(long, default_value_t = 120_000)]
        requests: u64,
    },
    /// Run the shop until interrupted: both releases behind envoy/envoy.yaml, or the demo's page
    Up {
        /// The built page of the demo, one folder for each release; without it the shop has its own
        #[arg(long, value_name = "FOLDER")]
        pages: Option<PathBuf>,
        /// Where the demo's page is
        #[arg(long, requires = "pages", default_value = "127.0.0.1:10000")]
        gateway: SocketAddr,
        /// Where Envoy's admin interface is
        #[arg(long, requires = "pages", default_value = "127.0.0.1:9901")]
        admin: SocketAddr,
    },
    /// Build what envoy/docker-compose.yaml needs: the module, and the shop as one static binary
    Images,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    match Cli::parse().job {
        Job::Rollout { requests } => tokio::select! {
            outcome = compare(requests) => outcome,
            // Pods and Envoy end with the future that holds them.
            interrupted = signal::ctrl_c() => interrupted.map(|()| INTERRUPTED.into()).context("waiting for Ctrl-C"),
        },
        Job::Up { pages: None, .. } => up::run().await,
        Job::Up {
            pages: Some(pages),
            gateway,
            admin,
        } => interactive::run(&pages, gateway, admin).await,
        Job::Images => {
            println!("{}", images::prepare()?.display());
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn compare(requests: u64) -> Result<ExitCode> {
    println!(
        "Two releases of a shop, four pods each. Release {NEW} renames a field of the API that {OLD} reads."
    );
    println!(
        "The last pod of {OLD} leaves when the last tab of {OLD} has been reloaded; until then it is draining."
    );
    let runs = Runs {
        plain: rollout::run(Routing::Plain, requests).await?,
        observed: rollout::run(Routing::Observed, requests).await?,
        guarded: rollout::run(Routing::SkewGuard, requests).await?,
    };
    println!("\n{}", runs.table());
    println!("As a picture: {}", picture::write(&runs)?.display());
    let findings = runs.findings(requests);
    for finding in &findings {
        println!("{finding}");
    }
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
