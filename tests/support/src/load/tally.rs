//! What a load counts.

use std::collections::BTreeMap;
use std::time::Duration;

/// How many surprising answers are kept word for word.
const EXAMPLES_KEPT: usize = 12;

/// How long an answer may take before a person notices.
const SLOW: Duration = Duration::from_secs(1);

/// A page's judgement of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// From the page's own release, and usable.
    Right,
    /// From another release, though this page happens to be able to use it.
    Skewed,
    /// From another release, and useless to this page: no prices in the cart, HTML where code should be.
    Broken,
    /// The promised answer for a client whose release is gone: reload (the filter's 409, or its 404 for an asset).
    ToldToReload,
    /// An error, or no answer at all.
    Failed,
}

/// What a load counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// All requests that ended, in whatever way.
    pub requests: u64,
    /// Answers from a release other than the page's, including the broken ones.
    pub skewed: u64,
    /// Of the skewed ones, those that the page could not use.
    pub broken: u64,
    /// Errors and missing answers.
    pub failed: u64,
    /// Answers that told the page to reload.
    pub told_to_reload: u64,
    /// The errors and missing answers by cause, in Envoy's words or the client's.
    pub failures: BTreeMap<String, u64>,
    /// Answers that took over a second.
    pub slow: u64,
    /// How long the slowest answer took.
    pub slowest: Duration,
    /// Answers by pod.
    pub by_pod: BTreeMap<String, u64>,
    /// Some of the answers that were not right, in words.
    pub examples: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Tally {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        // Counts of requests stay far below what f64 holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let requests = self.requests as f64;
        requests / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// The share of answers that took over a second, in percent.
    pub fn share_of_slow(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let share = self.slow as f64 * 100.0 / self.requests.max(1) as f64;
        share
    }

    /// Notes how long an answer took.
    pub(super) fn took(&mut self, time: Duration) {
        self.slowest = self.slowest.max(time);
        if time > SLOW {
            self.slow += 1;
        }
    }

    /// The share of all answers that a pod gave, in percent.
    pub fn share(&self, pod: &str) -> f64 {
        let answers: u64 = self.by_pod.values().sum();
        let own = self.by_pod.get(pod).copied().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let share = own as f64 * 100.0 / answers.max(1) as f64;
        share
    }

    pub(super) fn count(
        &mut self,
        verdict: Verdict,
        pod: Option<&str>,
        story: impl FnOnce() -> String,
    ) {
        self.requests += 1;
        match verdict {
            Verdict::Right => {}
            Verdict::Skewed => self.skewed += 1,
            Verdict::Broken => {
                self.skewed += 1;
                self.broken += 1;
            }
            Verdict::ToldToReload => self.told_to_reload += 1,
            Verdict::Failed => self.failed += 1,
        }
        if let Some(pod) = pod {
            match self.by_pod.get_mut(pod) {
                Some(answers) => *answers += 1,
                None => {
                    self.by_pod.insert(pod.into(), 1);
                }
            }
        }
        if verdict != Verdict::Right && self.examples.len() < EXAMPLES_KEPT {
            self.examples.push(story());
        }
    }
}
