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

/// By these Envoy says how many listeners, and parts of listeners, wait for their connections to end.
const DRAINING: [&str; 2] = [
    "envoy_listener_manager_total_listeners_draining",
    "envoy_listener_manager_total_filter_chains_draining",
];

/// A gauge stays when its plugin has gone; the metric of this name, which Envoy has for each Wasm plugin
/// that is there, does not (seen on 1.36 to 1.40).
const ALIVE: (&str, &str) = ("envoy_wasm_", "_vm_reload");
/// What a plugin has behind its name there where Istio made it of a `WasmPlugin` (1.30 and later).
const ISTIO_SUFFIX: &str = "_istio_translated_wasmplugin";

/// A gateway's workers follow its main thread by moments, so that one look is not enough.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
const LOOKS: u32 = 2;

/// In bytes. A gateway of a large mesh has a hundred megabytes of metrics.
const LARGEST_METRICS: u64 = 1 << 30;

/// Wait until every gateway has a configuration in force
///
/// Looks at the Prometheus metrics of each gateway until skew_guard_config_revision shows the
/// revision in two looks two seconds apart, and skew_guard_config_refused shows that it was not
/// refused. Exits with 1 where that has not come true within the time limit. That a plugin was
/// uninstalled is seen by envoy_wasm_<plugin>_vm_reload, where the gateway shows any such metric; else
/// the gauge that it leaves behind cannot be told from a living one. A gateway that is not among the
/// URLs is not waited for.
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
    /// The plugin's name, with or without its namespace, where several run in one gateway
    #[arg(long)]
    plugin: Option<String>,
    /// Also wait until no listener or filter chain drains: without ECDS, connections that were open
    /// keep the configuration before until then. What drains for another application's sake is waited
    /// for too
    #[arg(long)]
    drained: bool,
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
    /// The revision is in force, and so many listeners and filter chains have old connections.
    Draining(u64),
    /// Whether something drains is not shown.
    Undrained,
    /// Of this plugin only the gauge is left.
    Gone(String),
    /// The plugin that was named is not there, but these are.
    Others(Vec<String>),
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
            Self::Draining(count) => write!(
                f,
                "has it in force for new connections, and {count} listeners or filter chains still drain: connections that were open keep what was before until Envoy's drain time is over (--drain-time-s, by default 10 minutes). A change of another application's listener keeps this up too"
            ),
            Self::Undrained => write!(f, "shows no {}", DRAINING.join(" and no ")),
            Self::Gone(plugin) => write!(
                f,
                "has no plugin {plugin} any more: the revision that it shows was left behind"
            ),
            Self::Others(plugins) => write!(
                f,
                "does not have the plugin; it has: {}",
                plugins.join(", ")
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
            Self::Draining(_) => "draining",
            Self::Undrained => "undrained",
            Self::Gone(_) => "gone",
            Self::Others(_) => "others",
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
        let revisions = gauges(metrics, REVISION);
        let named = revisions.keys().filter(|plugin| self.means(plugin));
        let (alive, gone): (Vec<_>, Vec<_>) = named.partition(|plugin| plugin.is_alive(metrics));
        let plugin = match (alive.as_slice(), gone.first()) {
            ([plugin], _) => *plugin,
            ([], Some(gone)) => return State::Gone(gone.name.clone()),
            ([], None) if revisions.is_empty() => return State::Absent,
            ([], None) => return State::Others(names(revisions.keys())),
            (several, _) => return State::Several(names(several.iter().copied())),
        };
        let refused = gauges(metrics, REFUSED);
        let revision = revisions.get(plugin).copied().unwrap_or_default();
        if refused.get(plugin).is_some_and(|refused| *refused != 0) {
            State::Refused(revision)
        } else if revision != self.revision {
            State::Other(revision)
        } else if self.drained {
            drain(metrics)
        } else {
            State::InForce(1)
        }
    }

    fn means(&self, plugin: &Plugin) -> bool {
        self.plugin
            .as_deref()
            .is_none_or(|wanted| plugin.is_called(wanted))
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

/// A plugin that shows a gauge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Plugin {
    name: String,
    /// Whether the name was read from the metric's name, where everything but letters and digits is an
    /// underscore: the gateway has no tag expression for `plugin`.
    is_plain: bool,
}

impl Plugin {
    /// Whether a person may call it so. Istio puts the namespace before the name: `shop.skew-guard`.
    fn is_called(&self, wanted: &str) -> bool {
        if self.is_plain {
            return self.name == plain(wanted).trim_matches('_');
        }
        let without_namespace = self.name.split_once('.').map(|(_, name)| name);
        self.name == wanted || without_namespace == Some(wanted)
    }

    /// Whether Envoy has it; what cannot be told is taken for a yes.
    fn is_alive(&self, metrics: &str) -> bool {
        let mut loaded = metrics.lines().filter_map(loaded_plugin).peekable();
        let name = plain(&self.name);
        loaded.peek().is_none()
            || loaded.any(|loaded| {
                let loaded = loaded.strip_suffix(ISTIO_SUFFIX).unwrap_or(loaded);
                loaded.trim_matches('_') == name.trim_matches('_')
            })
    }
}

fn names<'p>(plugins: impl Iterator<Item = &'p Plugin>) -> Vec<String> {
    plugins.map(|plugin| plugin.name.clone()).collect()
}

/// The name of a Wasm plugin that Envoy has, where the line says one.
fn loaded_plugin(line: &str) -> Option<&str> {
    let (prefix, suffix) = ALIVE;
    let (metric, _) = line.split_once(['{', ' '])?;
    metric.strip_prefix(prefix)?.strip_suffix(suffix)
}

/// Whether old connections are left, by all that drains in the gateway.
fn drain(metrics: &str) -> State {
    let draining = DRAINING.map(|name| metrics.lines().find_map(|line| gauge(line, name)));
    match draining {
        [None, None] => State::Undrained,
        counted => match counted.into_iter().flatten().map(|(_, count)| count).sum() {
            0 => State::InForce(1),
            count => State::Draining(count),
        },
    }
}

/// The values of a gauge, by plugin.
fn gauges(metrics: &str, name: &str) -> BTreeMap<Plugin, u64> {
    metrics
        .lines()
        .filter_map(|line| gauge(line, name))
        .collect()
}

/// Plugin and value of a line of the Prometheus text format
/// ([exposition formats](https://prometheus.io/docs/instrumenting/exposition_formats/)) that shows this
/// gauge. Where the gateway has no tag expression for `plugin`, the plugin stands in the name itself:
/// `plugin___shop____skew_guard_config_revision`.
fn gauge(line: &str, name: &str) -> Option<(Plugin, u64)> {
    let (series, value) = line.trim().rsplit_once(' ')?;
    let (metric, labels) = match series.split_once('{') {
        Some((metric, labels)) => (metric, labels),
        None => (series, ""),
    };
    let before = metric.trim().strip_suffix(name)?;
    let labelled = labels
        .split_once("plugin=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let plugin = Plugin {
        is_plain: labelled.is_none(),
        name: match labelled {
            Some((plugin, _)) => plugin.to_owned(),
            None => before
                .trim_start_matches("plugin")
                .trim_matches('_')
                .to_owned(),
        },
    };
    Some((plugin, value.parse().ok()?))
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
