//! What was measured, as tables and as JSON.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// The middle of several measurements, and the range that half of them are in.
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
    /// The figure of these measurements, of which there is at least one.
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self {
            median: quantile(&samples, 0.5),
            low: quantile(&samples, 0.25),
            high: quantile(&samples, 0.75),
        }
    }
}

/// Between two samples it is as far as the quantile is between their places.
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
    /// Microseconds of CPU for one request, by one copy.
    pub micros: Figure,
    /// The same by the simple Lua filter's.
    pub of_simple_lua: Figure,
    /// The same by the equal Lua filter's.
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
    /// How many header lines a request has that the first filter sees.
    pub headers: usize,
    /// Microseconds of CPU for one request through the chain without a filter.
    pub nothing: Figure,
    /// What each filter costs.
    pub costs: Vec<Cost>,
}

impl ClassReport {
    /// As a table.
    pub fn table(&self) -> Table {
        let mut table = table(&[
            "filter",
            "µs a request",
            "half of the rounds",
            "× simple Lua",
            "× equal Lua",
        ]);
        for cost in &self.costs {
            table.add_row([
                cost.chain.clone(),
                format!("{:.2}", cost.micros.median),
                format!("{:.2}–{:.2}", cost.micros.low, cost.micros.high),
                format!("{:.2}", cost.of_simple_lua.median),
                format!("{:.2}", cost.of_equal_lua.median),
            ]);
        }
        table
    }
}

/// An empty table whose columns but the first are numbers.
pub fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(columns);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
