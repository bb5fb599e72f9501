//! What Cargo builds for the lab: the module and the demo application.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The repository.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The folder of everything that is built.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => workspace().join(directory),
        None => workspace().join("target"),
    }
}

/// Builds an example of the package if anything changed, and returns its path.
pub fn example(name: &str) -> Result<PathBuf> {
    build(&["--package=skew-guard", &format!("--example={name}")])?;
    Ok(target().join("debug/examples").join(name))
}

/// The variables by which Cargo tells tests about their package. A build script that depends on one would run
/// again, and its dependents would be built again: now, and when Cargo next runs the tests.
const OF_OUR_PACKAGE: [&str; 3] = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_CRATE_"];

/// Runs `cargo build` in the workspace; quick when nothing has changed.
pub(crate) fn build(arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OF_OUR_PACKAGE.iter().any(|start| text.starts_with(start)) {
            build.env_remove(&name);
        }
    }
    let built = build
        .current_dir(workspace())
        .args(["build", "--quiet"])
        .args(arguments)
        .output()
        .context("running cargo")?;
    ensure!(
        built.status.success(),
        "`cargo build {}` failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&built.stderr)
    );
    Ok(())
}
