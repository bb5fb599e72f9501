//! What lasts: hostile crowds, configurations that change and change, requests by the million. Each has a small size in
//! every run of the tests; `make hostile`, `make churn` and `make soak` give it another.

mod attack;
pub mod churn;
pub mod hostile;
mod memory;
mod report;
pub mod soak;
