//! A wrong configuration, given to a command that needs a right one.

use std::error::Error;
use std::fmt;

use serde_json::{Value, json};
use skew_guard::rollout::LoadedConfig;

use crate::answer::{Answer, Verdict};
use crate::document::{Document, Located};

/// Everything that is wrong with a configuration.
#[derive(Debug)]
pub struct InvalidConfig {
    /// For people: one line per problem.
    text: String,
    /// For machines.
    configuration: Value,
}

impl Error for InvalidConfig {}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Document {
    /// The configuration of a command that needs a right one.
    pub fn load_valid(&self) -> Result<LoadedConfig, InvalidConfig> {
        self.load()
            .map_err(|problems| InvalidConfig::new(self, &problems))
    }
}

impl InvalidConfig {
    fn new(document: &Document, problems: &[Located]) -> Self {
        let lines = problems.iter().map(|problem| document.describe(problem));
        let mut configuration = document.identity();
        let problems: Vec<_> = problems.iter().map(Located::json).collect();
        configuration.insert("problems".to_owned(), json!(problems));
        Self {
            text: lines.collect::<Vec<_>>().join("\n"),
            configuration: Value::Object(configuration),
        }
    }

    /// The answer given instead of the command's.
    pub fn answer(self) -> Answer {
        Answer {
            verdict: Verdict::Bad,
            text: self.text,
            json: json!({ "configurations": [self.configuration] }),
        }
    }
}
