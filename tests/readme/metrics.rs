//! What the documents say about metrics, details and tested versions.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;
use skew_guard::config::Config;
use skew_guard::decision::Outcome;
use skew_guard::policy::Policy;
use skew_guard::request::Class;
use skew_guard::telemetry::{
    self, AnswerKind, MAX_SERIES_OF_A_RELEASE, PREDEFINED_SERIES_OF_A_RELEASE, ReleaseState,
};
use skew_guard_lab::cluster::IstioLine;
use skew_guard_lab::envoy;
use skew_guard_lab::markdown::{Cell, Document};

use crate::Claim;
use crate::reload_answer::reply_to;

pub const CLAIMS: &[Claim] = &[
    (
        "the table of the metrics has every metric with its tags",
        metrics_are_produced,
    ),
    (
        "outcomes, classes and kinds of answers are those that exist",
        tag_values_are_counted,
    ),
    (
        "the numbers of a release's state are correct",
        stages_are_shown,
    ),
    (
        "the initial and the maximal number of series are correct",
        series_are_counted,
    ),
    (
        "the response code details are the filter's",
        details_are_given,
    ),
];

pub const VERSIONS: &[Claim] = &[(
    "the versions of Envoy and Istio are the tested ones",
    versions_are_tested,
)];

pub const LINES_OF_ISTIO: &[Claim] = &[(
    "the versions of Istio are the tested ones",
    lines_of_istio_are_tested,
)];

fn metrics_are_produced(page: &Document) -> Result<()> {
    let named: BTreeSet<_> = rows(page)?
        .iter()
        .filter_map(|row| row.first()?.code.first().cloned())
        .collect();
    let produced = [
        telemetry::requests("shop", None, Outcome::Pinned, Class::Api),
        telemetry::answers("shop", None, AnswerKind::Gone),
        telemetry::open_streams("shop", None),
        telemetry::release_state("shop", "v1-4-2"),
        telemetry::revision("shop"),
        telemetry::refused("shop"),
        telemetry::refusals("shop"),
    ];
    let produced: BTreeSet<_> = produced.iter().map(|stat| as_prometheus(stat)).collect();
    ensure!(named == produced, "the filter has {produced:#?}");
    Ok(())
}

/// `release=.=v1;.;class=.=api;.;requests_total` is `requests_total{release,class}`.
fn as_prometheus(stat: &str) -> String {
    let mut parts: Vec<_> = stat.split(";.;").collect();
    let name = parts.pop().unwrap_or_default();
    let tags: Vec<_> = parts
        .iter()
        .filter_map(|part| Some(part.split_once("=.=")?.0))
        .collect();
    format!("{name}{{{}}}", tags.join(","))
}

fn tag_values_are_counted(page: &Document) -> Result<()> {
    let requests = meaning_of(page, "skew_guard_requests_total")?;
    let known = Outcome::ALL.map(Outcome::name).into_iter();
    let known = known.chain(Class::ALL.map(Class::name));
    ensure!(
        requests.code == known.collect::<Vec<_>>(),
        "{:?}",
        requests.code
    );
    let answers = meaning_of(page, "skew_guard_answers_total")?;
    ensure!(
        answers.code == AnswerKind::ALL.map(AnswerKind::name),
        "{:?}",
        answers.code
    );
    Ok(())
}

fn stages_are_shown(page: &Document) -> Result<()> {
    let meaning = meaning_of(page, "skew_guard_release_state")?;
    let shown = ReleaseState::ALL.map(|stage| format!("{} {}", stage.number(), stage.name()));
    let shown = shown.join(", ");
    ensure!(meaning.text.contains(&shown), "{shown}");
    Ok(())
}

fn series_are_counted(page: &Document) -> Result<()> {
    let text = page.text.replace('\n', " ");
    let max_series = telemetry::max_series(256);
    for claim in [
        format!("{PREDEFINED_SERIES_OF_A_RELEASE} series of each release"),
        format!("at most {MAX_SERIES_OF_A_RELEASE} of a release"),
        format!(
            "{},{:03} with 256 releases",
            max_series / 1000,
            max_series % 1000
        ),
    ] {
        ensure!(text.contains(&claim), "{claim}");
    }
    Ok(())
}

/// A client that is gone, for each possible reason.
fn details_are_given(page: &Document) -> Result<()> {
    let configuration = json!({
        "releases": [{ "version": "2.0.0" }, { "version": "1.4.2", "state": "retired" }],
        "current": "2.0.0",
        "denied": ["1.9.0"],
        "minVersion": "1.2.0",
    });
    let policy = Config::load(configuration.to_string().as_bytes())
        .map(Policy::from)
        .map_err(|problems| anyhow!("{problems}"))?;
    for (client, reason) in [
        ("1.4.2", "retired"),
        ("1.9.0", "denied"),
        ("1.1.0", "below_minimum"),
        ("1.5.0", "unknown"),
    ] {
        let given = reply_to(&policy, client)?.details;
        ensure!(given == format!("skew_guard_{reason}"), "{client}: {given}");
        ensure!(
            page.code.iter().any(|code| code == given),
            "`{given}` is not named"
        );
    }
    Ok(())
}

fn versions_are_tested(readme: &Document) -> Result<()> {
    let [first, last] = [envoy::VERSIONS.first(), envoy::VERSIONS.last()]
        .map(|version| version.and_then(|version| version.rsplit_once('.')))
        .map(|version| version.map_or("", |(line, _)| line));
    let claim = format!(
        "(tested with Envoy {first} to {last}, and Istio {})",
        lines_of_istio()
    );
    let text = readme.text.replace('\n', " ");
    ensure!(text.contains(&claim), "{claim}");
    Ok(())
}

fn lines_of_istio_are_tested(chart: &Document) -> Result<()> {
    let claim = format!("Istio (tested: {};", lines_of_istio());
    let text = chart.text.replace('\n', " ");
    ensure!(text.contains(&claim), "{claim}");
    Ok(())
}

fn lines_of_istio() -> String {
    let mut lines = IstioLine::ALL.map(IstioLine::name);
    lines.sort_unstable();
    lines.join(" and ")
}

fn meaning_of<'a>(page: &'a Document, metric: &str) -> Result<&'a Cell> {
    rows(page)?
        .iter()
        .find(|row| {
            row.first()
                .is_some_and(|name| name.text.starts_with(metric))
        })
        .and_then(|row| row.get(1))
        .with_context(|| format!("a row of {metric}"))
}

fn rows(page: &Document) -> Result<&Vec<Vec<Cell>>> {
    Ok(&page.table("metric")?.rows)
}
