//! A request as it arrived at a pod.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skew_guard_lab::http::RawAnswer;

/// What the shop's `/api/request` returns.
#[derive(Debug)]
pub struct Received(Value);

impl Received {
    /// Reads it from the pod's answer.
    pub fn from(answer: &RawAnswer) -> Result<Self> {
        ensure!(answer.status == 200, "no pod answered: {answer:?}");
        Self::read(&answer.body)
    }

    /// Reads it from the body of the pod's answer.
    pub fn read(body: &[u8]) -> Result<Self> {
        let received = serde_json::from_slice(body);
        Ok(Self(received.with_context(|| {
            String::from_utf8_lossy(body).into_owned()
        })?))
    }

    /// The release of the pod that it reached.
    pub fn release(&self) -> &str {
        self.0["release"].as_str().unwrap_or_default()
    }

    /// Every line of a header that reached the pod.
    pub fn lines(&self, name: &str) -> Vec<&str> {
        let lines = self.0["headers"].as_array().into_iter().flatten();
        lines
            .filter(|line| line[0] == name)
            .filter_map(|line| line[1].as_str())
            .collect()
    }
}
