//! `skew-guard status`: which release answers what, and whether the old one may go.

mod counts;
mod list;
mod next;
pub mod pods;
mod prometheus;
mod release;
mod report;
mod scrape;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use skew_guard::rollout::LoadedConfig;

use crate::answer::Answer;
use crate::cluster::{Access, Connections, Gateways, Installation, Kubectl, Problem};
use crate::documents;
use crate::seconds;
use crate::step::DRAIN_FOR;
use crate::wait::gateway_state::{GatewayState, Routes};
use crate::wait::source::Source;

use counts::History;
use next::Place;
use prometheus::Prometheus;
use release::{Pods, RetirementCriteria, counted};
use report::Report;
use scrape::{Expected, GatewayStatus, scrape};

/// Show which release answers what, and whether an old one may go
///
/// Looks at the metrics of every gateway twice, and says what is in force there, how many requests
/// each release got in between and why, its open streams, its answers from the wrong release
/// (skewed) and to pages that have to be reloaded (gone), both since the gateways started; then the
/// next step and what it is waiting for, and whether each draining release may be retired: if it
/// had no request for --idle-for and has no open stream, or is past its until.
///
/// Metrics have no memory: what came before the first look, only a Prometheus that scrapes all gateways knows
/// (--prometheus; it is asked about the last day). With --helm-release it finds the gateways, the list and the pods of
/// each release through kubectl; with URLs it asks those, and takes versions, until and the next step from --config.
///
/// Exits with 1 if a gateway cannot be asked, is behind or refuses its configuration, or if an
/// answer was skewed in between.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard status --helm-release shop --namespace shop
  skew-guard status --helm-release shop --namespace shop --watch
  skew-guard status --config shop.json http://127.0.0.1:9901/stats/prometheus
  skew-guard status --prometheus http://prometheus:9090 http://10.0.3.4:15020/stats/prometheus")]
pub struct Status {
    /// The Helm release of the chart
    #[arg(long, value_name = "NAME", required_unless_present = "urls")]
    helm_release: Option<String>,
    /// The metrics of each gateway (http only), if the cluster is not asked
    #[arg(value_name = "URL", conflicts_with = "helm_release")]
    urls: Vec<String>,
    /// The plugin's name, with or without its namespace, if several run in one gateway
    #[arg(long, conflicts_with = "helm_release")]
    plugin: Option<String>,
    /// The file with the list of releases
    #[arg(long, value_name = "FILE", conflicts_with = "helm_release")]
    config: Option<PathBuf>,
    /// Keep looking until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// The time between two looks
    #[arg(long, default_value = "5s", value_parser = parse_interval)]
    interval: Duration,
    /// How long a release must not have been asked for before it may be retired
    #[arg(long, default_value = "30m", value_parser = humantime::parse_duration)]
    idle_for: Duration,
    /// The Prometheus server that knows the past (http only)
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    #[command(flatten)]
    gateways: Gateways,
    #[command(flatten)]
    access: Access,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if interval < Duration::from_secs(1) {
        return Err("at least a second".to_owned());
    }
    Ok(interval)
}

/// Where everything is found.
enum DataSource {
    Urls,
    Cluster {
        kubectl: Kubectl,
        namespace: String,
        helm_release: String,
        connections: Arc<Connections>,
    },
}

/// What the list says, as it is now.
#[derive(Default)]
struct Snapshot {
    loaded: Option<LoadedConfig>,
    /// By route.
    pods: Option<BTreeMap<String, Vec<Pods>>>,
    gateways: Vec<GatewayStatus>,
    /// The plugin, where it is named.
    plugins: Vec<String>,
}

impl Status {
    /// Runs the command. `tell` is given each answer but the last, and says whether anybody listens.
    pub fn run(
        &self,
        progress: &mut dyn FnMut(String),
        tell: &mut dyn FnMut(&Answer) -> Result<bool>,
    ) -> Result<Answer> {
        let prometheus = self.prometheus.as_deref().map(Prometheus::at).transpose()?;
        let data_source = self.data_source()?;
        let started = Instant::now();
        let mut history = History::default();
        let mut before = self
            .snapshot(&data_source)?
            .seen(&mut history, Duration::ZERO, &[]);
        let between = humantime::format_duration(self.interval);
        progress(format!("counting requests for {between} ..."));
        loop {
            thread::sleep(self.interval);
            let (snapshot, problems) = match self.snapshot(&data_source) {
                Ok(snapshot) => (snapshot, Vec::new()),
                Err(error) if self.watch && is_transient(&error) => {
                    (Snapshot::default(), vec![format!("{error:#}")])
                }
                Err(error) => return Err(error),
            };
            if problems.is_empty() {
                before = snapshot.seen(&mut history, started.elapsed(), &before.gateways);
            }
            let mut report = self.report(&data_source, &before, &history, problems);
            if let Some(prometheus) = &prometheus {
                report.look_up_idle_times(prometheus, &before.plugins);
            }
            let answer = report.answer();
            if !self.watch || !tell(&answer)? {
                return Ok(answer);
            }
        }
    }

    fn data_source(&self) -> Result<DataSource> {
        let Some(helm_release) = &self.helm_release else {
            return Ok(DataSource::Urls);
        };
        let kubectl = Kubectl::find(&self.access)?;
        Ok(DataSource::Cluster {
            namespace: kubectl.namespace()?,
            helm_release: helm_release.clone(),
            connections: Arc::new(Connections::through(kubectl.clone())),
            kubectl,
        })
    }

    /// Everything there is to know at this moment.
    fn snapshot(&self, data_source: &DataSource) -> Result<Snapshot> {
        match data_source {
            DataSource::Urls => self.snapshot_of_urls(),
            DataSource::Cluster {
                kubectl,
                namespace,
                helm_release,
                connections,
            } => {
                let installation = Installation::of(kubectl, namespace, helm_release)?;
                let source = Source::Cluster {
                    kubectl,
                    installation: &installation,
                    gateways: &self.gateways,
                    connections: Arc::clone(connections),
                };
                let expected = Expected {
                    plugins: installation.plugin_names(),
                    revision: Some(installation.revision),
                    routes: Some(Routes {
                        stat_prefix: installation.stat_prefix.clone(),
                        hosts: installation.hosts.clone(),
                    }),
                };
                Ok(Snapshot {
                    loaded: installation.loaded().ok(),
                    pods: Some(pods::by_route(kubectl, &installation)?),
                    plugins: expected.plugins.clone(),
                    gateways: scrape(&source, &expected)?,
                })
            }
        }
    }

    fn snapshot_of_urls(&self) -> Result<Snapshot> {
        let read = |file| -> Result<LoadedConfig> { Ok(documents::read_one(file)?.load_valid()?) };
        let loaded = self.config.as_deref().map(read).transpose()?;
        let expected = Expected {
            plugins: self.plugin.iter().cloned().collect(),
            revision: loaded.as_ref().and_then(|loaded| loaded.config.revision),
            routes: None,
        };
        let source = Source::urls(&self.urls, &self.access, &self.gateways)?;
        Ok(Snapshot {
            gateways: scrape(&source, &expected)?,
            pods: None,
            plugins: self.plugin.iter().cloned().collect(),
            loaded,
        })
    }

    fn report(
        &self,
        data_source: &DataSource,
        snapshot: &Snapshot,
        history: &History,
        problems: Vec<String>,
    ) -> Report {
        let now = seconds(SystemTime::now());
        let unseen = snapshot.gateways.iter().filter(|seen| seen.is_unseen());
        let unseen = unseen.map(|seen| format!("{} {}", seen.gateway, seen.state));
        let unseen = unseen.chain(problems.iter().cloned());
        let loaded = snapshot.loaded.as_ref();
        Report {
            title: self.title(data_source, snapshot),
            interval: self.interval,
            releases: list::release_statuses(loaded, snapshot.pods.as_ref(), history),
            without_release: history.of("none"),
            next: loaded.and_then(|loaded| next::next(loaded, now, DRAIN_FOR)),
            place: loaded.and_then(|_| self.place(data_source)),
            criteria: RetirementCriteria {
                now,
                idle_for: self.idle_for,
                unseen: unseen.collect(),
            },
            gateways: snapshot.gateways.clone(),
            problems,
        }
    }

    /// Where the list is changed that was looked at.
    fn place(&self, data_source: &DataSource) -> Option<Place> {
        match data_source {
            DataSource::Cluster {
                namespace,
                helm_release,
                ..
            } => Some(Place::Cluster {
                namespace: namespace.clone(),
                helm_release: helm_release.clone(),
            }),
            DataSource::Urls => {
                let file = self.config.as_ref()?;
                Some(Place::File(file.display().to_string()))
            }
        }
    }

    fn title(&self, data_source: &DataSource, snapshot: &Snapshot) -> String {
        let revision = snapshot
            .loaded
            .as_ref()
            .and_then(|loaded| loaded.config.revision);
        let revision = revision.map_or(String::new(), |revision| format!(", revision {revision}"));
        match (data_source, &self.config) {
            (
                DataSource::Cluster {
                    namespace,
                    helm_release,
                    ..
                },
                _,
            ) => {
                format!("{helm_release} in namespace {namespace}{revision}")
            }
            (DataSource::Urls, Some(file)) => format!("{}{revision}", file.display()),
            (DataSource::Urls, None) => counted(self.urls.len(), "gateway"),
        }
    }
}

impl Snapshot {
    /// Remembers what was seen. A gateway counts as having it in force at the second look in a row.
    fn seen(mut self, history: &mut History, at: Duration, before: &[GatewayStatus]) -> Self {
        for seen in &mut self.gateways {
            let before = before.iter().find(|before| before.gateway == seen.gateway);
            let state = std::mem::replace(&mut seen.state, GatewayState::Absent);
            seen.state = state.after(before.map(|before| &before.state));
        }
        let counted = self.gateways.iter();
        let counted = counted.map(|seen| (seen.gateway.clone(), seen.counts.clone()));
        history.record(counted.collect(), at);
        self
    }
}

/// Whether that may be different at the next look.
fn is_transient(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(Problem::is_transient)
}
