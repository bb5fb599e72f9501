//! Which test uses which code block.

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use skew_guard_lab::markdown::{Document, Fence};

use crate::{commands, configuration, reload_answer, status, trial};

/// One test for each block.
pub fn trials(document: &Document) -> Vec<Trial> {
    document
        .fences
        .iter()
        .map(|fence| {
            let path = document.path.display().to_string();
            let name = format!("{path}:{} {}", fence.line, title(fence));
            let fence = fence.clone();
            trial(name, move || prove(&path, &fence))
        })
        .collect()
}

/// The first line, to find the block by.
fn title(fence: &Fence) -> String {
    let first = fence.text.lines().next().unwrap_or_default().trim();
    format!("{} {first}", fence.language).trim().to_owned()
}

fn prove(document: &str, fence: &Fence) -> Result<()> {
    match (document, fence.language.as_str()) {
        ("README.md", "jsonl") => is_used_by(
            "tests/envoy",
            "fn the_line_in_the_readme_is_one_of_a_real_log",
        ),
        ("README.md", "json") => configuration::loads(&fence.text),
        ("README.md", "http") => reload_answer::is_the_filters(&fence.text),
        ("README.md" | "CONTRIBUTING.md", "sh") => commands::work(&fence.text),
        ("README.md", language @ ("ts" | "js" | "nginx" | "java")) => {
            is_used_by("tests/adopt", &format!("fence(\"{language}\")"))
        }
        ("istio/README.md", "yaml") => is_used_by("tests/chart", "```yaml"),
        ("istio/README.md", "sh") => commands::are_of_the_mesh(&fence.text),
        ("SECURITY.md", "sh") => is_used_by("tests/release", "SECURITY.md"),
        ("README.md", "") if is_drawing(&fence.text) => Ok(()),
        // Compared where the command is run.
        ("README.md", "") if status::is_answer(&fence.text) => Ok(()),
        ("README.md", "") if is_report(&fence.text) => commands::report_is_the_demos(&fence.text),
        ("README.md", "") => configuration::problems_are_reported(&fence.text),
        ("istio/README.md", "") if is_drawing(&fence.text) => Ok(()),
        ("istio/README.md", "") => is_used_by("tests/chart", "fn the_refusals_shown"),
        _ => bail!("no test uses this block; `tests/readme/fences.rs` says which test uses which"),
    }
}

/// Arrows and boxes: to be looked at, with nothing to be run.
fn is_drawing(text: &str) -> bool {
    text.contains('►') && !text.contains('╞')
}

fn is_report(text: &str) -> bool {
    text.contains('╞')
}

/// The folder of another target's tests holds this piece of code, which reads such blocks.
fn is_used_by(test: &str, reader: &str) -> Result<()> {
    let is_there = sources(test)?.iter().any(|source| source.contains(reader));
    ensure!(is_there, "{test} has no {reader}");
    Ok(())
}

fn sources(folder: &str) -> Result<Vec<String>> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "rs") {
            sources.push(std::fs::read_to_string(path)?);
        }
    }
    Ok(sources)
}
