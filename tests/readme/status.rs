//! `skew-guard status`, as the README shows it, for a real gateway with requests for every release.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use skew_guard_lab::markdown::{Document, Fence};

use crate::configuration;
use crate::pages::README;
use crate::tool::{Gateway, Workspace};

/// Whether a block is an answer of the command.
pub fn is_answer(text: &str) -> bool {
    text.contains("requests in 5s")
}

/// Runs the command while visitors come, and compares its answer with the README's, except for figures, times and
/// the width of columns.
pub fn answers_as_shown(line: &str) -> Result<()> {
    let readme = Document::read(README)?;
    let shown = |fence: &&Fence| is_answer(&fence.text);
    let shown = readme.fences.iter().find(shown).context("an answer")?;
    let workspace = Workspace::with_the_readmes_configuration()?;
    let gateway = Gateway::of_revision(configuration::revision()?)?;
    let is_over = AtomicBool::new(false);
    let said = thread::scope(|scope| {
        let visits = scope.spawn(|| visit(&gateway, &is_over));
        let said = workspace.run_at(line, &gateway);
        is_over.store(true, Ordering::SeqCst);
        visits.join().map_or(Ok(()), |visited| visited)?;
        said
    })?;
    ensure!(
        masked(&said) == masked(&shown.text),
        "the README shows\n{}\nthe command says\n{said}",
        shown.text
    );
    Ok(())
}

/// Sends requests of every version, again and again.
fn visit(gateway: &Gateway, is_over: &AtomicBool) -> Result<()> {
    while !is_over.load(Ordering::SeqCst) {
        for version in ["2.0.0", "2.0.0", "1.9.3", "1.4.2", "1.3.0"] {
            gateway.get("/api/cart", &[("x-bundle-version", version)])?;
        }
        gateway.get("/", &[("accept", "text/html")])?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The words of each line, sorted because the most frequent outcome comes first, with all digits masked.
fn masked(text: &str) -> Vec<Vec<String>> {
    let mask = |word: &str| -> String {
        let parts = word.split(|letter: char| letter.is_ascii_digit());
        parts
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("0")
    };
    text.trim()
        .lines()
        .map(|line| {
            let mut words: Vec<_> = line.split_whitespace().map(mask).collect();
            words.sort();
            words
        })
        .collect()
}
