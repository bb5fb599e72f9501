//! A request as a table of headers: one that a person describes, or that a model makes up.

use crate::decision::Decision;
use crate::decision::rules::decide;
use crate::headers::{self, Headers};
use crate::policy::Policy;
use crate::request::{Environment, Request};

/// A request, and the moment at which it arrives.
#[derive(Clone, Debug, Default)]
pub struct Table {
    headers: Vec<(String, Vec<u8>)>,
    now: u64,
    drawn: u32,
}

impl Table {
    /// A request for a path of a host, at a time in seconds since 1970.
    #[must_use]
    pub fn new(method: &str, host: &str, target: &str, now: u64) -> Self {
        Self {
            headers: Vec::new(),
            now,
            drawn: 0,
        }
        .with(":method", method)
        .with(":authority", host)
        .with(":path", target)
    }

    /// The same with one more header line.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// The same with another path and query.
    #[must_use]
    pub fn to(mut self, target: &str) -> Self {
        self.headers.retain(|(name, _)| name != ":path");
        self.with(":path", target)
    }

    /// The same where this number would be drawn at random.
    #[must_use]
    pub fn drawing(self, drawn: u32) -> Self {
        Self { drawn, ..self }
    }

    /// The path, without query.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        let target = self.headers.iter().find(|(name, _)| name == ":path");
        let target = target.map_or(&[][..], |(_, target)| target);
        target
            .split(|byte| *byte == b'?')
            .next()
            .unwrap_or_default()
    }

    /// What a policy decides on it; `None` where it is outside the scope.
    #[must_use]
    pub fn decided_by(&self, policy: &Policy) -> Option<Decision> {
        let map = headers::serialize(&self.headers);
        decide(policy, &Request::new(Headers::new(&map), self))
    }

    /// Whether it is within the scope of a policy.
    #[must_use]
    pub fn is_guarded_by(&self, policy: &Policy) -> bool {
        let map = headers::serialize(&self.headers);
        policy.scope.holds(&Request::new(Headers::new(&map), self))
    }
}

impl Environment for Table {
    fn now(&self) -> u64 {
        self.now
    }

    fn draw(&self) -> u32 {
        self.drawn
    }
}
