//! Which test covers which code block.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use skew_guard_lab::markdown::{Document, Fence};

use crate::{commands, configuration, pages, reload_answer, status, suites, trial};

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
    let language = fence.language.as_str();
    match (document, language) {
        (_, "") if is_drawing(&fence.text) => Ok(()),
        (pages::README, "json") => configuration::loads(&fence.text),
        // Compared when the command is run.
        (pages::README, "") if status::is_answer(&fence.text) => Ok(()),
        (pages::README, "") => configuration::problems_are_reported(&fence.text),
        (pages::README | pages::DEMO | pages::CONTRIBUTING | "client/README.md", "sh") => {
            commands::work(&fence.text)
        }
        (pages::TESTS, "sh") => suites::run_one_case(&fence.text),
        (pages::DEMO, "") => commands::report_is_the_demos(&fence.text),
        (pages::DECIDING, "http") => reload_answer::is_the_filters(&fence.text),
        (pages::OBSERVABILITY, "jsonl") => is_used_by("tests/envoy", document),
        ("client/adopting.md", "ts" | "js" | "nginx" | "java") => {
            is_used_by("tests/adopt", document)?;
            is_used_by("tests/adopt", &format!("fence(\"{language}\")"))
        }
        ("client/README.md", "js" | "jsx") => {
            is_used_by("client/test", "/^```(jsx?)\\n(.*?)^```/gms")
        }
        ("SECURITY.md", "sh") => is_used_by("tests/release", document),
        (_, "yaml") if is_of_the_chart(document) => is_used_by("tests/chart", "const YAML"),
        (_, "sh") if is_of_the_chart(document) => {
            is_used_by("tests/istio", document)?;
            commands::are_of_the_mesh(&fence.text)
        }
        (pages::CHART, "") => is_used_by("tests/chart", "fn the_refusals_shown"),
        _ => bail!("no test uses this block; `tests/readme/fences.rs` says which test uses which"),
    }
}

/// `tests/chart` renders the values of every page beside the chart, and `tests/istio` runs the commands.
fn is_of_the_chart(document: &str) -> bool {
    Path::new(document).parent() == Some(Path::new("istio"))
}

/// Diagrams, with nothing to run.
fn is_drawing(text: &str) -> bool {
    text.contains('►')
}

/// The folder of another target's tests contains this code, which reads such blocks.
fn is_used_by(test: &str, reader: &str) -> Result<()> {
    let is_there = sources(test)?.iter().any(|source| source.contains(reader));
    ensure!(is_there, "{test} has no {reader}");
    Ok(())
}

fn sources(folder: &str) -> Result<Vec<String>> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|kind| kind == "rs" || kind == "ts")
        {
            sources.push(std::fs::read_to_string(path)?);
        }
    }
    Ok(sources)
}
