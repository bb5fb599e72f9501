//! The CPU time of one thread, as Linux counts it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

/// A thread of another process.
pub struct Thread {
    schedstat: PathBuf,
}

impl Thread {
    /// Envoy's only worker, which serves all requests and does nothing else.
    pub fn worker_of(process: u32) -> Result<Self> {
        Self::named(process, "wrk:worker_0")
    }

    fn named(process: u32, name: &str) -> Result<Self> {
        for task in fs::read_dir(format!("/proc/{process}/task"))? {
            let task = task?.path();
            if fs::read_to_string(task.join("comm"))?.trim_end() == name {
                let schedstat = task.join("schedstat");
                return Ok(Self { schedstat });
            }
        }
        anyhow::bail!("process {process} has no thread {name}")
    }

    /// The time that it has run so far
    /// ([`schedstat`](https://docs.kernel.org/scheduler/sched-stats.html): the first number, in nanoseconds).
    pub fn time(&self) -> Result<Duration> {
        let text = fs::read_to_string(&self.schedstat)?;
        let nanoseconds = text.split(' ').next().context("an empty schedstat")?;
        Ok(Duration::from_nanos(nanoseconds.parse()?))
    }
}
