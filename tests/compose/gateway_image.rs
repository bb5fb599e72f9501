//! The gateway's image, made without a registry.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use skew_guard_lab::envoy;
use tempfile::TempDir;

use crate::docker::Docker;

const IMAGE: &str = "skew-guard-test-envoy";

/// `$ENVOY_IMAGE` if it is set; otherwise an image with the Envoy of the other tests, and the shell that the compose
/// file's health check needs.
pub fn named_or_made(docker: &Docker) -> Result<String> {
    match std::env::var("ENVOY_IMAGE") {
        Ok(image) if !image.is_empty() => Ok(image),
        _ => make(docker).map(|()| IMAGE.to_owned()),
    }
}

fn make(docker: &Docker) -> Result<()> {
    let root = TempDir::with_prefix("skew-guard-image-")?;
    let binary = envoy::installed()?;
    add(root.path(), &binary, Path::new("/usr/local/bin/envoy"))?;
    let shell = Path::new("/bin/bash");
    add(root.path(), shell, shell)?;
    for library in libraries(&binary)?.union(&libraries(shell)?) {
        add(root.path(), library, library)?;
    }
    // For Envoy's shared-memory and temporary files.
    fs::create_dir_all(root.path().join("tmp"))?;
    let archive = root.path().with_extension("tar");
    let packed = Command::new("tar")
        .arg("--create")
        .arg("--file")
        .arg(&archive)
        .arg("--directory")
        .arg(root.path())
        .arg(".")
        .status()?;
    ensure!(packed.success(), "tar ended with {packed}");
    let imported = docker.run(&[
        "import",
        "--change",
        "ENV PATH=/usr/local/bin:/bin",
        &archive.to_string_lossy(),
        IMAGE,
    ]);
    fs::remove_file(&archive)?;
    imported
}

fn add(root: &Path, file: &Path, place: &Path) -> Result<()> {
    let place = root.join(place.strip_prefix("/")?);
    fs::create_dir_all(place.parent().context("a file in a folder")?)?;
    fs::copy(file, &place).with_context(|| file.display().to_string())?;
    Ok(())
}

/// The shared libraries of a program, the dynamic loader included.
fn libraries(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("ldd").arg(program).output()?;
    let lines = String::from_utf8(output.stdout)?;
    let paths = lines
        .split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'));
    Ok(paths.map(PathBuf::from).collect())
}
