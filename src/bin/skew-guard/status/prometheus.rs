//! What a Prometheus server remembers: when a release was last asked for.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::counts::IdleTime;

/// How far back it is asked, and in which steps.
const WINDOW: u64 = 24 * 60 * 60;
const STEP: u64 = 15;

/// How long to wait for it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A server.
#[derive(Clone, Debug)]
pub struct Prometheus(String);

/// A release, and what gateways say of it now.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseQuery<'a> {
    /// What the plugin may be called; empty for any.
    pub plugins: &'a [String],
    pub route: &'a str,
    /// Its requests since the gateways started.
    pub total: u64,
}

/// What its API answers
/// ([range queries](https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries)).
#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

/// Times and values.
#[derive(Clone, Debug, Deserialize)]
struct Series {
    values: Vec<(f64, String)>,
}

impl Prometheus {
    /// The server at that URL.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub fn at(url: &str) -> Result<Self> {
        ensure!(
            url.starts_with("http://"),
            "--prometheus {url}: Prometheus is asked over plain HTTP, http://…; kubectl port-forward reaches one in a cluster"
        );
        Ok(Self(url.trim_end_matches('/').to_owned()))
    }

    /// How long nobody has asked for a release.
    ///
    /// # Errors
    /// If the server does not know.
    pub fn idle(&self, query: ReleaseQuery<'_>, now: u64) -> Result<IdleTime> {
        let series = self.history(query, now)?;
        ensure!(
            !series.is_empty(),
            "it has no skew_guard_requests_total of {}: are the gateways scraped, and relabelled where they have no tags?",
            query.route
        );
        let known: u64 = series.iter().filter_map(|series| series.latest(now)).sum();
        ensure!(
            known >= query.total,
            "it has {known} requests of {}, and the gateways have {}: it does not scrape all of them, or the newest came after its last scrape",
            query.route,
            query.total
        );
        Ok(idle(&series, now))
    }

    fn history(&self, query: ReleaseQuery<'_>, now: u64) -> Result<Vec<Series>> {
        let url = format!("{}/api/v1/query_range", self.0);
        let mut answer = ureq::get(&url)
            .query("query", promql(query))
            .query("start", now.saturating_sub(WINDOW).to_string())
            .query("end", now.to_string())
            .query("step", STEP.to_string())
            .config()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .build()
            .call()?;
        let text = answer.body_mut().read_to_string()?;
        let answer: Answer =
            serde_json::from_str(&text).with_context(|| format!("{url} is not a Prometheus"))?;
        match (answer.data, answer.error) {
            (Some(data), None) => Ok(data.result),
            (_, error) => bail!(error.unwrap_or_else(|| "it has no data".to_owned())),
        }
    }
}

/// The requests of a release. Where the gateway has no tags, relabelling has left underscores in the plugin's name.
fn promql(query: ReleaseQuery<'_>) -> String {
    let any = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '.'
        }
    };
    let plugins: Vec<String> = query
        .plugins
        .iter()
        .map(|plugin| plugin.chars().map(any).collect())
        .collect();
    let plugin = if plugins.is_empty() {
        String::new()
    } else {
        format!(",plugin=~\"(.*[._])?({})\"", plugins.join("|"))
    };
    format!(
        "skew_guard_requests_total{{release=\"{}\"{plugin}}}",
        query.route
    )
}

/// For how long none of these has grown. What a series had when it began may have come at that moment,
/// and before the first of them nothing is known.
fn idle(series: &[Series], now: u64) -> IdleTime {
    let ago = |time: f64| Duration::from_secs_f64((to_seconds(now) - time).max(0.0));
    let grown = series
        .iter()
        .filter_map(Series::last_growth)
        .reduce(f64::max);
    let began = series.iter().filter_map(Series::began);
    let begins = began.clone().map(|(time, _)| time).reduce(f64::min);
    let with_requests = began.filter(|(_, value)| *value > 0).map(|(time, _)| time);
    let unknown = with_requests
        .reduce(f64::max)
        .or(begins)
        .map(ago)
        .unwrap_or_default();
    match grown.map(ago) {
        Some(grown) if grown <= unknown => IdleTime::Since(grown),
        _ => IdleTime::AtLeast(unknown),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 are far below 2^52"
)]
fn to_seconds(time: u64) -> f64 {
    time as f64
}

impl Series {
    fn points(&self) -> impl Iterator<Item = (f64, u64)> + Clone {
        let values = self.values.iter();
        values.filter_map(|(time, value)| Some((*time, value.parse().ok()?)))
    }

    /// When it last had more than before; one that begins again and has some has got them since.
    fn last_growth(&self) -> Option<f64> {
        let points = self.points();
        let pairs = points.clone().zip(points.skip(1));
        let grown = pairs
            .filter(|((_, before), (_, after))| after > before || after < before && *after > 0);
        grown.map(|(_, (time, _))| time).last()
    }

    fn began(&self) -> Option<(f64, u64)> {
        self.points().next()
    }

    /// Its value now, where it is still there.
    fn latest(&self, now: u64) -> Option<u64> {
        let (time, value) = self.points().last()?;
        (time > to_seconds(now.saturating_sub(STEP))).then_some(value)
    }
}
