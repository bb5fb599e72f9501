//! What a command answers; `main` alone prints it.

use serde_json::Value;

/// The answer of a command, for whoever asked.
#[derive(Debug)]
pub struct Answer {
    /// For a pipeline.
    pub verdict: Verdict,
    /// For people: lines, the last without its end.
    pub text: String,
    /// For machines.
    pub json: Value,
}

/// Whether an answer is a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Bad,
}

impl Verdict {
    pub fn of(is_good: bool) -> Self {
        if is_good { Self::Good } else { Self::Bad }
    }
}
