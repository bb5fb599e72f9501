//! What is counted, and how it is named; in `log_line`, what is logged of a request.
//!
//! Envoy names a stat in one string; tags stand in it as `key=.=value;.;` before the name, and one
//! `stats_tags` expression each takes them out again. It is Istio's convention for `extraStatTags`
//! too. Only what the configuration names becomes a tag's value: a client cannot create time
//! series.

use crate::config::State;
use crate::decision::Outcome;
use crate::policy::{Policy, Release};
use crate::request::Class;

pub mod log_line;

/// The attribute of a stream that holds the outcome, where it is asked for. Envoy keeps it as the filter state
/// `wasm.skew_guard.outcome` (`Context::setProperty`, `source/extensions/common/wasm/context.cc`).
pub const OUTCOME: &str = "skew_guard.outcome";

/// The answers that are counted by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// A pod of another release than the one asked for has answered, and it does not accept the
    /// client's version.
    Skewed,
    /// Envoy could not reach the release, and its failure became the reload answer.
    Gone,
    /// An asset was answered with a page, and became 404.
    Fallback,
}

impl AnswerKind {
    /// All kinds, in the order of [`AnswerKind::index`].
    pub const ALL: [Self; 3] = [Self::Skewed, Self::Gone, Self::Fallback];

    /// The kind as a metric's tag has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Skewed => "skewed",
            Self::Gone => "gone",
            Self::Fallback => "fallback",
        }
    }

    /// The place of the kind in [`AnswerKind::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// What becomes of the requests that ask for a release, as its gauge shows it: a release's life in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseState {
    /// No longer served: retired, or off the list.
    NotServed = 0,
    /// Testers reach it.
    Staged = 1,
    /// Whoever asks for it gets it.
    Live = 2,
    /// Visitors are assigned to it, all of them or some.
    Current = 3,
    /// Its clients are told that there is a newer one.
    Draining = 4,
}

impl ReleaseState {
    /// All stages, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::NotServed,
        Self::Staged,
        Self::Live,
        Self::Current,
        Self::Draining,
    ];

    /// The stage of a release that a policy serves.
    #[must_use]
    pub fn of(policy: &Policy, release: &Release) -> Self {
        let is_current = policy
            .current
            .as_ref()
            .is_some_and(|current| current.holds(release));
        Self::new(release.state(), is_current)
    }

    /// The stage of a release in this state that may be in `current`.
    #[must_use]
    pub fn new(state: State, is_current: bool) -> Self {
        match state {
            State::Retired => Self::NotServed,
            State::Staged => Self::Staged,
            State::Draining => Self::Draining,
            State::Live if is_current => Self::Current,
            State::Live => Self::Live,
        }
    }

    /// The stage as a person says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotServed => "retired or removed",
            Self::Staged => "staged",
            Self::Live => "live",
            Self::Current => "in current",
            Self::Draining => "draining",
        }
    }

    /// The number that the gauge shows.
    #[must_use]
    pub fn number(self) -> u64 {
        self as u64
    }
}

/// The classes whose counter of pinned requests is there before the first one came, so that a release that nobody
/// asks for shows 0.
pub const PREDEFINED_CLASSES: [Class; 2] = [Class::Api, Class::Asset];

/// The series of each release that are there from its configuration on: those counters, and its two gauges.
pub const PREDEFINED_SERIES_OF_A_RELEASE: usize = PREDEFINED_CLASSES.len() + GAUGES_OF_A_RELEASE;

/// The most series that a release makes: it is never part of the outcomes by which no release answers.
pub const MAX_SERIES_OF_A_RELEASE: usize = (Outcome::ALL.len() - UNANSWERED.len())
    * Class::ALL.len()
    + AnswerKind::ALL.len()
    + GAUGES_OF_A_RELEASE;

/// The most series of a plugin with so many releases since the gateway started. Requests may be of no release, too,
/// in any outcome; and three are of the configuration.
#[must_use]
pub const fn max_series(releases: usize) -> usize {
    let of_none = Outcome::ALL.len() * Class::ALL.len() + AnswerKind::ALL.len() + 1;
    releases * MAX_SERIES_OF_A_RELEASE + of_none + 3
}

const GAUGES_OF_A_RELEASE: usize = 2;
const UNANSWERED: [Outcome; 3] = [Outcome::Gone, Outcome::Declined, Outcome::Unconfigured];

/// The counter of requests: one for each within the scope, by what was decided.
#[must_use]
pub fn requests(plugin: &str, release: Option<&Release>, outcome: Outcome, class: Class) -> String {
    let tags = release_tags(plugin, route_of(release));
    let (outcome, class) = (outcome.name(), class.name());
    format!("{tags}outcome=.={outcome};.;class=.={class};.;skew_guard_requests_total")
}

/// The counter of such answers, by the release that was asked.
#[must_use]
pub fn answers(plugin: &str, release: Option<&Release>, kind: AnswerKind) -> String {
    let tags = release_tags(plugin, route_of(release));
    format!("{tags}answer=.={};.;skew_guard_answers_total", kind.name())
}

/// The gauge of the WebSockets, event streams and gRPC calls of a release that are open.
#[must_use]
pub fn open_streams(plugin: &str, release: Option<&Release>) -> String {
    let tags = release_tags(plugin, route_of(release));
    format!("{tags}skew_guard_open_streams")
}

/// The gauge of the [`ReleaseState`] that the release of a route is in.
#[must_use]
pub fn release_state(plugin: &str, route: &str) -> String {
    format!("{}skew_guard_release_state", release_tags(plugin, route))
}

/// The gauge of the configuration in force: its `revision`, 0 without one.
#[must_use]
pub fn revision(plugin: &str) -> String {
    format!("{}skew_guard_config_revision", plugin_tag(plugin))
}

/// The gauge that is 1 while the newest configuration is refused and another stands in for it.
#[must_use]
pub fn refused(plugin: &str) -> String {
    format!("{}skew_guard_config_refused", plugin_tag(plugin))
}

/// The counter of refused configurations; each worker counts its own.
#[must_use]
pub fn refusals(plugin: &str) -> String {
    format!("{}skew_guard_config_refusals_total", plugin_tag(plugin))
}

/// Several skew-guards may run in one gateway, each with a name. It comes first, because releases of two of them
/// may have the same route.
fn plugin_tag(plugin: &str) -> String {
    format!("plugin=.={plugin};.;")
}

fn release_tags(plugin: &str, route: &str) -> String {
    format!("{}release=.={route};.;", plugin_tag(plugin))
}

fn route_of(release: Option<&Release>) -> &str {
    release.map_or("none", |release| release.route.as_str())
}
