//! Tests of `client/adopting.md`: each build command is run with its tool, and each piece of code in its place.
//!
//! `make test-adopt` runs this. It needs Node and npm, Debian's nginx, and a JDK with Maven.

mod builds;
mod snippets;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use skew_guard_lab::markdown::Document;

/// The version that the builds are stamped with.
const VERSION: &str = "1.4.2";

/// The same for a tool that does not allow dots.
const COMMIT: &str = "9f86d08";

fn adopting() -> Result<Document> {
    Document::read("client/adopting.md")
}

/// A folder under `target/` with a copy of this one, where tools may install what they need.
fn workshop(name: &str, source: &Path) -> Result<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("adopt")
        .join(name);
    std::fs::create_dir_all(&place)?;
    run(Command::new("cp")
        .arg("-r")
        .arg(format!("{}/.", source.display()))
        .arg(&place))?;
    Ok(place)
}

/// Installs the packages of the folder's lock file, once.
fn install(place: &Path) -> Result<()> {
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(place))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
