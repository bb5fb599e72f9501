//! The documents of this repository, held to what they say.
//!
//! Every code block is copied and used: a configuration is loaded, a command is run, an answer is
//! compared with the filter's. A block, or a command in one, that no test knows how to use is a failure,
//! so nothing can be shown here that was not tried. What needs Node or a browser is run by
//! `make test-adopt`, what needs Helm by `make test-chart`; their blocks are known here by name.
#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, as clippy.toml says of those that have the usual harness"
)]

mod commands;
mod configuration;
mod fences;
mod links;
mod metrics;
mod reload_answer;
mod status;
mod tool;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use skew_guard_lab::markdown::Document;

const DOCUMENTS: [&str; 6] = [
    "README.md",
    "istio/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "envoy/observability/README.md",
    "SECURITY.md",
];

/// A statement of a document, and what proves it.
type Claim = (&'static str, fn(&Document) -> Result<()>);

const CLAIMS: [&[Claim]; 2] = [configuration::CLAIMS, metrics::CLAIMS];

/// What holds for every document.
const EVERYWHERE: [Claim; 2] = [
    ("every link leads somewhere", links::lead_somewhere),
    (
        "every `make` that is named has a target",
        commands::targets_exist,
    ),
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
    for path in DOCUMENTS {
        let document = Document::read(path)?;
        trials.extend(fences::trials(&document));
        let of_readme = CLAIMS.into_iter().flatten().filter(|_| path == "README.md");
        trials.extend(EVERYWHERE.iter().chain(of_readme).map(|(name, prove)| {
            let document = document.clone();
            trial(format!("{path}: {name}"), move || prove(&document))
        }));
    }
    Ok(trials)
}

fn trial(name: String, prove: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, || {
        prove().map_err(|problem| Failed::from(format!("{problem:#}")))
    })
}
