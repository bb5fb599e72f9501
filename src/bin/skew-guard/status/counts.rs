//! What gateways have counted for one plugin, and what was new from one look to the next.

use std::collections::BTreeMap;
use std::time::Duration;

use skew_guard::telemetry::ReleaseState;

use crate::metrics::{ANSWERS, Metrics, OPEN_STREAMS, Plugin, RELEASE_STATE, REQUESTS, Release};

/// What is counted of a release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Counter {
    Requests { outcome: String, class: String },
    Answers { kind: String },
}

impl Counter {
    fn is_request(&self) -> bool {
        matches!(self, Self::Requests { .. })
    }
}

/// What one gateway shows.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    counters: BTreeMap<(Release, Counter), u64>,
    open: Vec<(Release, u64)>,
    states: Vec<(Release, u64)>,
}

impl Counts {
    /// What a gateway's metrics say of a plugin.
    pub fn of(metrics: Metrics<'_>, plugin: &Plugin) -> Self {
        let gauges = |family| {
            let samples = metrics.of_releases(family, plugin).into_iter();
            samples
                .map(|sample| (sample.release, sample.value))
                .collect()
        };
        let requests = metrics.of_releases(REQUESTS, plugin).into_iter();
        let requests = requests.filter_map(|sample| match sample.tags.as_slice() {
            [outcome, class] => {
                let (outcome, class) = ((*outcome).to_owned(), (*class).to_owned());
                let counter = Counter::Requests { outcome, class };
                Some(((sample.release, counter), sample.value))
            }
            _ => None,
        });
        let answers = metrics.of_releases(ANSWERS, plugin).into_iter();
        let answers = answers.filter_map(|sample| {
            let kind = (*sample.tags.first()?).to_owned();
            Some(((sample.release, Counter::Answers { kind }), sample.value))
        });
        Self {
            counters: requests.chain(answers).collect(),
            open: gauges(OPEN_STREAMS),
            states: gauges(RELEASE_STATE),
        }
    }

    /// The releases that it was asked for.
    fn asked(&self) -> impl Iterator<Item = &Release> {
        let counters = self.counters.iter();
        let asked = counters.filter(|((_, counter), count)| counter.is_request() && **count > 0);
        asked.map(|((release, _), _)| release)
    }

    /// How much each has grown. If one has shrunk, the gateway was restarted.
    fn since(&self, before: &Self) -> impl Iterator<Item = (&(Release, Counter), u64)> {
        self.counters.iter().map(|(key, value)| {
            let before = before.counters.get(key).copied().unwrap_or_default();
            let more = value.checked_sub(before).unwrap_or(*value);
            (key, more)
        })
    }
}

/// A number that only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Since the present gateways started.
    pub total: u64,
    /// Between the last two looks.
    pub new: u64,
}

/// How long nobody has asked for a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleTime {
    /// The last request is so long ago.
    Since(Duration),
    /// There was none for so long, and what came before was not seen.
    AtLeast(Duration),
}

impl IdleTime {
    pub fn length(self) -> Duration {
        match self {
            Self::Since(length) | Self::AtLeast(length) => length,
        }
    }
}

impl Default for IdleTime {
    fn default() -> Self {
        Self::AtLeast(Duration::ZERO)
    }
}

/// What became of a release's requests.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// By outcome.
    pub requests: BTreeMap<String, Count>,
    pub open_streams: u64,
    pub skewed: Count,
    pub gone: Count,
    /// What gateways take it for; several where they disagree.
    pub states: Vec<ReleaseState>,
    /// How long nobody has asked for it.
    pub idle: IdleTime,
}

impl Traffic {
    /// How often it was answered that the page has to be loaded again: by the filter itself, or in the
    /// place of Envoy's failure.
    pub fn told_to_reload(&self) -> Count {
        let decided = self.requests.get("gone").copied().unwrap_or_default();
        Count {
            total: self.gone.total + decided.total,
            new: self.gone.new + decided.new,
        }
    }

    /// All requests.
    pub fn all(&self) -> Count {
        let counts = self.requests.values();
        counts.fold(Count::default(), |sum, count| Count {
            total: sum.total + count.total,
            new: sum.new + count.new,
        })
    }
}

/// The looks so far.
#[derive(Debug, Default)]
pub struct History {
    /// The last one at each gateway that is still there.
    gateways: BTreeMap<String, Counts>,
    /// What the last one brought.
    new: BTreeMap<(Release, Counter), u64>,
    /// When a release began to be idle, if not at the first look: when that was, and whether it was
    /// asked for then.
    last_asked: BTreeMap<Release, (Duration, bool)>,
    /// When the last look was, since the first one.
    at: Option<Duration>,
}

impl History {
    /// A look at all gateways, this long after the first. A gateway that could not be asked is
    /// `None`; what it counts is added at the next look.
    pub fn record(&mut self, seen: Vec<(String, Option<Counts>)>, at: Duration) {
        self.new.clear();
        let is_first = self.at.is_none();
        let mut gateways = BTreeMap::new();
        for (name, counts) in seen {
            match (self.gateways.remove(&name), counts) {
                (Some(before), None) => {
                    gateways.insert(name, before);
                }
                (None, None) => {}
                (Some(before), Some(counts)) => {
                    for (key, more) in counts.since(&before) {
                        *self.new.entry(key.clone()).or_default() += more;
                    }
                    gateways.insert(name, counts);
                }
                (None, Some(counts)) => {
                    // Nobody knows when it counted what it has.
                    let asked = counts.asked().filter(|_| !is_first);
                    self.last_asked
                        .extend(asked.map(|release| (release.clone(), (at, false))));
                    gateways.insert(name, counts);
                }
            }
        }
        let asked = self
            .new
            .iter()
            .filter(|((_, counter), more)| counter.is_request() && **more > 0);
        self.last_asked
            .extend(asked.map(|((release, _), _)| (release.clone(), (at, true))));
        self.gateways = gateways;
        self.at = Some(at);
    }

    /// What was seen of a release.
    pub fn of(&self, route: &str) -> Traffic {
        let mut traffic = Traffic::default();
        for counts in self.gateways.values() {
            let own = |values: &[(Release, u64)]| -> Vec<u64> {
                let own = values.iter().filter(|(release, _)| release.is(route));
                own.map(|(_, value)| *value).collect()
            };
            traffic.open_streams += own(&counts.open).iter().sum::<u64>();
            for number in own(&counts.states) {
                let state = ReleaseState::ALL
                    .into_iter()
                    .find(|state| state.number() == number);
                traffic.states.extend(state);
            }
            for ((release, counter), value) in &counts.counters {
                if release.is(route) {
                    traffic.count(counter, |count| count.total += value);
                }
            }
        }
        traffic.states.sort_by_key(|state| state.number());
        traffic.states.dedup();
        for ((release, counter), more) in &self.new {
            if release.is(route) {
                traffic.count(counter, |count| count.new += more);
            }
        }
        let at = self.length();
        let last_asked = self
            .last_asked
            .iter()
            .filter(|(release, _)| release.is(route));
        traffic.idle = match last_asked.map(|(_, when)| *when).max() {
            Some((since, true)) => IdleTime::Since(at.saturating_sub(since)),
            Some((since, false)) => IdleTime::AtLeast(at.saturating_sub(since)),
            None => IdleTime::AtLeast(at),
        };
        traffic
    }

    /// The routes of all releases that gateways know.
    pub fn routes(&self) -> Vec<String> {
        let states = self.gateways.values().flat_map(|counts| &counts.states);
        let mut routes: Vec<_> = states.map(|(release, _)| release.route()).collect();
        routes.sort();
        routes.dedup();
        routes
    }

    /// How long ago the first look was.
    pub fn length(&self) -> Duration {
        self.at.unwrap_or_default()
    }
}

impl Traffic {
    fn count(&mut self, counter: &Counter, add: impl FnOnce(&mut Count)) {
        match counter {
            Counter::Requests { outcome, .. } => {
                let count = self.requests.entry(outcome.clone()).or_default();
                add(count);
            }
            Counter::Answers { kind } if kind == "skewed" => add(&mut self.skewed),
            Counter::Answers { kind } if kind == "gone" => add(&mut self.gone),
            Counter::Answers { .. } => {}
        }
    }
}
