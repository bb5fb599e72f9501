//! The results of the roll-outs, side by side.

use std::collections::BTreeSet;
use std::iter;

use comfy_table::{CellAlignment, Table, presets};

use crate::rollout::Outcome;

/// The names of the runs, in order.
pub const NAMES: [&str; 3] = ["plain routing", "watched (enforce: false)", "skew-guard"];

/// The same roll-out under three kinds of routing.
pub struct Runs {
    pub plain: Outcome,
    pub observed: Outcome,
    pub guarded: Outcome,
}

impl Runs {
    /// All of them, as table and picture show them.
    pub fn in_order(&self) -> [&Outcome; 3] {
        [&self.plain, &self.observed, &self.guarded]
    }

    /// The table that the demo ends with.
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_BORDERS_ONLY)
            .set_header(iter::once("").chain(NAMES));
        let mut row = |name: &str, figure: &dyn Fn(&Outcome) -> String| {
            table.add_row([vec![name.to_owned()], self.in_order().map(figure).to_vec()].concat());
        };
        row("requests", &|run| run.tally.requests.to_string());
        row("skewed answers", &|run| run.tally.skewed.to_string());
        row("  as the filter counted", &|run| {
            run.seen_by_filter
                .map_or("–".into(), |seen| seen.to_string())
        });
        row("  that broke the page", &|run| run.tally.broken.to_string());
        row("failed answers", &|run| run.tally.failed.to_string());
        row("told to reload", &|run| {
            run.tally.told_to_reload.to_string()
        });
        row("requests a second", &|run| {
            format!("{:.0}", run.tally.rate())
        });
        for pod in self.pods() {
            row(&format!("share of pod {pod}"), &|run| {
                format!("{:.1} %", run.tally.share(pod))
            });
        }
        table
            .column_iter_mut()
            .skip(1)
            .for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table
    }

    fn pods(&self) -> BTreeSet<&str> {
        self.in_order()
            .into_iter()
            .flat_map(|run| run.tally.by_pod.keys())
            .map(String::as_str)
            .collect()
    }

    /// What is wrong; nothing if skew-guard did its job and there was something to do.
    pub fn findings(&self, requests: u64) -> Vec<String> {
        let with = &self.guarded.tally;
        let checks = [
            (
                self.plain.tally.skewed > 0,
                "plain routing showed no skew, so this proves nothing".to_owned(),
            ),
            (
                with.requests >= requests,
                format!("only {} requests with skew-guard", with.requests),
            ),
            (
                with.skewed == 0,
                format!("{} skewed answers with skew-guard", with.skewed),
            ),
            (
                with.failed == 0,
                format!("{} failed answers with skew-guard", with.failed),
            ),
            (
                with.told_to_reload == 0,
                format!("{} tabs had to reload with skew-guard", with.told_to_reload),
            ),
            (
                self.observed.filter_agrees(),
                "when watching, the filter counted different skew from the tabs".to_owned(),
            ),
            (
                self.guarded.filter_agrees(),
                "when routing, the filter counted different skew from the tabs".to_owned(),
            ),
        ];
        let broken = checks
            .into_iter()
            .filter(|(holds, _)| !holds)
            .map(|(_, finding)| format!("FAILED: {finding}"));
        let examples = with
            .examples
            .iter()
            .map(|example| format!("  with skew-guard, {example}"));
        broken.chain(examples).collect()
    }
}

impl Outcome {
    fn filter_agrees(&self) -> bool {
        self.seen_by_filter == Some(self.tally.skewed)
    }
}
