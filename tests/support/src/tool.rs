//! The command-line tool, always built from the current sources.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use crate::cargo;

/// Builds the tool if anything changed since the last build, once per process, and returns its path.
pub fn path() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let arguments = ["--package=skew-guard", "--features=cli", "--bin=skew-guard"];
            cargo::build(&arguments).map_err(|error| format!("{error:#}"))?;
            Ok(cargo::target().join("debug/skew-guard"))
        })
        .clone()
        .map_err(|problem| anyhow!(problem))
}
