//! The command-line tool, always built from the sources as they are.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use crate::cargo;

/// Builds the tool if anything changed since the last build, once in a process, and tells where it is.
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
