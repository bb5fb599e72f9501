//! What the tool says about a chart, in its machine-readable form.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// An answer, and the code with which the tool ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub answer: Value,
}

impl Said {
    pub fn of(output: Output) -> Result<Self> {
        let progress = String::from_utf8(output.stderr)?;
        Ok(Self {
            code: output.status.code().context("it was killed")?,
            answer: serde_json::from_slice(&output.stdout)
                .with_context(|| format!("an answer, not: {progress}"))?,
        })
    }

    /// Fails if the tool ended with any other code.
    pub fn ends(self, code: i32) -> Result<Self> {
        ensure!(self.code == code, "not {code}: {self:?}");
        Ok(self)
    }
}
