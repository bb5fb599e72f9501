//! The Proxy-Wasm module under test, always built from the current sources.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use crate::cargo;

/// Builds the module if anything changed since the last build, once per process, and returns its path.
pub fn path() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&BUILT, "skew-guard")
}

/// The same for the filter that does nothing, which the benchmarks compare with.
pub fn empty() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&BUILT, "empty-filter")
}

fn once(built: &OnceLock<Result<PathBuf, String>>, package: &str) -> Result<PathBuf> {
    built
        .get_or_init(|| {
            build(package)
                .map_err(|error| format!("{error:#}\nIs the target added? `make build` adds it."))
        })
        .clone()
        .map_err(|problem| anyhow!(problem))
}

fn build(package: &str) -> Result<PathBuf> {
    cargo::build(&[
        "--release",
        "--lib",
        &format!("--package={package}"),
        "--target=wasm32-wasip1",
    ])?;
    let file = format!("wasm32-wasip1/release/{}.wasm", package.replace('-', "_"));
    let module = cargo::target().join(file);
    xtask::trim::trim(&module)?;
    Ok(module)
}
