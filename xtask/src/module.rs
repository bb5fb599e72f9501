//! The module of an image: the same bytes wherever it is built.

use std::fs;

use anyhow::{Context, Result};

use crate::command;
use crate::project::Project;
use crate::toolchain::Toolchain;
use crate::trim;

const TARGET: &str = "wasm32-wasip1";

/// Builds and trims the module with the pinned toolchain, which is installed if it is missing.
pub fn build(project: &Project) -> Result<Vec<u8>> {
    let toolchain = Toolchain::pinned(project);
    toolchain.install(TARGET)?;
    let mut cargo = toolchain.build(TARGET)?;
    cargo.arg("--lib");
    command::run(&mut cargo)?;
    let file = format!("{}.wasm", project.name.replace('-', "_"));
    let module = toolchain.folder(TARGET).join(file);
    trim::trim(&module)?;
    fs::read(&module).with_context(|| format!("reading {}", module.display()))
}
