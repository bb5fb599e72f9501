//! The answer: a table of gateways, one of releases, and what it means.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Map, Value, json};
use skew_guard::rollout::written_time;
use skew_guard::telemetry::ReleaseState;

use super::counts::{Count, IdleTime, Traffic};
use super::next::{NextStep, Place};
use super::prometheus::{Prometheus, ReleaseQuery};
use super::release::{Pods, ReleaseStatus, Retirement, RetirementCriteria, sentence};
use super::scrape::GatewayStatus;
use crate::answer::{Answer, Verdict};
use crate::wait::gateway_state::GatewayState;

/// Everything that is known at a moment.
#[derive(Debug)]
pub struct Report {
    /// Whose it is.
    pub title: String,
    pub interval: Duration,
    pub gateways: Vec<GatewayStatus>,
    pub releases: Vec<ReleaseStatus>,
    /// Requests that no release was chosen for.
    pub without_release: Traffic,
    pub next: Option<NextStep>,
    /// Where that is taken; none if the list is not known.
    pub place: Option<Place>,
    pub criteria: RetirementCriteria,
    /// What could not be asked, besides gateways.
    pub problems: Vec<String>,
}

impl Report {
    pub fn answer(&self) -> Answer {
        let is_good = !self.gateways.is_empty()
            && self.problems.is_empty()
            && self.late().next().is_none()
            && self.skewed() == 0;
        Answer {
            verdict: Verdict::of(is_good),
            text: self.text(),
            json: self.json(),
        }
    }

    /// Looks up what gateways do not remember: since when nobody has asked for a draining release.
    pub fn look_up_idle_times(&mut self, prometheus: &Prometheus, plugins: &[String]) {
        let Self {
            releases,
            criteria,
            problems,
            ..
        } = self;
        for release in releases {
            let total = release.traffic.all().total;
            let is_open = release.state == Some(ReleaseState::Draining)
                && matches!(release.traffic.idle, IdleTime::AtLeast(_));
            let route = release.route.as_str();
            let asked = ReleaseQuery {
                plugins,
                route,
                total,
            };
            match is_open.then(|| prometheus.idle(asked, criteria.now)) {
                Some(Ok(idle)) => release.traffic.idle = idle,
                Some(Err(error)) => problems.push(format!("Prometheus: {error:#}")),
                None => {}
            }
        }
    }

    /// Gateways that are not where they should be.
    fn late(&self) -> impl Iterator<Item = &GatewayStatus> {
        let is_fine = |state: &GatewayState| {
            matches!(state, GatewayState::InForce(_) | GatewayState::Skipped)
        };
        self.gateways
            .iter()
            .filter(move |seen| !is_fine(&seen.state))
    }

    /// Answers from the wrong release since the last look.
    fn skewed(&self) -> u64 {
        let releases = self.releases.iter();
        releases.map(|release| release.traffic.skewed.new).sum()
    }

    fn text(&self) -> String {
        let mut parts = vec![format!(
            "{} at {}",
            self.title,
            written_time(self.criteria.now)
        )];
        parts.extend(
            self.problems
                .iter()
                .map(|problem| format!("not known: {problem}")),
        );
        parts.push(self.table_of_gateways());
        if self.releases.is_empty() {
            parts.push("no gateway shows a release".to_owned());
        } else {
            parts.push(self.table_of_releases());
        }
        let mut last = self.lines_of_next();
        last.extend(self.conclusions());
        parts.push(last.join("\n"));
        parts.retain(|part| !part.is_empty());
        parts.join("\n\n")
    }

    fn table_of_gateways(&self) -> String {
        let mut table = table(["gateway", "revision", "state"]);
        align_right(&mut table, 1..2);
        for seen in &self.gateways {
            let revision = seen
                .revision
                .map_or("–".to_owned(), |revision| revision.to_string());
            table.add_row([seen.gateway.clone(), revision, seen.state.to_string()]);
        }
        written(&table)
    }

    fn table_of_releases(&self) -> String {
        let requests = format!("requests in {}", humantime::format_duration(self.interval));
        let has_pods = self.releases.iter().any(|release| release.pods.is_some());
        let pods = has_pods.then_some("pods ready");
        let columns = ["release", "state"].into_iter().chain(pods);
        let numbered = [&requests, "open streams", "skewed", "gone", "why"];
        let first_number = columns.clone().count();
        let mut table = table(columns.chain(numbered));
        align_right(&mut table, first_number..first_number + numbered.len() - 1);
        for release in &self.releases {
            let pods = has_pods.then(|| release.pods());
            let cells = [release.name.clone(), release.state()]
                .into_iter()
                .chain(pods);
            table.add_row(cells.chain(numbers(&release.traffic)));
        }
        let empty = std::iter::repeat_n(String::new(), first_number - 1);
        let cells = std::iter::once("no release".to_owned()).chain(empty);
        table.add_row(cells.chain(numbers(&self.without_release)));
        written(&table)
    }

    fn lines_of_next(&self) -> Vec<String> {
        let Some(place) = &self.place else {
            return Vec::new();
        };
        let Some(next) = &self.next else {
            return vec!["next: nothing is left to do".to_owned()];
        };
        let changes = match &next.changes {
            Ok(changes) => changes.join("; "),
            Err(why) => return vec![format!("next: no step of {} is safe: {why}", next.version)],
        };
        let mut lines = vec![
            format!("next: {changes}"),
            format!("  {}", place.command(next)),
        ];
        let waits = self.waits(next);
        lines.extend(waits.iter().map(|wait| format!("  waiting: {wait}")));
        lines
    }

    /// What has to happen before the next step.
    fn waits(&self, next: &NextStep) -> Vec<String> {
        let late = self
            .late()
            .map(|seen| format!("{} {}", seen.gateway, seen.state));
        let mut releases = self.releases.iter();
        let own = releases.find(|release| release.name == next.version.as_str());
        let of_own = own.into_iter().flat_map(|release| {
            let missing = release.pods.iter().flatten().filter_map(Pods::missing);
            let retirement =
                release
                    .retirement(&self.criteria)
                    .and_then(|retirement| match retirement {
                        Retirement::May(_) => None,
                        not_yet => Some(sentence(&release.name, &not_yet)),
                    });
            let tidy = self.place.as_ref().and_then(|place| {
                place.wait_of_tidy(&release.name, release.until, self.criteria.now)
            });
            match next.step {
                None => missing.collect::<Vec<_>>(),
                Some(_) => retirement.into_iter().chain(tidy).collect(),
            }
        });
        late.chain(of_own).collect()
    }

    /// May the old one be deleted?
    fn conclusions(&self) -> Vec<String> {
        let mut lines: Vec<_> = self
            .releases
            .iter()
            .filter_map(|release| {
                let retirement = release.retirement(&self.criteria)?;
                Some(sentence(&release.name, &retirement))
            })
            .collect();
        if lines.is_empty() && !self.releases.is_empty() {
            lines.push("no release is draining".to_owned());
        }
        let is_settled = self.late().next().is_none() && !self.gateways.is_empty();
        let left = self
            .releases
            .iter()
            .filter(|release| release.has_leftover_pods());
        lines.extend(left.map(|release| match is_settled {
            true => format!(
                "{} is retired in every gateway: its pods may go",
                release.name
            ),
            false => format!(
                "{} is retired, but not in every gateway: its pods may not go yet",
                release.name
            ),
        }));
        lines
    }

    fn json(&self) -> Value {
        let gateways: Vec<_> = self
            .gateways
            .iter()
            .map(|seen| {
                json!({
                    "gateway": seen.gateway,
                    "revision": seen.revision,
                    "state": seen.state.name(),
                    "text": seen.state.to_string(),
                })
            })
            .collect();
        let releases: Vec<_> = self
            .releases
            .iter()
            .map(|release| self.json_of(release))
            .collect();
        let next = self
            .next
            .as_ref()
            .filter(|_| self.place.is_some())
            .map(|next| {
                json!({
                    "release": next.version.as_str(),
                    "step": next.step,
                    "changes": next.changes.as_ref().ok(),
                    "refused": next.changes.as_ref().err(),
                    "waits": self.waits(next),
                })
            });
        json!({
            "at": written_time(self.criteria.now),
            "intervalSeconds": self.interval.as_secs_f64(),
            "problems": self.problems,
            "gateways": gateways,
            "releases": releases,
            "withoutRelease": traffic_json(&self.without_release),
            "next": next,
            "conclusions": self.conclusions(),
        })
    }

    fn json_of(&self, release: &ReleaseStatus) -> Value {
        let mut json = traffic_json(&release.traffic);
        let pods = release.pods.as_ref().map(|pods| {
            let pods = pods.iter();
            pods.map(
                |Pods {
                     service,
                     ready,
                     all,
                 }| json!({"service": service, "ready": ready, "all": all}),
            )
            .collect::<Vec<_>>()
        });
        let (idle, is_exact) = match release.traffic.idle {
            IdleTime::Since(length) => (length, true),
            IdleTime::AtLeast(length) => (length, false),
        };
        let retirement = release.retirement(&self.criteria);
        json.extend([
            ("release".to_owned(), json!(release.name)),
            ("route".to_owned(), json!(release.route)),
            ("state".to_owned(), json!(release.state())),
            ("until".to_owned(), json!(release.until.map(written_time))),
            ("pods".to_owned(), json!(pods)),
            (
                "idle".to_owned(),
                json!({
                    "seconds": idle.as_secs(),
                    "since": written_time(self.criteria.now.saturating_sub(idle.as_secs())),
                    "lastRequestSeen": is_exact,
                }),
            ),
            (
                "retire".to_owned(),
                json!(retirement.map(|retirement| json!({
                    "answer": retirement.name(),
                    "text": sentence(&release.name, &retirement),
                }))),
            ),
        ]);
        Value::Object(json)
    }
}

impl ReleaseStatus {
    /// For people.
    fn state(&self) -> String {
        let states = match self.state {
            Some(state) => vec![state],
            None => self.traffic.states.clone(),
        };
        let states: Vec<_> = states.iter().map(|state| state.name()).collect();
        let mut state = states.join(" or ");
        if let Some((share, of)) = self.share {
            state += &format!(" ({share} of {of})");
        }
        if let Some(until) = self.until {
            state += &format!(" until {}", written_time(until));
        }
        state
    }

    fn pods(&self) -> String {
        let Some(pods) = &self.pods else {
            return "–".to_owned();
        };
        let pods: Vec<_> = pods.iter().map(ToString::to_string).collect();
        pods.join(", ")
    }

    /// Whether it is retired and still has pods.
    fn has_leftover_pods(&self) -> bool {
        self.state == Some(ReleaseState::NotServed)
            && self.pods.iter().flatten().any(|pods| pods.all > 0)
    }
}

fn traffic_json(traffic: &Traffic) -> Map<String, Value> {
    let count = |count: &Count| json!({"new": count.new, "total": count.total});
    let outcomes: Map<_, _> = traffic
        .requests
        .iter()
        .map(|(outcome, requests)| (outcome.clone(), count(requests)))
        .collect();
    [
        ("requests", count(&traffic.all())),
        ("outcomes", Value::Object(outcomes)),
        ("openStreams", json!(traffic.open_streams)),
        ("skewed", count(&traffic.skewed)),
        ("gone", count(&traffic.told_to_reload())),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .collect()
}

/// The cells of a release's traffic.
fn numbers(traffic: &Traffic) -> [String; 5] {
    let grown = |count: Count| match count.new {
        0 => count.total.to_string(),
        new => format!("{} (+{new})", count.total),
    };
    let mut outcomes: Vec<_> = traffic
        .requests
        .iter()
        .filter(|(_, count)| count.new > 0)
        .collect();
    outcomes.sort_by_key(|(_, count)| std::cmp::Reverse(count.new));
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .map(|(outcome, count)| format!("{outcome} {}", count.new))
        .collect();
    [
        traffic.all().new.to_string(),
        traffic.open_streams.to_string(),
        grown(traffic.skewed),
        grown(traffic.told_to_reload()),
        outcomes.join(", "),
    ]
}

fn table<'a>(columns: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(columns);
    table
}

fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Without the padding at the ends of lines.
fn written(table: &Table) -> String {
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}
