//! The image is the same wherever it is built.
//!
//! `make test-image` runs it, because it builds the module and fetches its dependencies twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

#[test]
fn two_directories_with_two_cargo_homes_make_one_digest() -> Result<()> {
    let base = tempfile::tempdir()?;
    let [one, other] = ["one", "a-longer/way/to/the/other"].map(|name| base.path().join(name));
    let first = image_built_in(&one)?;
    ensure!(first.starts_with("sha256:"), "no digest: {first}");
    assert_eq!(image_built_in(&other)?, first);
    Ok(())
}

#[test]
fn flags_for_development_do_not_change_the_image() -> Result<()> {
    let base = TempDir::new()?;
    let place = base.path().join("plain");
    let plain = image_built_in(&place)?;
    let mut image = image_command(&place);
    image
        .env("RUSTFLAGS", "-C debuginfo=2 -C opt-level=1")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    assert_eq!(printed(&mut image)?, plain);
    Ok(())
}

/// Copies the sources to a place and makes the image there; returns its digest.
fn image_built_in(place: &Path) -> Result<String> {
    for file in sources()? {
        let copy = place.join("sources").join(&file);
        fs::create_dir_all(copy.parent().context("a folder")?)?;
        fs::copy(repository().join(&file), copy)?;
    }
    printed(&mut image_command(place))
}

fn image_command(place: &Path) -> Command {
    let mut image = Command::new(env!("CARGO_BIN_EXE_xtask"));
    image
        .arg("image")
        .current_dir(place.join("sources"))
        .env("CARGO_HOME", place.join("cargo-home"))
        .env_remove("CARGO_TARGET_DIR");
    image
}

/// The files that Git tracks, or would track.
fn sources() -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(repository())
        .args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files = printed(&mut git)?;
    let files = files.lines().map(PathBuf::from);
    Ok(files
        .filter(|file| repository().join(file).is_file())
        .collect())
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn printed(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
