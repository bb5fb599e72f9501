//! Configurations that change under load: good ones and wrong ones, of two plugins, on several workers.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use skew_guard_lab::endurance::{publish, size, table};
use skew_guard_lab::load::{Load, LoadGenerator, Tally};

use super::memory::{Memory, grew_little};
use crate::behaviour::{Behaviour, behaviours};
use crate::fail_strategies::traps;
use crate::gateway::{Gateway, Spec};
use crate::lab::{Lab, route_of};

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    changes_under_load_fail_nobody_and_keep_nothing,
    a_metric_is_defined_once_however_often_its_release_comes_back,
];

/// The default number of changes.
const USUALLY: u64 = 24;

const WORKERS: u32 = 3;

/// By which share memory may have grown: that of VMs since all releases were seen, that of the process from
/// the middle of many changes to their end.
const MOST_GROWTH: f64 = 0.05;

/// With fewer changes the process and the time series are not judged: they are still warming up.
const MANY: u64 = 100;

/// After how many changes each release has been in a configuration of each plugin.
const ALL_SEEN: u64 = 10;

/// Every release that is ever listed; the three newest have pods.
const RELEASES: [&str; 5] = ["2.1.0", "2.0.0", "1.4.2", "1.3.0", "1.2.0"];

/// How many paths each configuration lists: it has to be so long that memory shows whether one is kept.
const PATHS: usize = 800;

/// Good configurations, each a safe neighbour of the next, in a circle. Envoy ignores one that changes nothing, so each
/// has its own revision.
fn good(revision: u64) -> Value {
    let step = revision % 6;
    let current = if (2..5).contains(&step) {
        "2.0.0"
    } else {
        "1.4.2"
    };
    let of = |version: &str, state: &str| json!({ "version": version, "route": route_of(version), "state": state });
    let mut releases = vec![of("2.0.0", "live"), of("1.4.2", "live")];
    if step % 2 == 1 {
        releases.insert(0, of("2.1.0", "staged"));
    }
    releases.extend(RELEASES[3..].iter().map(|version| of(version, "retired")));
    json!({
        "sources": [{ "header": "x-bundle-version" }, { "path": "/assets/v-{version}/" }],
        "releases": releases,
        "current": current,
        "hints": step == 3,
        "unpinnedPaths": (0..PATHS).map(|number| format!("/well-known/file-{number}.json")).collect::<Vec<_>>(),
        "revision": revision,
    })
}

/// Wrong ones: none may take effect.
fn wrong(number: u64) -> String {
    let texts = [
        "",
        "not JSON",
        "{",
        r#"{"releases":[]}"#,
        r#"{"releases":[{"version":1.10}]}"#,
        r#"{"releases":[{"version":"2.0.0"}],"current":"3.0.0"}"#,
        "\u{0}\u{ff}",
    ];
    let place = usize::try_from(number).unwrap_or_default() % (texts.len() + 1);
    match texts.get(place) {
        Some(text) => (*text).to_owned(),
        None => good(number).to_string().replace("releases", "realeses"),
    }
}

async fn changes_under_load_fail_nobody_and_keep_nothing(lab: &Lab) -> Result<()> {
    let changes = size("CHURN_CHANGES", USUALLY)?;
    let lab = lab.another(WORKERS, &[]).await?;
    let mut plugins = [open(&lab, "one").await?, open(&lab, "two").await?];
    let loads = [visit(&plugins[0])?, visit(&plugins[1])?];
    let mut looks = Vec::new();
    for number in 0..changes {
        let which = usize::try_from(number % 2)?;
        let text = if number % 3 == 2 {
            wrong(number)
        } else {
            good(1 + number / 2).to_string()
        };
        plugins[which].configure_by_text(&text).await?;
        loads[which].answers(40).await?;
        if number % 10 == 0 || number + 1 == changes {
            looks.push((number, Memory::of(&lab).await?, series(&lab).await?));
        }
    }
    let [one, other] = loads;
    let tallies = [one.stop().await, other.stop().await];
    publish("churn.md", &story(&looks, &tallies))?;

    ensure!(
        !traps(&lab),
        "something trapped:\n{}",
        lab.envoy().log_tail()
    );
    for tally in &tallies {
        ensure!(
            tally.failed == 0 && tally.skewed == 0 && tally.told_to_reload == 0,
            "a visitor was harmed: {tally:?}"
        );
    }
    judge_growth(&looks)
}

type Look = (u64, Memory, usize);

/// VMs must not grow once all releases were seen; the process warms up for longer, and so do counters that only appear
/// when a visitor first does something.
fn judge_growth(looks: &[Look]) -> Result<()> {
    let seen = looks.iter().find(|(number, ..)| *number >= ALL_SEEN);
    let (Some((_, first, _)), Some((last, end, series_at_end)), Some((_, middle, series))) =
        (seen, looks.last(), looks.get(looks.len() / 2))
    else {
        bail!("too few changes to show all releases: {ALL_SEEN}");
    };
    grew_little("VMs", first.vms, end.vms, MOST_GROWTH)?;
    if *last + 1 >= MANY {
        grew_little("process", middle.resident, end.resident, MOST_GROWTH)?;
        ensure!(
            series == series_at_end,
            "time series were added: {series}, {series_at_end}"
        );
    }
    Ok(())
}

/// A metric that is defined twice in a VM has two ids there, of which the first is lost. Envoy's log shows what each
/// VM asks of it.
async fn a_metric_is_defined_once_however_often_its_release_comes_back(lab: &Lab) -> Result<()> {
    let lab = lab.another(WORKERS, &[]).await?;
    let mut plugins = [open(&lab, "one").await?, open(&lab, "two").await?];
    for revision in 1..7 {
        change_both(&mut plugins, &good(revision)).await?;
    }
    lab.envoy().admin_post("/logging?wasm=trace").await?;
    for revision in 7..13 {
        change_both(&mut plugins, &good(revision)).await?;
    }
    let asked = Asked::read(&lab.envoy().log());
    ensure!(asked.lasting.len() >= WORKERS as usize, "{asked:?}");
    let again: usize = asked.lasting.values().sum();
    ensure!(again == 0, "metrics were defined again: {asked:?}");

    let mut new = good(13);
    new["releases"][0]["route"] = json!("another-route");
    change_both(&mut plugins, &new).await?;
    let asked = Asked::read(&lab.envoy().log());
    let anew: usize = asked.lasting.values().sum();
    ensure!(
        anew > 0,
        "a new route has new metrics, or the log does not show it: {asked:?}"
    );
    Ok(())
}

/// How many metrics each thread's VM defined.
#[derive(Debug)]
struct Asked {
    /// For threads that made no VM meanwhile. The main thread does: Envoy tries every configuration in a VM that it
    /// throws away, and that VM must define its metrics.
    lasting: BTreeMap<String, usize>,
}

impl Asked {
    /// From lines such as `[time][thread][trace][wasm] [file] [vm->host] env.proxy_define_metric(…)`.
    fn read(log: &str) -> Self {
        let mut lasting = BTreeMap::<String, usize>::new();
        let mut making = BTreeSet::new();
        for line in log.lines().filter(|line| line.contains("][trace][wasm]")) {
            let thread = line.split(['[', ']']).nth(3).unwrap_or_default();
            let defined = lasting.entry(thread.to_owned()).or_default();
            if line.contains("[vm->host] env.proxy_define_metric(") {
                *defined += 1;
            }
            if line.contains("[host->vm] _initialize(") {
                making.insert(thread);
            }
        }
        lasting.retain(|thread, _| !making.contains(thread.as_str()));
        Self { lasting }
    }
}

/// The configuration in both, and requests that meet every worker.
async fn change_both(plugins: &mut [Gateway<'_>; 2], configuration: &Value) -> Result<()> {
    for plugin in plugins {
        plugin.configure(configuration).await?;
        for number in 0..20 {
            let version = ["2.0.0", "1.4.2", "9.9.9"][number % 3];
            plugin
                .get("/api/cart", &[("x-bundle-version", version)])
                .await?;
        }
    }
    Ok(())
}

async fn open<'l>(lab: &'l Lab, name: &str) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?.configured(&good(0))?.open(lab).await
}

fn visit(gateway: &Gateway<'_>) -> Result<Load> {
    LoadGenerator::at(gateway.address())
        .visitors(3)
        .long_lived(1)
        .start()
}

/// The number of our time series.
async fn series(lab: &Lab) -> Result<usize> {
    Ok(lab.envoy().stats("skew_guard_").await?.len())
}

fn story(looks: &[Look], tallies: &[Tally]) -> String {
    let rows = looks.iter().map(|(number, memory, series)| {
        vec![
            number + 1,
            memory.resident / 1024,
            memory.allocated / 1024,
            memory.vms / 1024,
            *series as u64,
        ]
    });
    let heading = [
        "changes",
        "process, MiB",
        "allocated, MiB",
        "VMs, MiB",
        "time series",
    ];
    let looks = table(&heading, rows);
    let visitors = tallies.iter().map(|tally| {
        vec![
            tally.requests,
            tally.failed,
            tally.skewed,
            tally.told_to_reload,
            tally.slow,
        ]
    });
    let heading = ["answers", "failed", "skewed", "told to reload", "over 1 s"];
    format!("{looks}\n\n{}\n", table(&heading, visitors))
}
