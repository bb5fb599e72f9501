//! The command-line tool as it is released: static programs in archives.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::archive::Archive;
use crate::command;
use crate::project::Project;
use crate::toolchain::Toolchain;

/// The targets that the tool is released for.
pub const TARGETS: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// Builds the tool for a target, and returns the program.
pub fn build(project: &Project, target: &str) -> Result<PathBuf> {
    let toolchain = Toolchain::pinned(project);
    toolchain.install(target)?;
    let mut cargo = toolchain.build(target)?;
    cargo.args(["--features", "cli", "--bin", &project.name]);
    command::run(&mut cargo)?;
    Ok(toolchain.folder(target).join(&project.name))
}

/// Writes the archive of the tool for a target, with its licence, beside the other files of the release.
pub fn write(project: &Project, target: &str) -> Result<PathBuf> {
    let program = build(project, target)?;
    let program = fs::read(&program).with_context(|| format!("reading {}", program.display()))?;
    let mut archive = Archive::new();
    archive.add(&project.name, 0o755, &program)?;
    archive.add(
        "LICENSE",
        0o644,
        &fs::read(project.directory.join("LICENSE"))?,
    )?;
    let folder = project.release_files();
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!(
        "{}-{}-{target}.tar.gz",
        project.name, project.version
    ));
    fs::write(&file, archive.finish()?.compressed()?)
        .with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}
