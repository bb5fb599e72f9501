//! `skew-guard wait`: until every gateway has a configuration in force.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::answer::{Answer, Verdict};

/// The gauges by which the filter says what is in force.
const REVISION: &str = "skew_guard_config_revision";
const REFUSED: &str = "skew_guard_config_refused";

/// A gateway's workers follow its main thread by moments, so that one look is not enough.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
const LOOKS: u32 = 2;

/// In bytes. A gateway of a large mesh has a hundred megabytes of metrics.
const LARGEST_METRICS: u64 = 1 << 30;

/// Wait until every gateway has a configuration in force
///
/// Looks at the Prometheus metrics of each gateway until skew_guard_config_revision shows the
/// revision in two looks two seconds apart, and skew_guard_config_refused shows that it was not
/// refused. Exits with 1 where that has not come true within the time limit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard wait --revision 7 http://10.0.3.4:15020/stats/prometheus
  skew-guard wait --revision 7 --plugin shop-skew-guard --timeout 2m \\
    $(kubectl get pods -n istio-ingress -l istio=ingressgateway \\
      -o jsonpath='{range .items[*]}http://{.status.podIP}:15020/stats/prometheus {end}')")]
pub struct Wait {
    /// The revision, as the configuration has it
    #[arg(long)]
    revision: u64,
    /// The metrics of each gateway (http only)
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    /// The plugin's name, or a part of it, where several run in one gateway
    #[arg(long)]
    plugin: Option<String>,
    /// How long to wait
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// What a gateway shows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// The revision is in force, seen so many times in a row.
    InForce(u32),
    /// Another revision is.
    Other(u64),
    /// The newest configuration was refused.
    Refused(u64),
    /// skew-guard does not run there, or has not read a configuration yet.
    Absent,
    /// Several plugins run there, and none was named.
    Several(Vec<String>),
    /// The metrics cannot be read.
    Unreachable(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce(looks) if *looks < LOOKS => f.write_str("in force, looking again"),
            Self::InForce(_) => f.write_str("in force"),
            Self::Other(revision) => write!(f, "still has revision {revision}"),
            Self::Refused(revision) => write!(
                f,
                "refused its newest configuration and goes on with revision {revision}; its log says why, and so does skew-guard check"
            ),
            Self::Absent => write!(f, "shows no {REVISION}"),
            Self::Several(plugins) => write!(
                f,
                "has several plugins, choose one with --plugin: {}",
                plugins.join(", ")
            ),
            Self::Unreachable(why) => write!(f, "cannot be reached: {why}"),
        }
    }
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::InForce(_) => "in_force",
            Self::Other(_) => "other",
            Self::Refused(_) => "refused",
            Self::Absent => "absent",
            Self::Several(_) => "several",
            Self::Unreachable(_) => "unreachable",
        }
    }

    fn is_settled(&self) -> bool {
        matches!(self, Self::InForce(looks) if *looks >= LOOKS)
    }
}

impl Wait {
    /// Runs the command, and tells `progress` whenever a gateway shows something else.
    pub fn run(&self, progress: &mut dyn FnMut(String)) -> Result<Answer> {
        for url in &self.urls {
            ensure!(
                url.starts_with("http://"),
                "{url} is no http:// URL: metrics of gateways are read in plain HTTP"
            );
        }
        let started = Instant::now();
        let mut states = vec![State::Absent; self.urls.len()];
        let mut is_first = true;
        loop {
            let seen = self.look(&states, started);
            for ((url, before), after) in self.urls.iter().zip(&states).zip(&seen) {
                if is_first || before != after {
                    progress(format!("{url} {after}"));
                }
            }
            states = seen;
            is_first = false;
            let is_settled = states.iter().all(State::is_settled);
            if is_settled || self.left(started) < BETWEEN_LOOKS {
                return Ok(self.answer(&states, is_settled));
            }
            thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// One look at every gateway, all at once.
    fn look(&self, before: &[State], started: Instant) -> Vec<State> {
        thread::scope(|scope| {
            let looks: Vec<_> = self
                .urls
                .iter()
                .zip(before)
                .map(|(url, before)| scope.spawn(|| self.look_at(url, before, started)))
                .collect();
            looks
                .into_iter()
                .map(|look| {
                    look.join()
                        .unwrap_or_else(|_| State::Unreachable("the look failed".to_owned()))
                })
                .collect()
        })
    }

    /// What is left of the time limit.
    fn left(&self, started: Instant) -> Duration {
        self.timeout.saturating_sub(started.elapsed())
    }

    fn look_at(&self, url: &str, before: &State, started: Instant) -> State {
        let limit = self
            .left(started)
            .clamp(Duration::from_secs(1), Duration::from_secs(10));
        let metrics = ureq::get(url)
            .config()
            .timeout_global(Some(limit))
            .build()
            .call()
            .and_then(|mut answer| {
                let body = answer.body_mut().with_config();
                body.limit(LARGEST_METRICS).read_to_string()
            });
        match metrics {
            Err(error) => State::Unreachable(error.to_string()),
            Ok(metrics) => match (self.state(&metrics), before) {
                (State::InForce(_), State::InForce(looks)) => State::InForce(looks + 1),
                (state, _) => state,
            },
        }
    }

    fn state(&self, metrics: &str) -> State {
        let revisions = self.gauges(metrics, REVISION);
        let refused = self.gauges(metrics, REFUSED);
        let mut plugins = revisions.iter();
        let (Some((plugin, revision)), None) = (plugins.next(), plugins.next()) else {
            return if revisions.is_empty() {
                State::Absent
            } else {
                State::Several(revisions.into_keys().collect())
            };
        };
        if refused.get(plugin).is_some_and(|refused| *refused != 0) {
            State::Refused(*revision)
        } else if *revision == self.revision {
            State::InForce(1)
        } else {
            State::Other(*revision)
        }
    }

    /// The values of a gauge, by plugin.
    fn gauges(&self, metrics: &str, name: &str) -> BTreeMap<String, u64> {
        let mut gauges: BTreeMap<_, _> = metrics
            .lines()
            .filter_map(|line| gauge(line, name))
            .collect();
        if let Some(wanted) = self.plugin.as_deref().map(plain) {
            let is_there = gauges.keys().any(|plugin| plain(plugin) == wanted);
            gauges.retain(|plugin, _| {
                let plugin = plain(plugin);
                plugin == wanted || !is_there && plugin.contains(&wanted)
            });
        }
        gauges
    }

    fn answer(&self, states: &[State], is_settled: bool) -> Answer {
        let gateways: Vec<_> = self.urls.iter().zip(states).collect();
        let json: Vec<_> = gateways
            .iter()
            .map(|(url, state)| json!({"url": url, "state": state.name(), "text": state.to_string()}))
            .collect();
        Answer {
            verdict: Verdict::of(is_settled),
            text: if is_settled {
                format!(
                    "revision {} is in force in {} gateways",
                    self.revision,
                    states.len()
                )
            } else {
                self.lines_of_late(&gateways).join("\n")
            },
            json: json!({"revision": self.revision, "inForce": is_settled, "gateways": json}),
        }
    }

    fn lines_of_late(&self, gateways: &[(&String, &State)]) -> Vec<String> {
        let late = gateways.iter().filter(|(_, state)| !state.is_settled());
        let first = format!(
            "revision {} is not in force everywhere after {}:",
            self.revision,
            humantime::format_duration(self.timeout)
        );
        std::iter::once(first)
            .chain(late.map(|(url, state)| format!("  {url} {state}")))
            .collect()
    }
}

/// Plugin and value of a line of the Prometheus text format
/// ([exposition formats](https://prometheus.io/docs/instrumenting/exposition_formats/)) that shows this
/// gauge. Where the gateway has no tag expression for `plugin`, the plugin stands in the name itself:
/// `plugin___shop____skew_guard_config_revision`.
fn gauge(line: &str, name: &str) -> Option<(String, u64)> {
    let (series, value) = line.trim().rsplit_once(' ')?;
    let (metric, labels) = match series.split_once('{') {
        Some((metric, labels)) => (metric, labels),
        None => (series, ""),
    };
    let before = metric.trim().strip_suffix(name)?;
    let labelled = labels
        .split_once("plugin=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let plugin = match labelled {
        Some((plugin, _)) => plugin,
        None => before.trim_start_matches("plugin").trim_matches('_'),
    };
    Some((plugin.to_owned(), value.parse().ok()?))
}

/// A plugin's name as it is in a metric's name, where everything but letters and digits is an
/// underscore.
fn plain(plugin: &str) -> String {
    plugin
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect()
}
