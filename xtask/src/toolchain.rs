//! The toolchain that builds what is released, in the same way on every machine.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::project::Project;

/// Variables that a user may have set for development and that would change the build.
const OF_DEVELOPMENT: [&str; 5] = [
    "CARGO_BUILD_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "RUSTC",
    "RUSTFLAGS",
];

/// What separates two flags for Cargo.
const BETWEEN_FLAGS: &str = "\u{1f}";

/// The pinned toolchain.
pub(crate) struct Toolchain<'a> {
    project: &'a Project,
    version: &'a str,
}

impl<'a> Toolchain<'a> {
    pub(crate) fn pinned(project: &'a Project) -> Self {
        Self {
            project,
            version: project.image_toolchain(),
        }
    }

    /// Installs its missing parts, by name, because rustup may be configured to install nothing by itself.
    pub(crate) fn install(&self, target: &str) -> Result<()> {
        if self.is_there_for(target) {
            return Ok(());
        }
        let install = ["toolchain", "install", self.version, "--profile", "minimal"];
        command::run(
            Command::new("rustup")
                .args(install)
                .args(["--target", target]),
        )
    }

    fn is_there_for(&self, target: &str) -> bool {
        let mut list = Command::new("rustup");
        list.args(["target", "list", "--installed", "--toolchain", self.version]);
        command::output(&mut list).is_ok_and(|targets| targets.lines().any(|line| line == target))
    }

    /// `cargo build` for a target; the caller adds what to build.
    pub(crate) fn build(&self, target: &str) -> Result<Command> {
        let mut cargo = self.run("cargo");
        cargo
            .current_dir(&self.project.directory)
            .args(["build", "--release", "--locked", "--package"])
            .arg(&self.project.name)
            .args(["--target", target, "--target-dir"])
            .arg(self.all_folders())
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags(target)?);
        Ok(cargo)
    }

    /// Where the output for a target is.
    pub(crate) fn folder(&self, target: &str) -> PathBuf {
        self.all_folders().join(target).join("release")
    }

    /// Not the one for development, or each build would redo the other's work.
    fn all_folders(&self) -> PathBuf {
        self.project.target.join("image-build")
    }

    /// Runs one of its programs without the user's settings for development.
    fn run(&self, program: &str) -> Command {
        let mut command = Command::new("rustup");
        command.args(["run", self.version, program]);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if OF_DEVELOPMENT.iter().any(|start| text.starts_with(start)) {
                command.env_remove(&name);
            }
        }
        command
    }

    fn flags(&self, target: &str) -> Result<OsString> {
        let mut flags = self.remappings()?;
        // The linker that comes with Rust, and the C library that comes with its target: no others are needed.
        if target.ends_with("-musl") {
            flags.extend(["-Clinker=rust-lld", "-Clinker-flavor=ld.lld"].map(OsString::from));
        }
        Ok(flags.join(OsStr::new(BETWEEN_FLAGS)))
    }

    /// Makes the compiler write the same paths into panic messages wherever the sources are. Those of the standard
    /// library already have that path if the component `rust-src` is not installed.
    fn remappings(&self) -> Result<Vec<OsString>> {
        let verbose = command::output(self.run("rustc").arg("-vV"))?;
        let commit = verbose
            .lines()
            .find_map(|line| line.strip_prefix("commit-hash: "))
            .context("rustc does not name its commit")?;
        let sysroot = command::output(self.run("rustc").args(["--print", "sysroot"]))?;
        let library = PathBuf::from(sysroot).join("lib/rustlib/src/rust");
        let from_to = [
            (self.project.directory.clone(), "/skew-guard".to_owned()),
            (cargo_home()?, "/cargo".to_owned()),
            (library, format!("/rustc/{commit}")),
        ];
        Ok(from_to
            .map(|(from, to)| {
                let mut flag = OsString::from("--remap-path-prefix=");
                flag.push(from);
                flag.push("=");
                flag.push(to);
                flag
            })
            .into())
    }
}

/// Where Cargo keeps the sources of dependencies.
fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::home_dir().context("neither $CARGO_HOME nor a home directory")?;
    Ok(home.join(".cargo"))
}
