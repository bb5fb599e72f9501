//! Runs each case once under Callgrind, which counts what the measured function executes: not what prepares it, and
//! not what drops its result.

#![expect(missing_docs, reason = "the macros write items without")]

use std::hint::black_box;

use count_decisions::{Case, Prepared};
use gungraun::prelude::*;
use skew_guard::decision::Decision;
use skew_guard::reply::amend::Amendment;
use skew_guard::request::Request;

/// A case that ran before, as most have: otherwise the count includes the allocator tidying up after the configuration.
#[expect(
    clippy::expect_used,
    reason = "what is not as its class says is not counted"
)]
fn prepared(case: Case) -> &'static Prepared {
    let prepared: &'static _ = Box::leak(Box::new(Prepared::of(case).expect("a case")));
    for _ in 0..3 {
        drop(black_box(prepared.decide()));
        drop(black_box(prepared.amend()));
    }
    prepared
}

#[library_benchmark]
#[benches::case(iter = Case::read(), setup = prepared)]
fn read(prepared: &'static Prepared) -> Request<'static> {
    black_box(black_box(prepared).read())
}

#[library_benchmark]
#[benches::case(iter = Case::decided(), setup = prepared)]
fn decide(prepared: &'static Prepared) -> Option<Decision> {
    black_box(black_box(prepared).decide())
}

#[library_benchmark]
#[benches::case(iter = Case::amended(), setup = prepared)]
fn amend(prepared: &'static Prepared) -> Option<Amendment> {
    black_box(black_box(prepared).amend())
}

library_benchmark_group!(name = cases, benchmarks = [read, decide, amend]);

main!(library_benchmark_groups = cases);
