//! What is counted: one run of a function for each [`Case`].

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skew_guard::config::Config;
use skew_guard::decision::rules;
use skew_guard::decision::{Action, Decision};
use skew_guard::headers::{self, Headers};
use skew_guard::policy::Policy;
use skew_guard::reply::amend::{self, Amendment};
use skew_guard::reply::response::Response;
use skew_guard::request::{Environment, Request};
use skew_guard_traffic::answer;
use skew_guard_traffic::class::{self, Class};
use skew_guard_traffic::plugin::{self, Style};

/// A class of requests, and a number of served releases.
#[derive(Clone, Copy)]
pub struct Case {
    /// The class.
    pub class: &'static Class,
    /// The number.
    pub releases: usize,
}

impl Case {
    /// The cases in which a request is decided: all.
    pub fn decided() -> impl Iterator<Item = Self> {
        class::ALL.iter().flat_map(|class| {
            plugin::RELEASES
                .into_iter()
                .map(move |releases| Self { class, releases })
        })
    }

    /// Those with an upstream's answer, which the filter amends.
    pub fn amended() -> impl Iterator<Item = Self> {
        Self::decided().filter(|case| {
            case.class.answer == class::Answer::Upstream && case.class.outcome.is_some()
        })
    }

    /// The one in which only reading is counted.
    pub fn read() -> impl Iterator<Item = Self> {
        Self::decided().take(1)
    }
}

/// A case ready to run.
pub struct Prepared {
    policy: Policy,
    request: Vec<u8>,
    answer: Answer,
    decision: Option<Decision>,
}

impl Prepared {
    /// Prepares a case, and makes sure that its decision matches its class.
    ///
    /// # Errors
    ///
    /// The configuration is refused, or the outcome differs.
    pub fn of(case: Case) -> Result<Self> {
        let configuration = plugin::configuration(Style::Chart, case.releases, case.class.keys());
        let mut prepared = Self {
            policy: policy(&configuration)?,
            request: headers::serialize(&case.class.headers()),
            answer: Answer {
                headers: headers::serialize(&answer::headers(answer::to(&case.class.request()))),
            },
            decision: None,
        };
        prepared.decision = prepared.decide();
        let outcome = prepared
            .decision
            .as_ref()
            .map(|decision| decision.outcome.name());
        ensure!(
            outcome == case.class.outcome,
            "{} is {outcome:?}, and not {:?}",
            case.class.name,
            case.class.outcome
        );
        let is_forwarded = prepared
            .decision
            .as_ref()
            .is_none_or(|decision| matches!(decision.action, Action::Forward(_)));
        ensure!(is_forwarded == (case.class.answer == class::Answer::Upstream));
        Ok(prepared)
    }

    /// Reads the request's headers.
    #[must_use]
    pub fn read(&self) -> Request<'_> {
        Request::new(Headers::new(&self.request), &Epoch)
    }

    /// Reads the request's headers, and decides on them.
    #[must_use]
    pub fn decide(&self) -> Option<Decision> {
        rules::decide(&self.policy, &self.read())
    }

    /// Returns what changes in the answer; nothing if there was no decision.
    #[must_use]
    pub fn amend(&self) -> Option<Amendment> {
        let decision = self.decision.as_ref()?;
        Some(amend::amend(&self.policy, decision, &self.answer))
    }
}

fn policy(configuration: &Value) -> Result<Policy> {
    let config = Config::load(configuration.to_string().as_bytes());
    config
        .map(Policy::from)
        .map_err(|problems| anyhow::anyhow!("{problems}"))
        .context("the configuration")
}

/// Always the same time.
struct Epoch;

impl Environment for Epoch {
    fn now(&self) -> u64 {
        0
    }

    fn draw(&self) -> u32 {
        0
    }
}

/// An answer of the application itself, about which a proxy knows nothing else.
struct Answer {
    headers: Vec<u8>,
}

impl Response for Answer {
    fn headers(&self) -> Headers<'_> {
        Headers::new(&self.headers)
    }

    fn attribute(&self, _path: &[&str]) -> Option<Vec<u8>> {
        None
    }

    fn has_body(&self) -> bool {
        true
    }
}
