//! What a command answers; only `main` prints it.

use serde_json::Value;

use crate::file::Draft;

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

/// An answer, and what is done once it has been printed.
///
/// Someone who could not be told what was done would repeat the command, and thereby take the next
/// step.
#[derive(Debug)]
pub struct Prepared {
    pub answer: Answer,
    /// A file that was edited.
    pub draft: Option<Draft>,
}

impl From<Answer> for Prepared {
    fn from(answer: Answer) -> Self {
        let draft = None;
        Self { answer, draft }
    }
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
