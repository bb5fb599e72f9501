//! The application of `tests/browser/next`, built with Next.js and the client, and served by Next's own server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use skew_guard_lab::process::Process;
use skew_guard_lab::{http, ports};

use crate::application::{self, run};
use crate::shop::{NEW, OLD};

/// The base path that the application is built for.
pub type BasePath = &'static str;

/// Next's name for that version, which must not contain dots.
pub fn deployment_id(version: &str) -> String {
    version.replace('.', "-")
}

/// A running pod; dropping it ends it.
#[derive(Debug)]
pub struct NextServer {
    version: String,
    address: SocketAddr,
    _process: Process,
}

impl NextServer {
    /// Starts a pod of this release, and waits until it answers. What it serves has been [`built`].
    pub async fn start(version: &str, base: BasePath, place: &Path) -> Result<Self> {
        let address = ports::free()?;
        let mut command = next(place, version, base);
        command.args(["start", "--hostname", "127.0.0.1", "--port"]);
        command.arg(address.port().to_string());
        let grace = Duration::from_secs(5);
        let mut process = Process::start_with_grace("next", command, grace)?;
        let probe = format!("{base}/api/release");
        process
            .serving(async || {
                let answer = http::get(address, &probe, &[]).await;
                Ok(answer.is_ok_and(|answer| answer.status == 200))
            })
            .await?;
        Ok(Self {
            version: version.to_owned(),
            address,
            _process: process,
        })
    }

    /// Its version, with dots.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Builds both releases, once, and returns where they are.
pub fn built(base: BasePath) -> Result<PathBuf> {
    static BUILT: Mutex<Vec<BasePath>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser-next");
    if built.is_empty() {
        application::prepare(Path::new("tests/browser/next"), &place)?;
    }
    if !built.contains(&base) {
        for version in [OLD, NEW] {
            run(next(&place, version, base).arg("build"))?;
        }
        built.push(base);
    }
    Ok(place)
}

fn next(place: &Path, version: &str, base: BasePath) -> Command {
    let mut next = Command::new("node");
    next.arg("node_modules/next/dist/bin/next")
        .current_dir(place)
        .env("VERSION", deployment_id(version))
        .env("BASE_PATH", base)
        .env("NEXT_TELEMETRY_DISABLED", "1");
    next
}
