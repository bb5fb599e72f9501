//! The Proxy-Wasm module under test, always built from the sources as they are.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use crate::cargo;

/// Builds the module if anything changed since the last build, once in a process, and tells where it is.
pub fn path() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            build()
                .map_err(|error| format!("{error:#}\nIs the target there? `make build` adds it."))
        })
        .clone()
        .map_err(|problem| anyhow!(problem))
}

fn build() -> Result<PathBuf> {
    cargo::build(&[
        "--release",
        "--lib",
        "--package=skew-guard",
        "--target=wasm32-wasip1",
    ])?;
    let module = cargo::target().join("wasm32-wasip1/release/skew_guard.wasm");
    trim_module::trim(&module)?;
    Ok(module)
}
