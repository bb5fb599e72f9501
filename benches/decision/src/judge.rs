//! Judges what Callgrind counted, and fails if a limit is exceeded. `make bench-decision` runs it.
//!
//! Counts depend not on how busy a machine is, but on the compiler. So general limits are ratios within
//! one run: with more releases a case costs what it costs with two; and beside the fetch of a current page, which is
//! itself measured by the reading of its headers, it costs what it cost when the baseline was made. Only where the
//! compiler is the baseline's, the counts themselves are compared too; else they are shown.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use count_decisions::Case;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skew_guard_traffic::plugin;

/// How much more a case may cost with many releases than with two.
const FLAT: f64 = 1.10;

/// How much more a case may cost than in the baseline: two compilers may differ by as much.
const GROWTH: f64 = 1.15;

/// The same with the baseline's compiler: some of the C library depends on the processor.
const GROWTH_OF_COUNT: f64 = 1.05;

/// Judge what Callgrind counted.
#[derive(Parser)]
struct Options {
    /// What the benchmark printed as JSON: an object for each case.
    counts: PathBuf,
    /// Write the baseline instead of comparing with it.
    #[arg(long, env = "SAVE", value_parser = clap::builder::FalseyValueParser::new())]
    save: bool,
}

/// All the counts of a run.
#[derive(Deserialize, Serialize)]
struct Run {
    compiler: String,
    /// Instructions, by the name of a [`Row`] and the number of releases.
    counts: BTreeMap<String, BTreeMap<usize, u64>>,
}

/// What Callgrind counted for one case.
struct Counted {
    function: &'static str,
    case: Case,
    count: u64,
}

/// What is shown and judged together: a function and a class, with every number of releases.
struct Row {
    name: String,
    counts: BTreeMap<usize, u64>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let baseline = Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.json");
    let rows = rows(&counted(&options.counts)?);
    let run = Run {
        compiler: compiler()?,
        counts: rows
            .iter()
            .map(|row| (row.name.clone(), row.counts.clone()))
            .collect(),
    };
    if options.save {
        fs::write(&baseline, serde_json::to_string_pretty(&run)? + "\n")?;
    }
    let baseline = fs::read(&baseline).context("the baseline, which SAVE=1 writes")?;
    let baseline: Run = serde_json::from_slice(&baseline)?;
    let comparison = Comparison { run, baseline };
    println!("{}", comparison.table(&rows));
    println!("Baseline: {}", comparison.baseline.compiler);
    let exceeded: Vec<_> = rows
        .iter()
        .flat_map(|row| comparison.exceeded(row))
        .collect();
    for problem in &exceeded {
        println!("{problem}");
    }
    Ok(if exceeded.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The compiler and its target.
fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut lines = text.lines();
    let version = lines.next().context("no version")?;
    let host = lines.find_map(|line| line.strip_prefix("host: "));
    Ok(format!("{version}, {}", host.context("no host")?))
}

fn counted(file: &Path) -> Result<Vec<Counted>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let summaries = serde_json::Deserializer::from_str(&text).into_iter();
    let found: BTreeMap<String, u64> = summaries
        .map(|summary| instructions(&summary?))
        .collect::<Result<_>>()?;
    let expected = [
        ("read", Case::read().collect::<Vec<_>>()),
        ("decide", Case::decided().collect()),
        ("amend", Case::amended().collect()),
    ];
    let all: Vec<_> = expected
        .into_iter()
        .flat_map(|(function, cases)| {
            let cases = cases.into_iter().enumerate();
            cases.map(move |(place, case)| (function, place, case))
        })
        .map(|(function, place, case)| {
            let name = format!("{function}.case_{place}");
            let count = *found.get(&name).with_context(|| format!("no {name}"))?;
            Ok(Counted {
                function,
                case,
                count,
            })
        })
        .collect::<Result<_>>()?;
    ensure!(all.len() == found.len(), "cases that are not known");
    Ok(all)
}

/// The name of a case, and its count.
fn instructions(summary: &Value) -> Result<(String, u64)> {
    let text = |key| summary.get(key).and_then(Value::as_str).context(key);
    let name = format!("{}.{}", text("function_name")?, text("id")?);
    let count = summary.pointer("/profiles/0/data/total/metrics/Ir/values/new");
    let count = count.and_then(Value::as_u64).context(name.clone())?;
    Ok((name, count))
}

fn rows(counted: &[Counted]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for one in counted {
        let name = row_name(one.function, one.case.class.name);
        let place = rows.iter().position(|row| row.name == name);
        let place = place.unwrap_or_else(|| {
            rows.push(Row {
                name,
                counts: BTreeMap::new(),
            });
            rows.len() - 1
        });
        if let Some(row) = rows.get_mut(place) {
            row.counts.insert(one.case.releases, one.count);
        }
    }
    rows
}

fn row_name(function: &str, class: &str) -> String {
    format!("{function} {class}")
}

struct Comparison {
    run: Run,
    baseline: Run,
}

impl Comparison {
    fn table(&self, rows: &[Row]) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        let releases = plugin::RELEASES.map(|releases| format!("{releases} releases"));
        let header = ["instructions".to_owned()].into_iter().chain(releases);
        table.set_header(
            header.chain(["of its measure", "in the baseline", "change"].map(Into::into)),
        );
        for row in rows {
            let counts = plugin::RELEASES.iter().map(|releases| {
                row.counts
                    .get(releases)
                    .map_or_else(String::new, u64::to_string)
            });
            let (now, then) = (self.run.ratio(&row.name), self.baseline.ratio(&row.name));
            let figures = [
                now.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                then.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                self.growth(row).map_or_else(String::new, |growth| {
                    format!("{:+.1} %", (growth - 1.0) * 100.0)
                }),
            ];
            table.add_row([row.name.clone()].into_iter().chain(counts).chain(figures));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// The limits that a row exceeds, in words.
    fn exceeded(&self, row: &Row) -> Vec<String> {
        let mut problems = Vec::new();
        let name = &row.name;
        for (releases, count) in &row.counts {
            let least = self.run.count(name).map_or(f64::NAN, as_float);
            let ratio = as_float(*count) / least;
            if ratio > FLAT {
                problems.push(format!("{name}: with {releases} releases {ratio:.2} of what it is with two; the limit is {FLAT:.2}"));
            }
        }
        let ratios = (self.run.ratio(name), self.baseline.ratio(name));
        match ratios {
            (Some(now), Some(then)) if now > then * GROWTH => problems.push(format!(
                "{name}: {now:.2} of its measure, {}; the limit is {:.2}",
                measure(name),
                then * GROWTH
            )),
            (Some(_), Some(_)) => {}
            _ => problems.push(format!("{name}: not in the baseline")),
        }
        let is_comparable = self.run.compiler == self.baseline.compiler;
        if let Some(growth) = self
            .growth(row)
            .filter(|growth| *growth > GROWTH_OF_COUNT && is_comparable)
        {
            problems.push(format!("{name}: {growth:.2} of its count in the baseline; the limit is {GROWTH_OF_COUNT:.2}"));
        }
        problems
    }

    /// The count with the fewest releases relative to the baseline's.
    fn growth(&self, row: &Row) -> Option<f64> {
        let now = self.run.count(&row.name)?;
        let then = self.baseline.count(&row.name)?;
        Some(as_float(now) / as_float(then))
    }
}

/// What a row is compared with.
fn measure(name: &str) -> &'static str {
    const FETCH: &str = "decide fetch-current";
    const READ: &str = "read fetch-current";
    if name == FETCH { READ } else { FETCH }
}

impl Run {
    /// The count with the fewest releases.
    fn count(&self, name: &str) -> Option<u64> {
        self.counts.get(name)?.values().next().copied()
    }

    /// The same relative to the row that it is compared with.
    fn ratio(&self, name: &str) -> Option<f64> {
        let measure = self.count(measure(name))?;
        Some(as_float(self.count(name)?) / as_float(measure))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are not so many instructions"
)]
fn as_float(count: u64) -> f64 {
    count as f64
}
