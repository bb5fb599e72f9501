//! A request as a table of headers, for tests of the decision and of the answers.

use skew_guard::config::Config;
use skew_guard::decision::Decision;
use skew_guard::decision::rules::decide;
use skew_guard::headers::{self, Headers};
use skew_guard::policy::Policy;
use skew_guard::request::{Environment, Request};

/// A request as a client sends it, at a time that the test sets.
#[derive(Clone)]
pub struct Sent {
    headers: Vec<(String, Vec<u8>)>,
    now: u64,
    drawn: u32,
}

impl Sent {
    /// A request without Fetch Metadata: what curl sends.
    pub fn to(target: &str) -> Self {
        Self {
            headers: Vec::new(),
            now: 0,
            drawn: 0,
        }
        .with(":method", "GET")
        .with(":authority", "shop.example.com")
        .with(":path", target)
    }

    /// The top-level load of a document.
    pub fn navigation(target: &str) -> Self {
        Self::to(target)
            .with("sec-fetch-mode", "navigate")
            .with("sec-fetch-dest", "document")
            .with("sec-fetch-site", "none")
            .with("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
    }

    /// A `fetch` of the page's own origin.
    pub fn fetch(target: &str) -> Self {
        Self::to(target)
            .with("sec-fetch-mode", "cors")
            .with("sec-fetch-dest", "empty")
            .with("sec-fetch-site", "same-origin")
            .with("accept", "*/*")
    }

    /// A script that the page includes.
    pub fn script(target: &str) -> Self {
        Self::to(target)
            .with("sec-fetch-mode", "no-cors")
            .with("sec-fetch-dest", "script")
            .with("sec-fetch-site", "same-origin")
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The same with another value of a header.
    pub fn but(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.retain(|(key, _)| key != name);
        self.with(name, value)
    }

    /// The same at this time, in seconds since 1970.
    pub fn at(self, now: u64) -> Self {
        Self { now, ..self }
    }

    /// The same where this number would be drawn.
    pub fn drawing(self, drawn: u32) -> Self {
        Self { drawn, ..self }
    }

    /// Its headers, for a host to receive.
    pub fn headers(&self) -> Vec<(&str, &[u8])> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect()
    }

    /// What is decided on it.
    pub fn decided_by(&self, policy: &Policy) -> Option<Decision> {
        let map = headers::serialize(&self.headers);
        decide(policy, &Request::new(Headers::new(&map), self))
    }
}

impl Environment for Sent {
    fn now(&self) -> u64 {
        self.now
    }

    fn draw(&self) -> u32 {
        self.drawn
    }
}

/// The policy of a configuration that a test knows to be good.
#[track_caller]
pub fn policy(configuration: &str) -> Policy {
    match Config::load(configuration.as_bytes()) {
        Ok(config) => Policy::from(config),
        Err(problems) => panic!("{problems}"),
    }
}
