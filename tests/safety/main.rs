//! Properties that hold for every configuration, every step and every request: no page is skewed
//! while gateways disagree, and nothing that anybody sends or writes causes a panic.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a property that does not hold is to end there"
)]

mod deployment;
mod invariants;
mod lifecycle;
mod robust;
mod shop;
mod steps;
