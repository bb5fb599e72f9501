//! The command-line tool, run as a user would run it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that finds something missing is to end there"
)]

mod answering;
mod checking;
mod cluster;
mod comparing;
#[cfg(unix)]
mod deploying;
mod explaining;
mod interrupting;
mod layout;
mod looking;
mod schema;
mod status;
mod stepping;
mod tool;
mod waiting;
#[cfg(unix)]
mod writing;
