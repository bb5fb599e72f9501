//! The built module in real Envoy: what happens to requests and answers, and what it survives.
//!
//! The behaviours of `tests/specification/table` are tried here over HTTP/1.1 (`specification`) and HTTP/2 (`http_2`),
//! and also what needs more than a request: pods that share a load, a live change, several workers, a broken module,
//! other filters.
//!
//! `cargo test --test envoy` runs everything; `cargo test --test envoy -- NAME` a part of it, by behaviour
//! (`hostile`) or by version of Envoy (`1.36.4`). Each version runs one Envoy, started by the first behaviour that
//! needs it; each behaviour has its own listener there, with its own configuration that it can change live.
#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, as clippy.toml says of those that have the usual harness"
)]

mod application;
mod behaviour;
mod endure;
mod fail_strategies;
mod gateway;
mod hostile;
mod hostile_reviews;
mod http_2;
mod lab;
mod life;
mod live_change;
mod logs;
mod metrics;
mod own_answers;
mod received;
mod reinstallation;
mod routing;
mod skew;
#[path = "../specification/table/mod.rs"]
mod specification;
mod specified;
mod streams;
mod telling_apart;
mod weights;
mod wrong_configuration;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Trial;
use skew_guard_lab::{envoy, harness};
use skew_guard_traffic::browsers;
use tokio::runtime::Runtime;

use behaviour::{Behaviour, SharedLab};
use lab::Pods;
use specified::Protocol;

/// What depends on the proxy: run on every version of Envoy.
const ON_EVERY_ENVOY: &[&[Behaviour]] = &[
    routing::BEHAVIOURS,
    hostile::BEHAVIOURS,
    hostile_reviews::BEHAVIOURS,
    live_change::BEHAVIOURS,
    streams::BEHAVIOURS,
    logs::BEHAVIOURS,
    wrong_configuration::BEHAVIOURS,
    reinstallation::BEHAVIOURS,
    own_answers::BEHAVIOURS,
    telling_apart::BEHAVIOURS,
];

/// What depends on the filter alone: run on the newest.
const ON_THE_NEWEST_ENVOY: &[&[Behaviour]] = &[
    weights::BEHAVIOURS,
    skew::BEHAVIOURS,
    life::BEHAVIOURS,
    fail_strategies::BEHAVIOURS,
];

/// What takes long by nature: run on the newest on request, as `make hostile`, `churn` and `soak` do.
const ON_REQUEST: &[&[Behaviour]] = &[
    endure::hostile::BEHAVIOURS,
    endure::churn::BEHAVIOURS,
    endure::soak::BEHAVIOURS,
];

fn main() -> ExitCode {
    let pods = Arc::new(Pods::default());
    harness::main(
        |_| Ok(()),
        |runtime| {
            let versions = envoy::VERSIONS.into_iter();
            versions
                .flat_map(|version| trials_on(version, runtime, &pods))
                .collect()
        },
    )
}

fn trials_on(version: &'static str, runtime: &Arc<Runtime>, pods: &Arc<Pods>) -> Vec<Trial> {
    let lab = &SharedLab::of(version, Arc::clone(runtime), Arc::clone(pods));
    let trials_of = |behaviours: &[&[Behaviour]]| {
        let behaviours = behaviours.concat().into_iter();
        behaviours.map(|behaviour| lab.trial(behaviour)).collect()
    };
    let specified = |behaviours: Vec<skew_guard_behaviour::Behaviour>, protocol| {
        let behaviours = behaviours.into_iter();
        behaviours.map(move |behaviour| lab.specified(behaviour, protocol))
    };
    let mut trials: Vec<_> = trials_of(ON_EVERY_ENVOY);
    trials.extend(specified(specification::of_the_proxy(), Protocol::Http1));
    trials.extend(specified(specification::of_the_protocol(), Protocol::Http2));
    if version == envoy::DEFAULT_VERSION {
        trials.extend(specified(specification::of_the_filter(), Protocol::Http1));
        trials.extend(trials_of(ON_THE_NEWEST_ENVOY));
        let on_request = trials_of(ON_REQUEST).into_iter();
        trials.extend(on_request.map(|trial| trial.with_ignored_flag(true)));
    }
    trials
}
