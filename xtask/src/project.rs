//! What the repository says about itself.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command;

/// The package that is released, as `Cargo.toml` describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its description, in a sentence.
    pub description: String,
    /// Its licence, as an SPDX expression.
    pub license: String,
    /// Where its sources are; if absent, what is built does not say.
    pub repository: Option<String>,
    metadata: Metadata,
    /// Where it is on this machine.
    #[serde(skip)]
    pub directory: PathBuf,
    /// Where Cargo builds.
    #[serde(skip)]
    pub target: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
struct Metadata {
    image: ImageMetadata,
}

#[derive(Debug, Clone, Deserialize)]
struct ImageMetadata {
    toolchain: String,
}

/// The part of `cargo metadata` that is used.
#[derive(Deserialize)]
struct Workspace {
    packages: Vec<serde_json::Value>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Project {
    /// Asks Cargo about the workspace around the current directory.
    pub fn here() -> Result<Self> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        Self::of(&command::output(&mut cargo)?)
    }

    fn of(metadata: &str) -> Result<Self> {
        let workspace: Workspace = serde_json::from_str(metadata)?;
        let is_released = |package: &serde_json::Value| {
            package.get("name").is_some_and(|name| name == "skew-guard")
        };
        let package = workspace.packages.into_iter().find(is_released);
        let package = package.context("no package skew-guard in this workspace")?;
        let project: Self = serde_json::from_value(package).context("Cargo.toml of skew-guard")?;
        Ok(Self {
            directory: workspace.workspace_root,
            target: workspace.target_directory,
            ..project
        })
    }

    /// The toolchain that builds the module of an image; development can use any.
    pub fn image_toolchain(&self) -> &str {
        &self.metadata.image.toolchain
    }

    /// Where the files of a release are gathered.
    pub fn release_files(&self) -> PathBuf {
        self.target.join("release-files")
    }

    /// Where `make image` puts the image.
    pub fn image(&self) -> PathBuf {
        self.target.join("image")
    }

    /// The commit of the sources, with `-dirty` appended if they differ from it; none outside Git.
    pub fn revision(&self) -> Option<String> {
        let commit = git(&self.directory, &["rev-parse", "HEAD"])?;
        let changes = git(&self.directory, &["status", "--porcelain"])?;
        Some(if changes.is_empty() {
            commit
        } else {
            format!("{commit}-dirty")
        })
    }
}

fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    command::output(Command::new("git").current_dir(directory).args(arguments)).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn project(directory: &Path) -> Result<Project> {
        let package = serde_json::json!({
            "name": "skew-guard", "version": "0.1.0", "description": "d", "license": "Apache-2.0",
            "repository": null, "metadata": { "image": { "toolchain": "1.95.0" } },
        });
        let metadata = serde_json::json!({
            "packages": [package], "workspace_root": directory, "target_directory": directory.join("target"),
        });
        Project::of(&metadata.to_string())
    }

    fn commit(directory: &Path) -> Result<()> {
        for arguments in [
            &["init", "--quiet"][..],
            &["add", "."],
            &[
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@example.com",
                "commit",
                "--quiet",
                "-m",
                "a",
            ],
        ] {
            command::output(Command::new("git").current_dir(directory).args(arguments))?;
        }
        Ok(())
    }

    #[test]
    fn the_revision_is_the_commit_and_says_when_that_is_not_all() -> Result<()> {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("a"), "a")?;
        commit(directory.path())?;
        let project = project(directory.path())?;
        let clean = project.revision().context("a revision")?;
        assert_eq!(clean.len(), 40, "{clean}");
        fs::write(directory.path().join("b"), "b")?;
        assert_eq!(project.revision(), Some(format!("{clean}-dirty")));
        Ok(())
    }

    #[test]
    fn outside_of_git_there_is_no_revision() -> Result<()> {
        let directory = tempfile::tempdir()?;
        assert_eq!(project(directory.path())?.revision(), None);
        Ok(())
    }
}
