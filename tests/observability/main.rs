//! What an operator sees: a real Prometheus that scrapes a real Envoy.
//!
//! `make test-observability` unpacks Debian's package `prometheus` and runs it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that finds something missing is to end there"
)]

mod dashboard;
mod picture;
mod relabel;
mod roll_out;
mod rules;
mod site;
mod status;
