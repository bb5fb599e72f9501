//! The roll-outs as a picture: skewed answers over time, and the pods of each release below.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use skew_guard_lab::cargo;
use skew_guard_lab::picture::{self, Body, Panel, Place, Plot, Series, Shape, colour};

use crate::report::{NAMES, Runs};
use crate::rollout::Outcome;
use crate::site::{NEW, OLD, PODS};
use crate::timeline::{Answers, Pods, Timeline};

const MARGIN: u32 = 20;
const COLUMN: u32 = 340;
const SKEW: u32 = 270;
const BELOW: u32 = 190;

/// How many points the curve of a run has at most.
const POINTS: u64 = 100;

/// Draws the runs side by side, and returns where.
pub fn write(runs: &Runs) -> Result<PathBuf> {
    let folder = cargo::target().join("demo");
    fs::create_dir_all(&folder)?;
    let file = folder.join("roll-out.svg");
    fs::write(&file, draw(runs)?)?;
    Ok(file)
}

fn draw(runs: &Runs) -> Result<String> {
    let runs = runs.in_order();
    let seconds = runs.iter().map(|run| run.tally.elapsed.as_secs_f64());
    let seconds = seconds.fold(1.0, f64::max);
    let columns = (0..).map(|number| MARGIN + number * (COLUMN + MARGIN));
    let mut panels = Vec::new();
    for ((run, name), left) in runs.into_iter().zip(NAMES).zip(columns.clone()) {
        panels.push(skewed_answers(run, name, left, seconds));
        panels.push(pods(&run.timeline, left, seconds));
    }
    let width = columns.take(NAMES.len() + 1).last().unwrap_or_default();
    picture::svg(width, SKEW + BELOW + 3 * MARGIN, &panels)
}

fn skewed_answers(run: &Outcome, name: &str, left: u32, seconds: f64) -> Panel {
    let (skewed, requests) = (run.tally.skewed, run.tally.requests);
    Panel {
        place: Place {
            left,
            top: MARGIN,
            width: COLUMN,
            height: SKEW,
        },
        title: name.into(),
        note: format!("skewed answers: {skewed} of {requests}"),
        body: Body::Plot(Plot {
            shape: Shape::Areas,
            series: vec![Series {
                name: "skewed answers".into(),
                colour: colour::VERMILION,
                points: shares(&run.timeline.answers),
            }],
            seconds,
            ceiling: 100.0,
            label: Box::new(|share| format!("{share:.0} %")),
        }),
    }
}

/// The share of skewed answers between two moments, which are enough answers apart to mean something.
fn shares(answers: &[Answers]) -> Vec<(f64, f64)> {
    let Some((mut before, last)) = answers.first().zip(answers.last()) else {
        return Vec::new();
    };
    let enough = last.all.div_ceil(POINTS).max(1);
    let mut shares = Vec::new();
    for now in answers {
        let all = now.all - before.all;
        if all >= enough {
            let share = number(now.skewed - before.skewed) * 100.0 / number(all);
            shares.push((now.elapsed.as_secs_f64(), share));
            before = now;
        }
    }
    shares
}

fn pods(timeline: &Timeline, left: u32, seconds: f64) -> Panel {
    let end = timeline.answers.last().map(|answers| answers.elapsed);
    let steps = |count: fn(&Pods) -> usize| {
        let mut points = Vec::new();
        for pods in &timeline.pods {
            let second = pods.elapsed.as_secs_f64();
            // Pods come and go at once: the last number holds until then.
            points.extend(points.last().map(|(_, before)| (second, *before)));
            points.push((second, number(count(pods) as u64)));
        }
        let last = points.last().map(|(_, last)| *last);
        points.extend(end.map(|end| end.as_secs_f64()).zip(last));
        points
    };
    let series = |version: &str, colour, points| Series {
        name: format!("pods of {version}"),
        colour,
        points,
    };
    Panel {
        place: Place {
            left,
            top: SKEW + 2 * MARGIN,
            width: COLUMN,
            height: BELOW,
        },
        title: String::new(),
        note: String::new(),
        body: Body::Plot(Plot {
            shape: Shape::Areas,
            series: vec![
                series(OLD, colour::ORANGE, steps(|pods| pods.old)),
                series(NEW, colour::BLUE, steps(|pods| pods.new)),
            ],
            seconds,
            ceiling: number(PODS as u64 + 2),
            label: Box::new(|pods| pods.to_string()),
        }),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}
