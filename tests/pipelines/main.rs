//! The pipelines in `istio/pipelines`, validated as GitHub and GitLab would: by actionlint, and by GitLab's schema in
//! gitlab-ci-local. No runner of theirs is used; `tests/istio` validates the resources of Argo CD and Flux against
//! their definitions, and `tests/cli` checks the commands.
//!
//! `make test-pipelines` builds what it needs and runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use skew_guard_lab::cargo;
use tempfile::TempDir;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pipeline(name: &str) -> Result<String> {
    let file = repository().join("istio/pipelines").join(name);
    fs::read_to_string(&file).with_context(|| file.display().to_string())
}

/// The same text with one word, which it must contain, replaced by another.
fn with(text: &str, from: &str, to: &str) -> Result<String> {
    ensure!(text.contains(from), "{from:?} is in it");
    Ok(text.replace(from, to))
}

fn actionlint(workflow: &str) -> Result<Output> {
    let folder = TempDir::new()?;
    let file = folder.path().join("deploy.yaml");
    fs::write(&file, workflow)?;
    let mut actionlint = Command::new(cargo::target().join("pipelines/actionlint"));
    actionlint.arg(&file).output().context("actionlint")
}

/// Validates the jobs against GitLab's schema, then lists them; none is run.
fn gitlab(jobs: &str) -> Result<Output> {
    let folder = TempDir::new()?;
    fs::write(folder.path().join(".gitlab-ci.yml"), jobs)?;
    for arguments in [
        &["init", "--quiet"][..],
        &[
            "remote",
            "add",
            "origin",
            "https://git.example.com/shop/deploy.git",
        ],
    ] {
        let mut git = Command::new("git");
        let made = git.current_dir(&folder).args(arguments).status()?;
        ensure!(made.success(), "git {arguments:?}: {made}");
    }
    let program: PathBuf =
        repository().join("tests/pipelines/tools/node_modules/.bin/gitlab-ci-local");
    let mut listing = Command::new(program);
    listing
        .current_dir(&folder)
        .args(["--list-all", "--variable", "CI_COMMIT_TAG=v2.1.0"]);
    listing.output().context("gitlab-ci-local")
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_workflow_for_github_passes_actionlint() -> Result<()> {
    let workflow = pipeline("github-actions.yaml")?;
    let good = actionlint(&workflow)?;
    ensure!(good.status.success(), "{}", said(&good));
    let wrong = actionlint(&with(&workflow, "runs-on:", "runs_on:")?)?;
    ensure!(!wrong.status.success(), "{}", said(&wrong));
    ensure!(said(&wrong).contains("runs_on"), "{}", said(&wrong));
    Ok(())
}

#[test]
fn the_jobs_for_gitlab_match_its_schema() -> Result<()> {
    let jobs = pipeline("gitlab-ci.yaml")?;
    let good = gitlab(&jobs)?;
    ensure!(good.status.success(), "{}", said(&good));
    for job in ["deploy", "roll-back"] {
        let is_listed = said(&good).lines().any(|line| line.starts_with(job));
        ensure!(is_listed, "{job} in {}", said(&good));
    }
    let wrong = gitlab(&with(&jobs, "resource_group:", "resource_groop:")?)?;
    ensure!(!wrong.status.success(), "{}", said(&wrong));
    ensure!(said(&wrong).contains("resource_groop"), "{}", said(&wrong));
    Ok(())
}
