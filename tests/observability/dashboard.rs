//! `envoy/observability/dashboard.json`: its queries, and whether Grafana would accept it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use skew_guard_lab::prometheus::{Prometheus, Series};

/// Relative to the package, where Cargo starts tests.
const FILE: &str = "envoy/observability/dashboard.json";
/// Where npm has put `@grafana/schema`, the types that Grafana generates from its own schema.
const GRAFANA: &str = "tests/observability/grafana/node_modules";
const SCHEMA: &str = "@grafana/schema/dist/types/raw";

/// The parts of a dashboard that are queried and drawn here.
#[derive(Debug, Deserialize)]
pub struct Dashboard {
    pub panels: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Panel {
    pub title: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub grid_pos: GridPos,
    pub targets: Vec<Target>,
    pub field_config: Value,
    #[serde(default)]
    pub transformations: Vec<Value>,
}

/// A place, in columns of 24 and rows.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct GridPos {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    pub ref_id: String,
    pub expr: String,
    pub instant: bool,
    pub legend_format: Option<String>,
}

/// What the queries of a panel returned, in order.
pub type Answers = Vec<Vec<Series>>;

impl Dashboard {
    pub fn read() -> Result<Self> {
        Ok(serde_json::from_value(json()?)?)
    }

    /// Runs all queries of each panel as Grafana would for that time, from and to in seconds since 1970.
    pub async fn ask(&self, prometheus: &Prometheus, time: (f64, f64)) -> Result<Vec<Answers>> {
        let mut panels = Vec::new();
        for panel in &self.panels {
            let mut answers = Vec::new();
            for target in &panel.targets {
                answers.push(target.ask(prometheus, time).await?);
            }
            panels.push(answers);
        }
        Ok(panels)
    }
}

impl Target {
    async fn ask(&self, prometheus: &Prometheus, time: (f64, f64)) -> Result<Vec<Series>> {
        let expression = self.expression(time.1 - time.0);
        let (from, to) = time;
        // Whole steps before the end, so that the last value is the one at the end.
        let seconds = if self.instant {
            0.0
        } else {
            (to - from).floor()
        };
        prometheus
            .query_range(&expression, (to - seconds, to), 1.0)
            .await
    }

    /// With Grafana's variables filled in, for a scrape each second.
    fn expression(&self, seconds: f64) -> String {
        self.expr
            .replace("$plugin", ".*")
            .replace("$__rate_interval", "5s")
            .replace("[5m]", "[10s]")
            .replace("$__range", &format!("{seconds:.0}s"))
    }
}

/// Checked with `@grafana/schema`, which knows only Grafana's own keys: the dashboard, and the options and fields
/// of each panel with that panel's schema.
#[test]
fn grafana_takes_the_dashboard() -> Result<()> {
    let dashboard = json()?;
    conforms(&dashboard, &types("dashboard")?, "Dashboard")?;
    let mut types_of = BTreeMap::new();
    for panel in dashboard["panels"].as_array().context("panels")? {
        let kind = panel["type"].as_str().context("a type")?;
        if !types_of.contains_key(kind) {
            let folder = format!("composable/{}/panelcfg", kind.replace('-', ""));
            types_of.insert(kind, types(&folder)?);
        }
        conforms(&panel["options"], &types_of[kind], "Options")?;
        let fields = &panel["fieldConfig"]["defaults"]["custom"];
        if !fields.is_null() {
            conforms(fields, &types_of[kind], "FieldConfig")?;
        }
    }
    Ok(())
}

#[test]
fn panels_do_not_overlap_and_have_numbers_of_their_own() -> Result<()> {
    let dashboard = json()?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let mut taken = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for panel in panels {
        assert!(numbers.insert(panel["id"].to_string()), "{panel}");
        let at = |key: &str| panel["gridPos"][key].as_u64().context("a place");
        for row in at("y")?..at("y")? + at("h")? {
            for column in at("x")?..at("x")? + at("w")? {
                assert!(column < 24, "{} is too wide", panel["title"]);
                assert!(taken.insert((row, column)), "{} overlaps", panel["title"]);
            }
        }
    }
    Ok(())
}

fn json() -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(FILE)?)?)
}

fn conforms(value: &Value, types: &Value, name: &str) -> Result<()> {
    let mut schema = types.clone();
    schema["$ref"] = format!("#/definitions/{name}").into();
    let validator = jsonschema::validator_for(&schema)?;
    let problems: Vec<_> = validator
        .iter_errors(value)
        .map(|problem| format!("{}: {problem}", problem.instance_path()))
        .collect();
    ensure!(problems.is_empty(), "no {name}: {problems:#?}");
    Ok(())
}

/// The types in one of Grafana's folders, as definitions of a JSON Schema.
fn types(folder: &str) -> Result<Value> {
    let modules = Path::new(GRAFANA);
    let output = Command::new(modules.join(".bin/ts-json-schema-generator"))
        .args(["--no-type-check", "--path"])
        .arg(modules.join(SCHEMA).join(folder).join("x/types.gen.d.ts"))
        .output()
        .context("`make test-observability` installs it, with npm")?;
    ensure!(
        output.status.success(),
        "{folder}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}
