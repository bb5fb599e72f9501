//! Tests that the documentation is true.
//!
//! Every code block is copied and used: a configuration is loaded, a command is run, an answer is
//! compared with the filter's. A block, or a command in one, that no test knows how to use is a failure,
//! so nothing can be shown that was not tried. What needs Node or a browser is run by
//! `make test-adopt`, what needs Helm by `make test-chart`; those blocks are listed here.
#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, as clippy.toml says of those that have the usual harness"
)]

mod commands;
mod configuration;
mod fences;
mod links;
mod metrics;
mod pages;
mod reload_answer;
mod status;
mod suites;
mod tool;
mod up;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use skew_guard_lab::markdown::Document;

/// A statement in a document, and the test that proves it.
type Claim = (&'static str, fn(&Document) -> Result<()>);

/// The statements of individual documents.
const CLAIMS: [(&str, &[Claim]); 8] = [
    (pages::README, configuration::CLAIMS),
    (pages::README, metrics::VERSIONS),
    (pages::CHART, metrics::LINES_OF_ISTIO),
    (pages::DECIDING, configuration::RULES),
    (pages::OBSERVABILITY, metrics::CLAIMS),
    (pages::TESTS, suites::CLAIMS),
    (pages::TESTS, suites::PATHS),
    (pages::CONTRIBUTING, suites::PATHS),
];

/// What holds for every document.
const EVERYWHERE: [Claim; 4] = [
    ("every link leads somewhere", links::lead_somewhere),
    (
        "every `make` command that is named has a target",
        commands::targets_exist,
    ),
    ("its lines are wrapped", pages::is_wrapped),
    ("a link leads to it from the README", links::lead_to),
];

fn main() -> ExitCode {
    match trials() {
        Ok(trials) => libtest_mimic::run(&Arguments::from_args(), trials).exit_code(),
        Err(problem) => {
            eprintln!("{problem:#}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for path in pages::all()? {
        let document = Document::read(&path)?;
        trials.extend(fences::trials(&document));
        let of_this = CLAIMS
            .into_iter()
            .filter(|(page, _)| path == Path::new(page))
            .flat_map(|(_, claims)| claims);
        trials.extend(EVERYWHERE.iter().chain(of_this).map(|(name, prove)| {
            let document = document.clone();
            trial(format!("{}: {name}", path.display()), move || {
                prove(&document)
            })
        }));
    }
    Ok(trials)
}

fn trial(name: String, prove: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, || {
        prove().map_err(|problem| Failed::from(format!("{problem:#}")))
    })
}
