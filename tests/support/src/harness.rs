//! The `main` of tests that start what they need once; each test is a trial on one runtime.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

/// Prepares the process while it has one thread, and runs the requested trials.
pub fn main(
    prepare: impl FnOnce(&mut Arguments) -> Result<()>,
    trials: impl FnOnce(&Arc<Runtime>) -> Vec<Trial>,
) -> ExitCode {
    match run(prepare, trials) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("{problem:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    prepare: impl FnOnce(&mut Arguments) -> Result<()>,
    trials: impl FnOnce(&Arc<Runtime>) -> Vec<Trial>,
) -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    prepare(&mut arguments)?;
    let runtime = Arc::new(Runtime::new().context("starting the runtime")?);
    let trials = trials(&runtime);
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}
