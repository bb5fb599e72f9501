//! What is counted, and how it is named.
//!
//! Envoy names a stat in one string; tags stand in it as `key=.=value;.;` before the name, and one
//! `stats_tags` expression each takes them out again. It is Istio's convention for `extraStatTags`
//! too. Only what the configuration names becomes a tag's value: a client cannot make time series.

use crate::decision::Outcome;
use crate::policy::Release;
use crate::request::Class;

/// What was seen on an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A pod of another release answered than was asked, and it does not accept the client's version.
    Skewed,
    /// Envoy could not reach the release, and its failure became the reload answer.
    Gone,
    /// An asset was answered with a page, and became 404.
    Fallback,
}

impl Sight {
    /// All sights, in the order of [`Sight::index`].
    pub const ALL: [Self; 3] = [Self::Skewed, Self::Gone, Self::Fallback];

    /// The sight as a metric's tag has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Skewed => "skewed",
            Self::Gone => "gone",
            Self::Fallback => "fallback",
        }
    }

    /// The place of the sight in [`Sight::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// The counter of requests: one for each within the scope, by what was decided.
#[must_use]
pub fn requests(release: Option<&Release>, outcome: Outcome, class: Class) -> String {
    let (release, outcome, class) = (route_of(release), outcome.name(), class.name());
    format!(
        "release=.={release};.;outcome=.={outcome};.;class=.={class};.;skew_guard_requests_total"
    )
}

/// The counter of answers that something was seen on, by the release that was asked.
#[must_use]
pub fn answers(release: Option<&Release>, sight: Sight) -> String {
    let (release, sight) = (route_of(release), sight.name());
    format!("release=.={release};.;sight=.={sight};.;skew_guard_answers_total")
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

/// Several skew-guards may run in one gateway; each has a name.
fn plugin_tag(plugin: &str) -> String {
    format!("plugin=.={plugin};.;")
}

fn route_of(release: Option<&Release>) -> &str {
    release.map_or("none", |release| release.route.as_str())
}
