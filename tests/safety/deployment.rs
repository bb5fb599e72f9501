//! Whole deployments that are interrupted at any moment and continued: whatever state one was left in, each next
//! step is safe from every list that a gateway may have, and the same command, run again, completes.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, json};
use skew_guard::config::{CurrentConfig, State};
use skew_guard::rollout::{
    Deployment, Edit, Goal, LoadedConfig, NextStep, ObservedState, Pods, Reader, Refusal,
    ReleaseSpec, Rollback, apply, assess, tidy_up,
};
use skew_guard::version::Version;

use crate::shop::{NOW, load};

const VERSIONS: [&str; 4] = ["1.0.0", "1.1.0", "2.0.0", "2.1.0"];
const HOUR: u64 = 60 * 60;

/// More steps than any run has.
const MANY: usize = 40;

#[derive(Clone, Debug)]
enum Command {
    Deploy(usize, Goal, Option<u8>),
    Rollback,
    Tidy,
}

/// How a run ends: by itself, or killed before the step of that number, and then the fate of the upgrade that was
/// this step, if it was one.
#[derive(Clone, Copy, Debug)]
enum End {
    ByItself,
    Killed(usize, UpgradeState),
}

#[derive(Clone, Copy, Debug)]
enum UpgradeState {
    NotStarted,
    /// Some of it was applied, and Helm keeps it as failed.
    PartlyApplied,
    /// Helm completed after its caller was killed.
    Applied,
}

fn command() -> impl Strategy<Value = Command> {
    let percent = proptest::option::of(select(vec![10, 50]));
    prop_oneof![
        6 => (0..VERSIONS.len(), percent).prop_map(|(version, percent)| Command::Deploy(version, Goal::Current, percent)),
        1 => (0..VERSIONS.len()).prop_map(|version| Command::Deploy(version, Goal::Preview, None)),
        1 => (0..VERSIONS.len()).prop_map(|version| Command::Deploy(version, Goal::Rolling, None)),
        3 => Just(Command::Rollback),
        1 => Just(Command::Tidy),
    ]
}

fn end() -> impl Strategy<Value = End> {
    let upgrade = select(vec![
        UpgradeState::NotStarted,
        UpgradeState::PartlyApplied,
        UpgradeState::Applied,
    ]);
    prop_oneof![
        1 => Just(End::ByItself),
        2 => (0..8_usize, upgrade).prop_map(|(step, upgrade)| End::Killed(step, upgrade)),
    ]
}

/// The cluster's content, and what its gateways may have.
#[derive(Clone, Debug)]
struct Cluster {
    /// Helm's history, and whether each revision was applied completely.
    history: Vec<(LoadedConfig, bool)>,
    /// The index of the last list that every gateway is known to have had.
    confirmed: usize,
    now: u64,
}

/// What one run has observed.
#[derive(Debug)]
struct Seen {
    is_in_force: bool,
    pods: Pods,
    has_deleted: bool,
}

impl Cluster {
    fn new(has_current: bool) -> Self {
        let mut root = json!({
            "releases": [{"version": "1.0.0"}],
            "sources": [{"header": "x-bundle-version"}, {"query": "dpl"}],
            "pinCookie": {"name": "pin"},
        });
        if has_current {
            root["current"] = json!("1.0.0");
        }
        Self {
            history: vec![(load(&root).expect("a right configuration"), true)],
            confirmed: 0,
            now: NOW,
        }
    }

    fn newest(&self) -> &LoadedConfig {
        &self.history.last().expect("a revision").0
    }

    fn next(&self, command: &Command, seen: &Seen) -> Result<NextStep, Refusal> {
        let before_last = self.history.len() - 1;
        let earlier: Vec<_> = self.history[self.confirmed.min(before_last)..before_last]
            .iter()
            .map(|(loaded, _)| loaded.clone())
            .collect();
        let observed = ObservedState {
            newest: self.newest(),
            earlier: &earlier,
            is_complete: self.history.last().expect("a revision").1,
            is_in_force: seen.is_in_force,
            now: self.now,
        };
        match command {
            Command::Deploy(version, goal, percent) => Deployment {
                spec: &self.spec(*version, *percent),
                goal: *goal,
                settings: None,
            }
            .next(&observed, seen.pods, seen.has_deleted),
            Command::Rollback => Rollback {
                bad: None,
                to: None,
            }
            .next(&observed),
            Command::Tidy => tidy_up(&observed, seen.has_deleted),
        }
    }

    fn spec(&self, version: usize, percent: Option<u8>) -> ReleaseSpec {
        ReleaseSpec {
            version: Version::parse(VERSIONS[version].as_bytes()).expect("a version"),
            step: None,
            drain_until: self.now + 24 * HOUR,
            percent,
            route: None,
            labels: Map::new(),
        }
    }

    /// The list that a step applies.
    fn given_out(&self, next: &NextStep) -> Option<LoadedConfig> {
        match next {
            NextStep::Change(edits) => Some(after(self.newest(), edits)),
            NextStep::Retry => Some(self.newest().clone()),
            NextStep::Restore(place) => Some(self.history[self.confirmed + place].0.clone()),
            _ => None,
        }
    }

    /// Gateways may have any list since the one that all of them had.
    fn expect_safe(
        &self,
        given_out: &LoadedConfig,
        is_in_force: bool,
    ) -> Result<(), TestCaseError> {
        let first = if is_in_force {
            self.history.len() - 1
        } else {
            self.confirmed
        };
        for (held, _) in &self.history[first..] {
            let hazards = assess(held, given_out, self.now).hazards;
            prop_assert!(
                hazards.is_empty(),
                "{hazards:?}\nfrom {}\nto {}",
                held.json,
                given_out.json
            );
        }
        Ok(())
    }

    /// Runs a command; returns whether it completed, or `None` if a step was refused.
    fn run(&mut self, command: &Command, end: End) -> Result<Option<bool>, TestCaseError> {
        let mut seen = Seen {
            is_in_force: false,
            pods: Pods::Unseen,
            has_deleted: false,
        };
        for step in 0..MANY {
            let Ok(next) = self.next(command, &seen) else {
                return Ok(None);
            };
            let killed = match end {
                End::Killed(at, upgrade) if at == step => Some(upgrade),
                _ => None,
            };
            if let Some(loaded) = self.given_out(&next) {
                self.expect_safe(&loaded, seen.is_in_force)?;
                self.expect_pods(command, &next, &seen)?;
                match killed {
                    Some(UpgradeState::NotStarted) => {}
                    Some(UpgradeState::PartlyApplied) => self.history.push((loaded, false)),
                    Some(UpgradeState::Applied) | None => self.history.push((loaded, true)),
                }
                seen.is_in_force = false;
            }
            if killed.is_some() {
                return Ok(Some(false));
            }
            match next {
                NextStep::Done => return Ok(Some(true)),
                NextStep::Wait => {
                    seen.is_in_force = true;
                    self.confirmed = self.history.len() - 1;
                }
                NextStep::Delete => {
                    prop_assert!(seen.is_in_force, "pods are deleted while gateways disagree");
                    seen.has_deleted = true;
                }
                NextStep::Apply => seen.pods = Pods::Applied,
                NextStep::AwaitPods => seen.pods = Pods::Ready,
                NextStep::Probe => seen.pods = Pods::Answering,
                _ => {}
            }
        }
        Err(TestCaseError::fail(format!("{command:?} never ends")))
    }

    /// Nobody is sent to a release whose pods have not answered.
    fn expect_pods(
        &self,
        command: &Command,
        next: &NextStep,
        seen: &Seen,
    ) -> Result<(), TestCaseError> {
        if let (Command::Deploy(..), NextStep::Change(edits)) = (command, next) {
            let leads = edits.iter().any(|edit| matches!(edit, Edit::Current(_)));
            prop_assert!(!leads || seen.pods == Pods::Answering, "{edits:?}");
        }
        Ok(())
    }

    fn expect_goal(&self, command: &Command) -> Result<(), TestCaseError> {
        let config = &self.newest().config;
        let Command::Deploy(version, goal, percent) = command else {
            return Ok(());
        };
        let version = VERSIONS[*version];
        let state = config
            .releases
            .iter()
            .find(|release| release.version.as_str() == version)
            .map(|release| release.state);
        match (goal, percent) {
            (Goal::Preview, _) => prop_assert_eq!(state, Some(State::Staged)),
            (Goal::Rolling, _) => prop_assert_eq!(state, Some(State::Live)),
            (Goal::Current, None) => prop_assert!(
                matches!(&config.current, Some(CurrentConfig::One(held)) if held.as_str() == version),
                "{:?}",
                config.current
            ),
            (Goal::Current, Some(_)) => prop_assert!(
                matches!(&config.current, Some(CurrentConfig::Weighted(shares))
                    if shares.iter().any(|share| share.version.as_str() == version && share.weight > 0)),
                "{:?}",
                config.current
            ),
        }
        Ok(())
    }
}

fn after(loaded: &LoadedConfig, edits: &[Edit]) -> LoadedConfig {
    let mut root = loaded.json.clone();
    apply(edits, &mut root, Reader::Plugin);
    load(&root).expect("the tool makes right configurations")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_deployment_killed_at_any_moment_resumes_safely_and_completes(
        has_current in proptest::bool::weighted(0.8),
        days in proptest::collection::vec((command(), proptest::collection::vec(end(), 0..3), 0..40 * HOUR), 1..8),
    ) {
        let mut cluster = Cluster::new(has_current);
        for (command, ends, passes) in &days {
            let makes_sense = cluster.clone().run(command, End::ByItself)? == Some(true);
            for end in ends {
                cluster.run(command, *end)?;
            }
            let outcome = cluster.run(command, End::ByItself)?;
            if makes_sense {
                prop_assert_eq!(outcome, Some(true), "{:?} was not continued: {}", command, cluster.newest().json);
            }
            if outcome == Some(true) {
                prop_assert_eq!(cluster.confirmed, cluster.history.len() - 1);
                cluster.expect_goal(command)?;
            }
            cluster.now += passes;
        }
    }

    /// Rolled back by somebody else wherever a deployment was killed.
    #[test]
    fn a_rollback_is_possible_wherever_a_deployment_was_killed(
        end in end(),
        percent in proptest::option::of(select(vec![10, 50])),
    ) {
        let mut cluster = Cluster::new(true);
        let command = Command::Deploy(1, Goal::Current, percent);
        cluster.run(&command, end)?;
        let was_listed = cluster.newest().config.releases.len() > 1;
        let outcome = cluster.run(&Command::Rollback, End::ByItself)?;
        if was_listed {
            prop_assert_eq!(outcome, Some(true));
            let config = &cluster.newest().config;
            prop_assert_eq!(config.releases[0].state, State::Retired);
            let is_back = matches!(&config.current, Some(CurrentConfig::One(held)) if held.as_str() == "1.0.0");
            prop_assert!(is_back, "{:?}", config.current);
        }
    }
}
