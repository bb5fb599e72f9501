//! The measurements, as tables and as JSON.

use std::collections::BTreeSet;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::chain;
use skew_guard_traffic::plugin::Style;

/// The median of several measurements, and the range of their middle half.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figure {
    /// The median.
    pub median: f64,
    /// The lower quartile.
    pub low: f64,
    /// The upper quartile.
    pub high: f64,
}

impl Figure {
    /// The figure for these measurements; there must be at least one.
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self {
            median: quantile(&samples, 0.5),
            low: quantile(&samples, 0.25),
            high: quantile(&samples, 0.75),
        }
    }

    /// The figure for each measurement divided by the other one in its round.
    pub fn ratio(samples: &[f64], others: &[f64]) -> Self {
        let pairs = samples.iter().zip(others);
        Self::of(pairs.map(|(sample, other)| sample / other).collect())
    }

    fn spread(self, digits: usize) -> String {
        format!("{:.digits$}–{:.digits$}", self.low, self.high)
    }
}

/// Between two samples it is interpolated linearly.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "there are few samples"
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len().saturating_sub(1)) as f64;
    let below = place.floor() as usize;
    let at = |index: usize| sorted.get(index).or(sorted.last()).copied();
    let (Some(low), Some(high)) = (at(below), at(below + 1)) else {
        return f64::NAN;
    };
    low + (high - low) * place.fract()
}

/// What one copy of a filter costs.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// The chain.
    pub chain: String,
    /// Microseconds of CPU per request, for one copy.
    pub micros: Figure,
    /// The same relative to the simple Lua filter.
    pub of_simple_lua: Figure,
    /// The same relative to the equal Lua filter.
    pub of_equal_lua: Figure,
}

/// A class of requests.
#[derive(Debug, Serialize)]
pub struct ClassReport {
    /// Its name.
    pub class: &'static str,
    /// What it is.
    pub what: &'static str,
    /// How many copies of a filter a chain holds.
    pub copies: usize,
    /// Microseconds of CPU for one request through the chain without a filter.
    pub nothing: Figure,
    /// The headers in which the equal Lua filter differs from ours: there should be none.
    pub unequal: BTreeSet<String>,
    /// What each filter costs.
    pub costs: Vec<Cost>,
}

impl ClassReport {
    /// As a table.
    pub fn table(&self) -> Table {
        let mut table = table(&[
            self.what,
            "µs a request",
            "half of the rounds",
            "× simple Lua",
            "× equal Lua",
        ]);
        for cost in &self.costs {
            table.add_row([
                cost.chain.clone(),
                format!("{:.2}", cost.micros.median),
                cost.micros.spread(2),
                format!("{:.2}", cost.of_simple_lua.median),
                format!("{:.2}", cost.of_equal_lua.median),
            ]);
        }
        table
    }

    fn cost(&self, chain: &str) -> Option<&Cost> {
        self.costs.iter().find(|cost| cost.chain == chain)
    }
}

/// The worst requests: the CPU of all of Envoy.
#[derive(Debug, Serialize)]
pub struct WorstReport {
    /// What the request is full of.
    pub what: &'static str,
    /// How long it is.
    pub bytes: usize,
    /// The chain.
    pub chain: String,
    /// Microseconds of CPU per request, for all of Envoy.
    pub micros: Figure,
    /// The same relative to the empty filter's chain.
    pub of_empty: Figure,
}

/// The memory of a VM.
#[derive(Debug, Serialize)]
pub struct MemoryReport {
    /// The module and its configuration.
    pub what: String,
    /// The number of VMs that were measured.
    pub vms: u64,
    /// KiB of Envoy's resident memory for each.
    pub kib: u64,
}

/// The time for a new configuration.
#[derive(Debug, Serialize)]
pub struct LoadReport {
    /// The module and its configuration.
    pub what: String,
    /// How long the configuration is.
    pub bytes: usize,
    /// Milliseconds of one worker's CPU.
    pub millis: Figure,
}

/// A module.
#[derive(Debug, Serialize)]
pub struct ModuleReport {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// The complete report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Envoy's version.
    pub envoy: String,
    /// The modules.
    pub modules: Vec<ModuleReport>,
    /// The classes of requests.
    pub classes: Vec<ClassReport>,
    /// The worst requests.
    pub worst: Vec<WorstReport>,
    /// The memory of VMs.
    pub memory: Vec<MemoryReport>,
    /// The time for new configurations.
    pub loading: Vec<LoadReport>,
}

impl Report {
    /// Ours as the chart configures it compared with Lua, for each class.
    pub fn classes(&self) -> Table {
        let mut table = table(&[
            "µs a request, by one filter",
            "empty SDK filter",
            "simple Lua",
            "equal Lua",
            "skew-guard",
            "256 releases",
            "× simple Lua",
            "× equal Lua",
        ]);
        let small = chain::ours(chain::OURS, Style::Chart, 2);
        let large = chain::ours(chain::OURS, Style::Chart, 256);
        for class in &self.classes {
            let micros = |chain: &str| {
                let cost = class.cost(chain);
                cost.map_or(String::new(), |cost| format!("{:.2}", cost.micros.median))
            };
            let ratio = |of: fn(&Cost) -> Figure| {
                let cost = class.cost(&small);
                cost.map_or(String::new(), |cost| format!("{:.2}", of(cost).median))
            };
            table.add_row([
                class.what.to_owned(),
                micros(chain::EMPTY),
                micros(chain::SIMPLE_LUA),
                micros(chain::EQUAL_LUA),
                micros(&small),
                micros(&large),
                ratio(|cost| cost.of_simple_lua),
                ratio(|cost| cost.of_equal_lua),
            ]);
        }
        table
    }

    /// The worst requests.
    pub fn worst(&self) -> Table {
        let mut table = table(&[
            "worst requests",
            "filter",
            "bytes",
            "µs a request, all of Envoy",
            "half of the rounds",
            "× empty SDK filter",
        ]);
        for worst in &self.worst {
            table.add_row([
                worst.what.to_owned(),
                worst.chain.clone(),
                worst.bytes.to_string(),
                format!("{:.0}", worst.micros.median),
                worst.micros.spread(0),
                format!("{:.2}", worst.of_empty.median),
            ]);
        }
        table
    }

    /// Memory use.
    pub fn memory(&self) -> Table {
        let mut table = table(&["memory", "VMs", "KiB of resident memory for each"]);
        for memory in &self.memory {
            table.add_row([
                memory.what.clone(),
                memory.vms.to_string(),
                memory.kib.to_string(),
            ]);
        }
        table
    }

    /// How long loading takes.
    pub fn loading(&self) -> Table {
        let mut table = table(&[
            "a new configuration",
            "bytes",
            "ms of a worker's CPU",
            "half of the rounds",
        ]);
        for load in &self.loading {
            table.add_row([
                load.what.clone(),
                load.bytes.to_string(),
                format!("{:.2}", load.millis.median),
                load.millis.spread(2),
            ]);
        }
        table
    }

    /// How large the modules are.
    pub fn modules(&self) -> Table {
        let mut table = table(&["module", "bytes"]);
        for module in &self.modules {
            table.add_row([module.name.clone(), module.bytes.to_string()]);
        }
        table
    }
}

/// An empty table whose columns are numbers, except the first.
fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(columns);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
