//! The rules alone: what `promtool` says about them, and that each has a test and a runbook.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use skew_guard_lab::markdown::Document;
use skew_guard_lab::prometheus::promtool;

/// Relative to the package, where Cargo starts tests.
const RULES: &str = "envoy/observability/rules.yaml";
const TESTS: &str = "tests/observability/rules.test.yaml";
const RUNBOOKS: &str = "envoy/observability/README.md";

#[derive(Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// <https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/#rule>
#[derive(Deserialize)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// <https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/>
#[derive(Deserialize)]
struct Tests {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    promql_expr_test: Vec<Question>,
    #[serde(default)]
    alert_rule_test: Vec<Alarm>,
}

#[derive(Deserialize)]
struct Question {
    expr: String,
    exp_samples: Vec<Value>,
}

#[derive(Deserialize)]
struct Alarm {
    alertname: String,
    exp_alerts: Vec<Value>,
}

#[test]
fn promtool_finds_nothing_wrong_in_the_rules() -> Result<()> {
    promtool(&["check", "rules", RULES]).map(drop)
}

#[test]
fn every_rule_says_what_its_tests_say() -> Result<()> {
    promtool(&["test", "rules", TESTS]).map(drop)
}

#[test]
fn every_alert_is_tested_when_it_fires_and_when_it_is_silent() -> Result<()> {
    let cases = read::<Tests>(TESTS)?.tests;
    let alarms: Vec<_> = cases
        .iter()
        .flat_map(|case| &case.alert_rule_test)
        .collect();
    for alert in alerts()? {
        let of_it = || alarms.iter().filter(|alarm| alarm.alertname == alert.name);
        assert!(
            of_it().any(|alarm| !alarm.exp_alerts.is_empty()),
            "no test in which {} fires",
            alert.name
        );
        assert!(
            of_it().any(|alarm| alarm.exp_alerts.is_empty()),
            "no test in which {} is silent",
            alert.name
        );
    }
    Ok(())
}

#[test]
fn every_recorded_series_is_tested_with_samples() -> Result<()> {
    let cases = read::<Tests>(TESTS)?.tests;
    let asked: BTreeSet<_> = cases
        .iter()
        .flat_map(|case| &case.promql_expr_test)
        .filter(|question| !question.exp_samples.is_empty())
        .filter_map(|question| question.expr.split('{').next())
        .collect();
    for series in rules()?.into_iter().filter_map(|rule| rule.record) {
        assert!(asked.contains(series.as_str()), "no test asks for {series}");
    }
    Ok(())
}

#[test]
fn every_alert_names_its_runbook_and_every_runbook_its_alert() -> Result<()> {
    let document = Document::read(RUNBOOKS)?;
    let prefix = "skewguard";
    let there: BTreeSet<_> = document
        .anchors
        .iter()
        .filter(|anchor| anchor.starts_with(prefix))
        .map(|anchor| format!("{RUNBOOKS}#{anchor}"))
        .collect();
    let named: BTreeSet<_> = alerts()?.into_iter().map(|alert| alert.runbook).collect();
    assert_eq!(there, named);
    Ok(())
}

/// What the rules combine with the filter's series must come from the same job: anything that the PodMonitor drops
/// silences an alert.
#[test]
fn the_charts_pod_monitor_keeps_what_the_rules_look_at_on_a_gateway() -> Result<()> {
    let monitor = fs::read_to_string("istio/templates/podmonitor.yaml")?;
    let kept = monitor
        .lines()
        .find_map(|line| line.trim().strip_prefix("regex: skew_guard_.+|"))
        .context("no series are kept")?;
    let is_kept = |name: &str| {
        kept.split('|')
            .any(|pattern| match pattern.strip_suffix(".+") {
                Some(beginning) => name.starts_with(beginning),
                None => name == pattern,
            })
    };
    let rules = fs::read_to_string(RULES)?;
    let names = rules
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("envoy_") || word.starts_with("istio_"))
        // A label.
        .filter(|word| *word != "envoy_route");
    let lost: BTreeSet<_> = names.filter(|name| !is_kept(name)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    Ok(())
}

struct Alert {
    name: String,
    runbook: String,
}

fn alerts() -> Result<Vec<Alert>> {
    let mut alerts = Vec::new();
    for mut rule in rules()? {
        if let Some(name) = rule.alert {
            let runbook = rule.annotations.remove("runbook");
            let runbook = runbook.with_context(|| format!("{name} has no runbook"))?;
            alerts.push(Alert { name, runbook });
        }
    }
    Ok(alerts)
}

fn rules() -> Result<Vec<Rule>> {
    let groups = read::<File>(RULES)?.groups;
    Ok(groups.into_iter().flat_map(|group| group.rules).collect())
}

fn read<T: DeserializeOwned>(file: impl AsRef<Path>) -> Result<T> {
    let file = file.as_ref();
    let text = fs::read_to_string(file)?;
    serde_saphyr::from_str(&text).with_context(|| file.display().to_string())
}
