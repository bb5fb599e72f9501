//! What is wrong with a configuration.

use std::cell::Cell;
use std::fmt;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `releases[1].version`.
    pub path: String,
    /// What, and what is allowed.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// All that is wrong with a configuration, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something was said about a key or what is below it.
    #[must_use]
    pub fn mention(&self, key: &str) -> bool {
        self.0.iter().any(|problem| {
            problem
                .path
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// The problems, first found first.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    pub(super) fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.0.push(Problem {
            path: path.into(),
            text: text.into(),
        });
    }
}

impl From<Problem> for Problems {
    fn from(only: Problem) -> Self {
        Self(vec![only])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// Where all parts of a configuration note their problems while they are read.
#[derive(Default)]
pub(super) struct Report(Cell<Problems>);

impl Report {
    pub(super) fn add(&self, path: impl Into<String>, text: impl Into<String>) {
        let mut problems = self.0.take();
        problems.add(path, text);
        self.0.set(problems);
    }

    /// What was noted so far; the report is empty then.
    pub(super) fn take(&self) -> Problems {
        self.0.take()
    }
}
