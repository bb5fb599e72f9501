//! The module of an image: the same bytes wherever it is built.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::project::Project;
use crate::trim;

const TARGET: &str = "wasm32-wasip1";

/// What a user may have set for development, and what would change the module.
const OF_DEVELOPMENT: [&str; 5] = [
    "CARGO_BUILD_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "RUSTC",
    "RUSTFLAGS",
];

/// Builds and trims the module with the pinned toolchain, which is installed where it is missing.
pub fn build(project: &Project) -> Result<Vec<u8>> {
    let toolchain = Toolchain(project.image_toolchain());
    toolchain.install()?;
    // A folder of its own, so that flags other than those of development build nothing anew there.
    let folder = project.target.join("image-build");
    let mut cargo = toolchain.run("cargo");
    cargo
        .current_dir(&project.directory)
        .args(["build", "--release", "--locked", "--lib"])
        .args([
            "--package",
            &project.name,
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&folder)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            toolchain.flags(&project.directory)?,
        );
    command::run(&mut cargo)?;
    let file = format!("{TARGET}/release/{}.wasm", project.name.replace('-', "_"));
    let module = folder.join(file);
    trim::trim(&module)?;
    fs::read(&module).with_context(|| format!("reading {}", module.display()))
}

/// A toolchain by its version.
struct Toolchain<'a>(&'a str);

impl Toolchain<'_> {
    /// By name, because rustup may be told to install nothing by itself.
    fn install(&self) -> Result<()> {
        if self.is_complete() {
            return Ok(());
        }
        let install = ["toolchain", "install", self.0, "--profile", "minimal"];
        command::run(
            Command::new("rustup")
                .args(install)
                .args(["--target", TARGET]),
        )
    }

    fn is_complete(&self) -> bool {
        let mut list = Command::new("rustup");
        list.args(["target", "list", "--installed", "--toolchain", self.0]);
        command::output(&mut list)
            .is_ok_and(|targets| targets.lines().any(|target| target == TARGET))
    }

    /// Runs one of its programs without what a user has set for development.
    fn run(&self, program: &str) -> Command {
        let mut command = Command::new("rustup");
        command.args(["run", self.0, program]);
        for (name, _) in env::vars_os() {
            if OF_DEVELOPMENT
                .iter()
                .any(|start| name.to_string_lossy().starts_with(start))
            {
                command.env_remove(name);
            }
        }
        command
    }

    /// Has the compiler write the same paths into messages of panics wherever sources are. Those of the standard
    /// library have that path already where the component `rust-src` is not installed.
    fn flags(&self, workspace: &Path) -> Result<OsString> {
        let verbose = command::output(self.run("rustc").arg("-vV"))?;
        let commit = verbose
            .lines()
            .find_map(|line| line.strip_prefix("commit-hash: "))
            .context("rustc does not name its commit")?;
        let sysroot = PathBuf::from(command::output(
            self.run("rustc").args(["--print", "sysroot"]),
        )?);
        let remapped = [
            (workspace.to_owned(), "/skew-guard".to_owned()),
            (cargo_home()?, "/cargo".to_owned()),
            (
                sysroot.join("lib/rustlib/src/rust"),
                format!("/rustc/{commit}"),
            ),
        ];
        let flags = remapped.map(|(from, to)| {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(from);
            flag.push("=");
            flag.push(to);
            flag
        });
        // What Cargo takes for the space between two flags.
        Ok(flags.join(OsStr::new("\u{1f}")))
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
