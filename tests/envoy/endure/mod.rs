//! Endurance runs: hostile crowds, configurations that keep changing, millions of requests. `make hostile`,
//! `make churn` and `make soak` run each at a small size, or at the given one.

mod attack;
pub mod churn;
pub mod hostile;
mod memory;
pub mod soak;
