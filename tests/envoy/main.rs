//! The built module in real Envoy: what requests become, what answers become, and what survives.
//!
//! `cargo test --test envoy` runs everything; `cargo test --test envoy -- NAME` a part of it, by behaviour
//! (`hostile`) or by version of Envoy (`1.36.4`). Each version runs one Envoy, started by the first behaviour that
//! needs it; each behaviour has a listener of its own there, with a configuration of its own that it can change live.
#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, as clippy.toml says of those that have the usual harness"
)]

mod application;
mod asset_fallback;
mod behaviour;
mod browsers;
mod caching;
mod classes;
mod counting;
mod endure;
mod fail_strategies;
mod forging;
mod gateway;
mod hostile;
mod hostile_reviews;
mod lab;
mod life;
mod live_change;
mod logs;
mod metrics;
mod observing;
mod own_answers;
mod pin_cookie;
mod preview;
mod received;
mod reinstallation;
mod routing;
mod scope;
mod skew;
mod sources;
mod streams;
mod telling_apart;
mod traps;
mod unreachable;
mod weights;
mod wrong_configuration;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use libtest_mimic::{Arguments, Trial};
use skew_guard_lab::envoy;
use tokio::runtime::Runtime;

use behaviour::{Behaviour, SharedLab};
use lab::Pods;

/// What depends on the proxy: run on every version of Envoy.
const ON_EVERY_ENVOY: &[&[Behaviour]] = &[
    routing::BEHAVIOURS,
    forging::BEHAVIOURS,
    hostile::BEHAVIOURS,
    hostile_reviews::BEHAVIOURS,
    live_change::BEHAVIOURS,
    streams::BEHAVIOURS,
    logs::BEHAVIOURS,
    wrong_configuration::BEHAVIOURS,
    reinstallation::BEHAVIOURS,
    asset_fallback::ON_EVERY_ENVOY,
    pin_cookie::ON_EVERY_ENVOY,
    own_answers::ON_EVERY_ENVOY,
    telling_apart::ON_EVERY_ENVOY,
    unreachable::ON_EVERY_ENVOY,
];

/// What depends on the filter alone: run on the newest.
const ON_THE_NEWEST_ENVOY: &[&[Behaviour]] = &[
    scope::BEHAVIOURS,
    counting::BEHAVIOURS,
    classes::BEHAVIOURS,
    sources::BEHAVIOURS,
    asset_fallback::ON_THE_NEWEST_ENVOY,
    pin_cookie::ON_THE_NEWEST_ENVOY,
    caching::BEHAVIOURS,
    weights::BEHAVIOURS,
    skew::BEHAVIOURS,
    observing::BEHAVIOURS,
    preview::BEHAVIOURS,
    traps::BEHAVIOURS,
    own_answers::ON_THE_NEWEST_ENVOY,
    unreachable::ON_THE_NEWEST_ENVOY,
    life::BEHAVIOURS,
    fail_strategies::BEHAVIOURS,
];

/// What takes long by its nature: run on the newest where it is asked for, as `make hostile`, `churn` and `soak` do.
const ON_REQUEST: &[&[Behaviour]] = &[
    endure::hostile::BEHAVIOURS,
    endure::churn::BEHAVIOURS,
    endure::soak::BEHAVIOURS,
];

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("{problem:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new().context("starting the runtime")?);
    let pods = Arc::new(Pods::default());
    let trials = envoy::VERSIONS
        .into_iter()
        .flat_map(|version| trials_on(version, &runtime, &pods))
        .collect();
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

fn trials_on(version: &'static str, runtime: &Arc<Runtime>, pods: &Arc<Pods>) -> Vec<Trial> {
    let lab = SharedLab::of(version, Arc::clone(runtime), Arc::clone(pods));
    let trials_of = |behaviours: &[&[Behaviour]]| {
        let behaviours = behaviours.concat().into_iter();
        behaviours.map(|behaviour| lab.trial(behaviour)).collect()
    };
    let mut trials: Vec<_> = trials_of(ON_EVERY_ENVOY);
    if version == envoy::DEFAULT_VERSION {
        trials.extend(trials_of(ON_THE_NEWEST_ENVOY));
        let on_request = trials_of(ON_REQUEST).into_iter();
        trials.extend(on_request.map(|trial| trial.with_ignored_flag(true)));
    }
    trials
}
