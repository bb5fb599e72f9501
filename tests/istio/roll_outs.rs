//! One roll-out after another, in random order, with delays, killed Pods and gateways that learn late.
//!
//! `make roll-outs ROLL_OUTS=100` continues where the last run ended: each roll-out follows from its number, and its
//! result is kept in `target/endure/roll-outs-<line>.json` before the next one begins.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use comfy_table::Table;
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skew_guard_lab::cargo;
use skew_guard_lab::cluster::{Cluster, Gateway};
use skew_guard_lab::endurance::{size, table};
use skew_guard_lab::load::{Load, Tally};

use crate::failures::one_pod;
use crate::shop::Tier;
use crate::testbed::Testbed;
use crate::visitors;

/// The default number of roll-outs.
const USUALLY: u64 = 1;

/// The default minimum of requests for each.
const USUAL_REQUESTS: u64 = 2_000;

/// The result of a roll-out.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    number: u64,
    istio: String,
    /// What was done to it.
    trials: Vec<Trial>,
    requests: u64,
    skewed: u64,
    told_to_reload: u64,
    failed: u64,
    /// The failed answers by cause.
    causes: BTreeMap<String, u64>,
    seconds: u64,
}

/// What makes a roll-out hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Trial {
    PodsBeforeTheList,
    LateGateway,
    OldPodKilled,
    NewPodKilled,
    Delay,
    RolledBack,
}

impl Trial {
    const ALL: [Self; 6] = [
        Self::PodsBeforeTheList,
        Self::LateGateway,
        Self::OldPodKilled,
        Self::NewPodKilled,
        Self::Delay,
        Self::RolledBack,
    ];
}

/// Whatever is tried, no answer is skewed, and none fails except because a Pod was killed.
pub async fn in_random_order(cluster: &Cluster) -> Result<()> {
    let goal = size("ROLL_OUTS", USUALLY)?;
    let requests = size("ROLL_OUT_REQUESTS", USUAL_REQUESTS)?;
    let line = cluster.line().name();
    let mut outcomes = Outcome::kept(line)?;
    let done = outcomes.len() as u64;
    if done < goal {
        let mut run = Run::begin(cluster, done).await?;
        for number in done..goal {
            let outcome = run.roll_out(number, requests, line).await?;
            eprintln!("  {outcome:?}");
            outcomes.push(outcome);
            if is_resumed() {
                Outcome::keep(line, &outcomes)?;
            }
        }
        run.testbed.tear_down().await?;
    }
    eprintln!("{}", story(&outcomes));
    for outcome in &outcomes {
        ensure!(outcome.skewed == 0, "skewed answers: {outcome:?}");
        let was_killed = outcome.trials.contains(&Trial::OldPodKilled)
            || outcome.trials.contains(&Trial::NewPodKilled);
        ensure!(
            outcome.failed == 0 || was_killed,
            "answers failed though no Pod was killed: {outcome:?}"
        );
    }
    Ok(())
}

/// Whether a number of roll-outs was asked for; otherwise one is made, as in every test run, and nothing is kept.
fn is_resumed() -> bool {
    std::env::var("ROLL_OUTS").is_ok_and(|number| !number.is_empty())
}

impl Outcome {
    fn file(line: &str) -> PathBuf {
        cargo::target().join(format!("endure/roll-outs-{line}.json"))
    }

    /// The results of earlier runs.
    fn kept(line: &str) -> Result<Vec<Self>> {
        match fs::read(Self::file(line)) {
            Ok(bytes) if is_resumed() => Ok(serde_json::from_slice(&bytes)?),
            _ => Ok(Vec::new()),
        }
    }

    fn keep(line: &str, outcomes: &[Self]) -> Result<()> {
        let file = Self::file(line);
        let folder = file.parent().context("a folder")?;
        fs::create_dir_all(folder)?;
        let beside = file.with_extension("new");
        fs::write(&beside, serde_json::to_vec_pretty(outcomes)?)?;
        Ok(fs::rename(beside, file)?)
    }
}

/// Two gateways, visitors at both, and the release that is current.
struct Run<'a> {
    cluster: &'a Cluster,
    testbed: Testbed<'a>,
    late: Gateway,
    load: Load,
    current: String,
    /// Retired releases, newest first, that may still have open tabs.
    retired: Vec<String>,
}

fn version(number: u64) -> String {
    format!("1.{number}.0")
}

impl<'a> Run<'a> {
    async fn begin(cluster: &'a Cluster, number: u64) -> Result<Self> {
        let current = version(number);
        let (testbed, late, load) =
            Testbed::open_behind_two_gateways(cluster, "roll-outs", &current).await?;
        Ok(Self {
            cluster,
            testbed,
            late,
            load,
            current,
            retired: Vec::new(),
        })
    }

    /// From the current release to the next one.
    async fn roll_out(&mut self, number: u64, requests: u64, line: &str) -> Result<Outcome> {
        let mut rng = Rng::with_seed(number);
        let trials: Vec<_> = Trial::ALL
            .into_iter()
            .filter(|_| rng.u8(0..3) == 0)
            .collect();
        let has = |trial| trials.contains(&trial);
        let (old, new) = (self.current.clone(), version(number + 1));
        eprintln!("  roll-out {number}, from {old} to {new}: {trials:?}");
        self.load.reset();

        if has(Trial::PodsBeforeTheList) {
            self.testbed.deploy(&new).await?;
        }
        self.step(&mut rng, &trials, &[(&new, "live"), (&old, "live")], &old)
            .await?;
        if !has(Trial::PodsBeforeTheList) {
            self.testbed.deploy(&new).await?;
        }
        if has(Trial::OldPodKilled) {
            self.kill(&mut rng, &old).await?;
        }
        self.step(
            &mut rng,
            &trials,
            &[(&new, "live"), (&old, "draining")],
            &new,
        )
        .await?;
        self.load.until_page_of(&new).await?;
        if has(Trial::NewPodKilled) {
            self.kill(&mut rng, &new).await?;
        }
        let (stays, goes) = if has(Trial::RolledBack) {
            (old, new)
        } else {
            (new, old)
        };
        let mut releases = vec![(stays.as_str(), "live"), (goes.as_str(), "retired")];
        if has(Trial::RolledBack) {
            // The list stays newest first.
            releases.reverse();
        }
        self.step(&mut rng, &trials, &releases, &stays).await?;
        self.load.until_no_page_of(&goes).await?;
        self.testbed.remove(&goes).await?;
        visitors::report("over, with visitors remaining", &self.load.tally());
        self.retired.insert(0, goes);
        self.retired.truncate(3);
        let asked = self.load.tally().requests;
        self.load.answers(requests.saturating_sub(asked)).await?;
        self.current = stays;
        let tally = self.load.tally();
        Ok(outcome(number, line, trials, tally))
    }

    /// One `helm upgrade`, which the second gateway may learn late.
    async fn step(
        &mut self,
        rng: &mut Rng,
        trials: &[Trial],
        releases: &[(&str, &str)],
        current: &str,
    ) -> Result<()> {
        let mut releases = releases.to_vec();
        let is_listed = |version: &str| releases.iter().any(|(listed, _)| *listed == version);
        let retired: Vec<_> = self
            .retired
            .iter()
            .filter(|version| !is_listed(version))
            .collect();
        releases.extend(
            retired
                .into_iter()
                .map(|version| (version.as_str(), "retired")),
        );
        self.testbed.chart.list(&releases, json!(current));
        if trials.contains(&Trial::LateGateway) {
            self.late.discovery().pause();
        }
        let revision = self.testbed.chart.upgrade().await?;
        self.testbed
            .chart
            .in_force(&self.testbed.gateway, revision)
            .await?;
        if trials.contains(&Trial::LateGateway) || trials.contains(&Trial::Delay) {
            tokio::time::sleep(Duration::from_millis(rng.u64(500..6_000))).await;
        }
        self.late.discovery().resume();
        self.testbed.chart.in_force(&self.late, revision).await?;
        self.load.answers(200).await?;
        visitors::report("in force everywhere", &self.load.tally());
        Ok(())
    }

    async fn kill(&self, rng: &mut Rng, version: &str) -> Result<()> {
        let tier = if rng.bool() { Tier::Api } else { Tier::Web };
        let pod = one_pod(&self.testbed, tier, version).await?;
        self.cluster
            .crash_pod(&format!("{}/{pod}", self.testbed.shop.namespace()))
            .await?;
        self.load.answers(200).await?;
        visitors::report(&format!("{pod} was killed"), &self.load.tally());
        Ok(())
    }
}

fn outcome(number: u64, line: &str, trials: Vec<Trial>, tally: Tally) -> Outcome {
    Outcome {
        number,
        istio: line.to_owned(),
        trials,
        requests: tally.requests,
        skewed: tally.skewed,
        told_to_reload: tally.told_to_reload,
        failed: tally.failed,
        causes: tally.failures,
        seconds: tally.elapsed.as_secs(),
    }
}

fn story(outcomes: &[Outcome]) -> Table {
    let of_trial = Trial::ALL.map(|trial| {
        let of_kind = outcomes.iter().filter(|one| one.trials.contains(&trial));
        row(format!("{trial:?}"), &of_kind.collect::<Vec<_>>())
    });
    let all = row("all".to_owned(), &outcomes.iter().collect::<Vec<_>>());
    let heading = [
        "roll-outs with",
        "of them",
        "requests",
        "skewed",
        "told to reload",
        "failed",
        "by cause",
    ];
    table(&heading, of_trial.into_iter().chain([all]))
}

fn row(name: String, of_kind: &[&Outcome]) -> Vec<String> {
    let sum = |value: fn(&Outcome) -> u64| {
        let values = of_kind.iter().map(|one| value(one));
        values.sum::<u64>().to_string()
    };
    let mut causes = BTreeMap::<&str, u64>::new();
    for (cause, count) in of_kind.iter().flat_map(|one| &one.causes) {
        *causes.entry(cause).or_default() += count;
    }
    let causes: Vec<_> = causes
        .iter()
        .map(|(cause, count)| format!("{count} × {cause}"))
        .collect();
    vec![
        name,
        of_kind.len().to_string(),
        sum(|one| one.requests),
        sum(|one| one.skewed),
        sum(|one| one.told_to_reload),
        sum(|one| one.failed),
        causes.join("; "),
    ]
}
