//! The filter's specification, by behaviour: everything that can be shown without a proxy.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that finds something missing is to end there"
)]

mod answers;
mod configuration;
mod decision;
mod fake_host;
mod log_line;
mod series;
mod shell;
#[expect(dead_code, reason = "the lists are for tests/envoy")]
mod table;
mod weights;
