//! What is known of a release, and whether it may go.

use std::fmt::{self, Display};
use std::time::Duration;

use skew_guard::rollout::written_time;
use skew_guard::telemetry::ReleaseState;

use super::counts::{IdleTime, Traffic};

/// A release.
#[derive(Clone, Debug)]
pub struct ReleaseStatus {
    /// Its version; its route where the list is not known.
    pub name: String,
    pub route: String,
    pub state: Option<ReleaseState>,
    /// Until when it drains, in seconds since 1970.
    pub until: Option<u64>,
    /// Its share of the visitors, of so many, where it is not all of them.
    pub share: Option<(u64, u64)>,
    /// How many pods are ready, by service; none where the cluster is not asked.
    pub pods: Option<Vec<Pods>>,
    pub traffic: Traffic,
}

/// The pods of a release behind a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pods {
    pub service: String,
    pub ready: usize,
    pub all: usize,
}

impl Pods {
    /// What a step that sends visitors to them waits for.
    pub fn missing(&self) -> Option<String> {
        let Self {
            service,
            ready,
            all,
        } = self;
        if *all == 0 {
            Some(format!("there is no pod behind {service}"))
        } else {
            (ready < all).then(|| format!("{ready} of {all} pods behind {service} are ready"))
        }
    }
}

impl Display for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.service, self.ready, self.all)
    }
}

impl Display for IdleTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Since(length) => write!(f, "no request for {}", rounded(*length)),
            Self::AtLeast(length) => {
                write!(
                    f,
                    "no request in the {} that were looked at",
                    rounded(*length)
                )
            }
        }
    }
}

/// Whether a draining release may be retired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// It may, for these reasons.
    May(String),
    /// It may not yet.
    NotYet(String),
    /// It cannot be told.
    Unknown(String),
}

impl Retirement {
    /// For machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::May(_) => "may",
            Self::NotYet(_) => "not_yet",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// What else the answer depends on.
#[derive(Clone, Debug)]
pub struct RetirementCriteria {
    /// In seconds since 1970.
    pub now: u64,
    /// For how long nobody must have asked for it.
    pub idle_for: Duration,
    /// Gateways whose requests nobody knows, each with the reason.
    pub unseen: Vec<String>,
}

impl ReleaseStatus {
    /// Whether it may be retired, where it drains.
    pub fn retirement(&self, criteria: &RetirementCriteria) -> Option<Retirement> {
        let RetirementCriteria {
            now,
            idle_for,
            unseen,
        } = criteria;
        if self.state != Some(ReleaseState::Draining) {
            return None;
        }
        if let Some(until) = self.until.filter(|until| until <= now) {
            let until = written_time(until);
            return Some(Retirement::May(format!(
                "it was draining until {until}, and has counted as retired since"
            )));
        }
        let Traffic {
            open_streams, idle, ..
        } = &self.traffic;
        let new = self.traffic.all().new;
        Some(if *open_streams > 0 {
            Retirement::NotYet(format!("{} open", counted(*open_streams, "stream")))
        } else if new > 0 {
            Retirement::NotYet(format!("{} since the last look", counted(new, "request")))
        } else if !unseen.is_empty() {
            Retirement::Unknown(unseen.join("; "))
        } else if idle.length() >= *idle_for {
            Retirement::May(format!("draining, {}, no open stream", idle))
        } else {
            let wanted = rounded(*idle_for);
            match idle {
                IdleTime::Since(_) => {
                    Retirement::NotYet(format!("{}; wait for {wanted} without one", idle))
                }
                IdleTime::AtLeast(_) => Retirement::Unknown(format!(
                    "{}, and no open stream; {wanted} without one would settle it. Look for longer with --watch, or ask about the past with --prometheus",
                    idle
                )),
            }
        })
    }
}

/// The answer to "may I delete it?", in a sentence.
pub fn sentence(name: &str, retirement: &Retirement) -> String {
    match retirement {
        Retirement::May(why) => format!("{name} may be retired: {why}"),
        Retirement::NotYet(why) => format!("{name} may not be retired yet: {why}"),
        Retirement::Unknown(why) => format!("it is unclear whether {name} may be retired: {why}"),
    }
}

pub fn counted(number: impl Display + PartialEq + From<u8>, what: &str) -> String {
    let plural = if number == 1.into() { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// A duration as a person says it: no seconds after hours.
pub fn rounded(length: Duration) -> String {
    let seconds = length.as_secs();
    let unit = match seconds {
        0..600 => 1,
        600..36_000 => 60,
        _ => 3600,
    };
    humantime::format_duration(Duration::from_secs(seconds / unit * unit)).to_string()
}
