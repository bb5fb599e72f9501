//! What lasts: hostile crowds, configurations that change and change, requests by the million. `make hostile`,
//! `make churn` and `make soak` run a small size of each, or the one that they are given.

mod attack;
pub mod churn;
pub mod hostile;
mod memory;
mod report;
pub mod soak;
