//! The list of documents. Tests search for them, so that a new page cannot be forgotten.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use skew_guard_lab::markdown::Document;
use walkdir::{DirEntry, WalkDir};

use crate::commands::repository;

pub const README: &str = "README.md";
pub const DECIDING: &str = "envoy/deciding.md";
pub const DEMO: &str = "envoy/demo.md";
pub const OBSERVABILITY: &str = "envoy/observability/README.md";
pub const CHART: &str = "istio/README.md";
pub const CONTRIBUTING: &str = "CONTRIBUTING.md";
pub const TESTS: &str = "tests/README.md";

/// The length of a line of prose, in characters.
const WIDTH: usize = 120;

/// Every document of the repository, by its path from the root.
pub fn all() -> Result<Vec<PathBuf>> {
    let walk = WalkDir::new(repository()).sort_by_file_name();
    let mut found = Vec::new();
    for entry in walk.into_iter().filter_entry(is_source) {
        let path = entry?.into_path();
        if path.extension().is_some_and(|kind| kind == "md") {
            found.push(path.strip_prefix(repository())?.to_owned());
        }
    }
    Ok(found)
}

/// Excludes what was built, installed or fetched.
fn is_source(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let is_hidden = name.starts_with('.') && entry.depth() > 0;
    !is_hidden && name != "target" && name != "node_modules"
}

/// Prose is wrapped; tables, pictures and code blocks are as wide as they need to be.
pub fn is_wrapped(document: &Document) -> Result<()> {
    let mut in_fence = false;
    for (number, line) in (1..).zip(document.text.lines()) {
        let line = line.trim_start();
        if line.starts_with("```") {
            in_fence = !in_fence;
        }
        let may_be_wide = in_fence || line.starts_with(['|', '!', '#']);
        let length = line.chars().count();
        ensure!(
            may_be_wide || length <= WIDTH,
            "line {number} has {length} characters: {line}"
        );
    }
    Ok(())
}
