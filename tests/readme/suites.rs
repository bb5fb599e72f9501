//! What `tests/README.md` says about the suites.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use skew_guard_lab::markdown::Document;
use walkdir::WalkDir;

use crate::commands::{cargo, repository};
use crate::{Claim, pages};

/// What holds for the page about the tests.
pub const CLAIMS: &[Claim] = &[("it names every suite", names_every_suite)];

/// What holds for every page that names source files.
pub const PATHS: &[Claim] = &[("every file that it names exists", files_are_there)];

/// The page names exactly the folders and files in `tests`.
fn names_every_suite(document: &Document) -> Result<()> {
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(repository().join("tests"))? {
        let name = entry?.file_name().into_string().ok().context("a name")?;
        if name != "README.md" {
            there.insert(format!("tests/{name}"));
        }
    }
    for suite in &there {
        ensure!(
            document.text.contains(&format!("`{suite}`")),
            "{} does not name {suite}",
            pages::TESTS
        );
    }
    Ok(())
}

/// Names in back quotes that begin with a folder of the repository.
fn files_are_there(document: &Document) -> Result<()> {
    let names = document.text.split('`').skip(1).step_by(2);
    let paths = names.filter(|name| !name.contains([' ', '*', '\n', '<']));
    for path in paths {
        let Some((folder, _)) = path.split_once('/') else {
            continue;
        };
        let is_ours = folder != "target" && repository().join(folder).is_dir();
        ensure!(
            !is_ours || repository().join(path).exists(),
            "there is no {path}"
        );
    }
    Ok(())
}

/// Each line names a suite and one of its cases; those that need no proxy are run.
pub fn run_one_case(block: &str) -> Result<()> {
    for line in block.lines() {
        let mut words = line.split_whitespace();
        ensure!(words.next() == Some("cargo"), "`{line}` is not Cargo's");
        let arguments: Vec<_> = words.collect();
        let [.., "--test", suite, "--", case] = arguments.as_slice() else {
            anyhow::bail!("`{line}` names no suite and case");
        };
        ensure!(is_case_of(suite, case)?, "{suite} has no case {case}");
        if *suite == "specification" {
            let ran = cargo(&arguments).output()?;
            let said = String::from_utf8_lossy(&ran.stdout).into_owned();
            ensure!(
                ran.status.success() && said.contains("test result: ok. 1 passed"),
                "{line}: {said}"
            );
        }
    }
    Ok(())
}

/// Whether a test of the suite has this in its name, or is about the page of this name.
fn is_case_of(suite: &str, case: &str) -> Result<bool> {
    let name = case.rsplit("::").next().unwrap_or(case);
    if repository().join(name).is_file() {
        return Ok(true);
    }
    // The table is for both hosts.
    for folder in [
        format!("tests/{suite}"),
        "tests/specification/table".to_owned(),
    ] {
        for entry in WalkDir::new(repository().join(folder)) {
            let path = entry?.into_path();
            if is_rust(&path) && fs::read_to_string(&path)?.contains(name) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "rs")
}
