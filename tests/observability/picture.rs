//! The dashboard as a picture of its queries' results, because a test does not have Grafana itself.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;
use skew_guard_lab::cargo;
use skew_guard_lab::picture::{
    self, Body, Panel as Drawn, Place, Plot, Series as Curve, Shape, Table, colour,
};
use skew_guard_lab::prometheus::Series;

use crate::dashboard::{Answers, Dashboard, GridPos, Panel, Target};

/// The picture that the documents show.
const SHOWN: &str = "envoy/observability/dashboard.svg";

/// The rows that an operator looks at first; those below show more of the same.
const ROWS: u32 = 28;
const COLUMN: u32 = 50;
const ROW: u32 = 32;
const MARGIN: u32 = 16;

/// Draws it to `target/observability/dashboard.svg`, for the time between these seconds since 1970.
pub fn write(dashboard: &Dashboard, answers: &[Answers], time: (f64, f64)) -> Result<()> {
    let mut panels = Vec::new();
    for (panel, answers) in dashboard.panels.iter().zip(answers) {
        if panel.grid_pos.y < ROWS {
            let body = panel.body(answers, time);
            let body = body.with_context(|| panel.title.clone())?;
            panels.push(Drawn {
                place: place(panel.grid_pos),
                title: panel.title.clone(),
                note: String::new(),
                body,
            });
        }
    }
    let folder = cargo::target().join("observability");
    fs::create_dir_all(&folder)?;
    let drawn = picture::svg(24 * COLUMN + 2 * MARGIN, ROWS * ROW + MARGIN, &panels)?;
    Ok(fs::write(folder.join("dashboard.svg"), drawn)?)
}

#[test]
fn the_picture_that_is_shown_has_the_panels_of_the_dashboard() -> Result<()> {
    let shown = fs::read_to_string(SHOWN)?;
    let titles: Vec<_> = Dashboard::read()?
        .panels
        .into_iter()
        .filter(|panel| panel.grid_pos.y < ROWS)
        .map(|panel| panel.title)
        .collect();
    let headings: Vec<_> = shown
        .lines()
        .filter(|line| titles.iter().any(|title| title == line))
        .collect();
    assert_eq!(
        headings, titles,
        "copy target/observability/dashboard.svg to {SHOWN}"
    );
    Ok(())
}

fn place(grid: GridPos) -> Place {
    Place {
        left: grid.x * COLUMN + MARGIN,
        top: grid.y * ROW + MARGIN,
        width: grid.w * COLUMN - MARGIN,
        height: grid.h * ROW - MARGIN,
    }
}

impl Panel {
    fn body(&self, answers: &Answers, time: (f64, f64)) -> Result<Body> {
        match self.kind.as_str() {
            "stat" => self.figure(answers),
            "table" => self.table(answers, time.1),
            _ => self.plot(answers, time),
        }
    }

    fn figure(&self, answers: &Answers) -> Result<Body> {
        let series = answers.first().and_then(|series| series.first());
        let last = series.and_then(|series| series.values.last());
        let (_, value) = last.context("a value")?;
        let unit = self.default("/unit");
        Ok(Body::Figure(written(*value, unit.as_str())))
    }

    fn plot(&self, answers: &Answers, (began, ended): (f64, f64)) -> Result<Body> {
        let shape = match self.default("/custom/stacking/mode").as_str() {
            Some("normal") => Shape::Areas,
            _ => Shape::Line,
        };
        let colours = colour::IN_TURN.into_iter().cycle();
        let curves = self.targets.iter().zip(answers);
        let curves =
            curves.flat_map(|(target, series)| series.iter().map(move |one| (target, one)));
        let series: Vec<_> = curves
            .zip(colours)
            .map(|((target, series), colour)| Curve {
                name: target.legend(series),
                colour,
                points: points(series, began, ended, shape),
            })
            .collect();
        let unit = self.default("/unit").as_str().map(str::to_owned);
        let states = self.default("/mappings").clone();
        Ok(Body::Plot(Plot {
            shape,
            ceiling: ceiling(&series, shape),
            series,
            seconds: ended - began,
            label: Box::new(move |value| {
                mapped(value, &states).unwrap_or_else(|| written(value, unit.as_deref()))
            }),
        }))
    }

    /// All queries side by side: a row for each set of labels, columns as in the panel.
    fn table(&self, answers: &Answers, now: f64) -> Result<Body> {
        let organize = self
            .transformations
            .iter()
            .find(|step| step["id"] == "organize");
        let options = &organize.context("columns")?["options"];
        let columns = options["indexByName"].as_object().context("columns")?;
        let mut columns: Vec<_> = columns.iter().collect();
        columns.sort_by_key(|(_, place)| place.as_u64());
        let mut rows: BTreeMap<_, BTreeMap<String, f64>> = BTreeMap::new();
        for (target, series) in self.targets.iter().zip(answers) {
            for one in series {
                let mut labels = one.labels.clone();
                labels.remove("__name__");
                let value = one.values.last().map(|(_, value)| *value);
                let cell = value.map(|value| (format!("Value #{}", target.ref_id), value));
                rows.entry(labels).or_default().extend(cell);
            }
        }
        let names: Vec<_> = columns
            .iter()
            .map(|(name, _)| {
                options["renameByName"][name.as_str()]
                    .as_str()
                    .unwrap_or(name)
            })
            .collect();
        let cells = rows.iter().map(|(labels, values)| {
            let cells = columns.iter().zip(&names).map(|((column, _), name)| {
                let value = values.get(column.as_str());
                let label = labels.get(column.as_str()).cloned().unwrap_or_default();
                value.map_or(label, |value| self.cell(name, *value, now))
            });
            cells.collect()
        });
        Ok(Body::Table(Table {
            rows: cells.collect(),
            header: names.iter().map(|name| (*name).to_owned()).collect(),
        }))
    }

    fn cell(&self, column: &str, value: f64, now: f64) -> String {
        let overrides = self.field_config["overrides"].as_array();
        let own = overrides.into_iter().flatten();
        let mut own = own.filter(|own| own["matcher"]["options"] == column);
        let properties = own.next().map_or(&Value::Null, |own| &own["properties"]);
        let property = |id: &str| {
            let properties = properties.as_array().into_iter().flatten();
            let mut properties = properties.filter(|property| property["id"] == id);
            properties
                .next()
                .map_or(&Value::Null, |property| &property["value"])
        };
        let unit = property("unit").as_str();
        if unit == Some("dateTimeFromNow") {
            return format!("{:.0} s ago", now - value / 1000.0);
        }
        mapped(value, property("mappings")).unwrap_or_else(|| written(value, unit))
    }

    fn default(&self, pointer: &str) -> &Value {
        let fields = self.field_config["defaults"].pointer(pointer);
        fields.unwrap_or(&Value::Null)
    }
}

impl Target {
    fn legend(&self, series: &Series) -> String {
        let format = self.legend_format.clone().unwrap_or_default();
        series.labels.iter().fold(format, |legend, (label, value)| {
            legend.replace(&format!("{{{{{label}}}}}"), value)
        })
    }
}

/// By seconds since the beginning. Areas need a point for each second: a missing one is 0.
fn points(series: &Series, began: f64, ended: f64, shape: Shape) -> Vec<(f64, f64)> {
    let known = series
        .values
        .iter()
        .map(|(time, value)| (time - began, *value));
    if shape == Shape::Line {
        return known.filter(|(_, value)| value.is_finite()).collect();
    }
    let known: BTreeMap<_, _> = known
        .map(|(second, value)| (second.round().to_string(), value))
        .collect();
    let seconds = std::iter::successors(Some(0.0), |second| Some(second + 1.0));
    seconds
        .take_while(|second| began + second <= ended)
        .map(|second: f64| {
            (
                second,
                known.get(&second.to_string()).copied().unwrap_or(0.0),
            )
        })
        .collect()
}

/// A little above the highest value.
fn ceiling(series: &[Curve], shape: Shape) -> f64 {
    let highest =
        |points: &[(f64, f64)]| points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let tops = series.iter().map(|series| highest(&series.points));
    let top = match shape {
        Shape::Line => tops.fold(0.0, f64::max),
        Shape::Areas => {
            let mut sums: Vec<(f64, f64)> = Vec::new();
            for series in series {
                sums.resize(series.points.len().max(sums.len()), (0.0, 0.0));
                for (sum, point) in sums.iter_mut().zip(&series.points) {
                    sum.1 += point.1;
                }
            }
            highest(&sums)
        }
    };
    if top > 0.0 { top * 1.1 } else { 1.0 }
}

/// The text that Grafana would show for a value, if one is configured.
fn mapped(value: f64, mappings: &Value) -> Option<String> {
    let texts = &mappings.as_array()?.first()?["options"];
    Some(texts[value.to_string()]["text"].as_str()?.to_owned())
}

/// A value in one of Grafana's units.
fn written(value: f64, unit: Option<&str>) -> String {
    match unit {
        Some("percentunit") => format!("{:.0} %", value * 100.0),
        Some("reqps") => format!("{value:.0}/s"),
        Some("ms") => format!("{value:.0} ms"),
        Some("bytes") => format!("{:.0} MB", value / 1e6),
        _ => value.to_string(),
    }
}
