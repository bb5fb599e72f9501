//! Waiting for something, and reporting what for.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::report::Report;
use crate::cluster::Problem;

/// The time between two looks.
pub const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// An end that is not an error of the tool: nothing was harmed, and the reason is the answer.
#[derive(Debug)]
pub struct Stop(pub String);

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stop {}

/// Stops if something does not hold, and says why.
pub fn stop_unless(holds: bool, why: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { bail!(Stop(why())) }
}

/// Whether the cluster may answer a moment later: whoever only waits goes on waiting.
pub fn is_transient(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(Problem::is_transient)
}

/// How long each step may wait.
#[derive(Clone, Copy, Debug)]
pub struct Timeout(pub Duration);

impl Timeout {
    /// Looks again and again until nothing is missing, and reports what is missing whenever that
    /// changes.
    pub fn until(
        self,
        what: &str,
        report: &Report,
        mut missing: impl FnMut() -> Result<Option<String>>,
    ) -> Result<()> {
        let started = Instant::now();
        let mut told = String::new();
        loop {
            let now = match missing() {
                Ok(None) => return Ok(()),
                Ok(Some(now)) => now,
                Err(error) if is_transient(&error) => format!("{error:#}"),
                Err(error) => return Err(error),
            };
            if now != told {
                report.note(&now);
                told = now;
            }
            if started.elapsed() >= self.0 {
                bail!(Stop(format!(
                    "gave up after {} waiting for {what}: {told}",
                    humantime::format_duration(self.0)
                )));
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}
