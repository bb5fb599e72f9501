//! What a behaviour of skew-guard is made of: a configuration, a request, what the upstream answers, and what is
//! expected.
//!
//! The behaviours themselves are the tables in `tests/specification/table`. Each is tried twice: on a host that only
//! records what it is asked (`tests/specification`, in milliseconds), and in real Envoy (`tests/envoy`).

#![allow(
    clippy::panic,
    reason = "a behaviour that is not seen is to end its test"
)]

mod behaviours;
mod configuration;
mod expected;
mod request;
mod seen;
mod upstream;

pub use configuration::{mesh, policy, shop, with};
pub use expected::{Expected, answer, refused, to, untouched};
pub use request::{
    Request, by, by_without_metadata, call, fetch, form, frame, load, navigation, plain, script,
};
pub use seen::{Counts, Lines, Seen};
pub use skew_guard_traffic::browsers::{BROWSERS, Load};
pub use upstream::{Upstream, file, html, json, no_cluster, no_pods, refusing, says};

use serde_json::Value;

/// A behaviour of the filter, seen from outside.
pub struct Behaviour {
    /// Its name, after that of its table.
    pub name: &'static str,
    /// What to expect, under one configuration after another.
    pub groups: Vec<Group>,
}

/// What to expect under one configuration.
pub struct Group {
    /// The configuration.
    pub configuration: Value,
    /// One request after another.
    pub cases: Vec<Case>,
}

/// One request.
pub struct Case {
    /// As the client sends it.
    pub request: Request,
    /// What answers it, if it goes on.
    pub upstream: Upstream,
    /// What to expect.
    pub expected: Expected,
}

impl Group {
    /// A configuration under which nothing is sent yet.
    #[must_use]
    pub fn under(configuration: Value) -> Self {
        Self {
            configuration,
            cases: Vec::new(),
        }
    }

    /// Sends one more request.
    pub fn send(&mut self, request: Request, upstream: Upstream, expected: Expected) {
        self.cases.push(Case {
            request,
            upstream,
            expected,
        });
    }
}

impl Case {
    /// Fails the test with everything that is not as expected.
    #[track_caller]
    pub fn judge(&self, configuration: &Value, seen: &Seen) {
        let differences = self.expected.differences(seen);
        assert!(
            differences.is_empty(),
            "{}, which meets {:?}, under {configuration}:\n{}\nseen: {seen:#?}",
            self.request,
            self.upstream,
            differences.join("\n")
        );
    }
}
