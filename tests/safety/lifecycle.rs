//! Whole lives: the steps that the tool makes, one after the other, with tabs that stay open through all
//! of them.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, json};
use skew_guard::config::State;
use skew_guard::rollout::{
    Edit, Lifecycle, LoadedConfig, Reader, Refusal, ReleaseSpec, Step, apply,
};
use skew_guard::version::Version;

use crate::shop::{Answer, Ask, NOW, answer, ask, is_right, load, open, pods, versions};

/// What an operator does next.
#[derive(Clone, Debug)]
enum Move {
    Release(usize, Option<Step>),
    Percent(usize, u8),
    Rollback,
    RollbackOf(usize),
}

const VERSIONS: [&str; 5] = ["1.0.0", "1.1.0", "2.0.0", "2.1.0", "3.0.0"];

fn operator_move() -> impl Strategy<Value = Move> {
    let version = 0..VERSIONS.len();
    let step = select(vec![
        Step::Staged,
        Step::Live,
        Step::Current,
        Step::Retired,
        Step::Removed,
    ]);
    prop_oneof![
        6 => version.clone().prop_map(|version| Move::Release(version, None)),
        4 => (version.clone(), step).prop_map(|(version, step)| Move::Release(version, Some(step))),
        2 => (version.clone(), 0..=100_u8).prop_map(|(version, percent)| Move::Percent(version, percent)),
        2 => Just(Move::Rollback),
        1 => version.prop_map(Move::RollbackOf),
    ]
}

fn version(index: usize) -> Version {
    Version::parse(VERSIONS[index].as_bytes()).expect("a version")
}

fn spec(index: usize, step: Option<Step>, percent: Option<u8>) -> ReleaseSpec {
    ReleaseSpec {
        version: version(index),
        step,
        drain_until: NOW + 24 * 60 * 60,
        percent,
        route: None,
        labels: Map::new(),
    }
}

impl Move {
    fn plan(&self, loaded: &LoadedConfig) -> Result<Vec<Edit>, Refusal> {
        let lifecycle = Lifecycle::new(loaded, NOW);
        match self {
            Self::Release(version, step) => lifecycle.release(&spec(*version, *step, None)),
            Self::Percent(version, percent) => {
                lifecycle.release(&spec(*version, Some(Step::Current), Some(*percent)))
            }
            Self::Rollback => lifecycle.rollback(None, None),
            Self::RollbackOf(bad) => lifecycle.rollback(Some(&version(*bad)), None),
        }
    }
}

fn after(loaded: &LoadedConfig, edits: &[Edit]) -> LoadedConfig {
    let mut root = loaded.json.clone();
    apply(edits, &mut root, Reader::Plugin);
    load(&root).expect("the tool makes right configurations")
}

fn beginning(has_current: bool) -> LoadedConfig {
    let mut root = json!({
        "releases": [{"version": "1.0.0"}],
        "sources": [{"header": "x-bundle-version"}, {"query": "dpl"}],
        "pinCookie": {"name": "pin"},
        "revision": 1,
    });
    if has_current {
        root["current"] = json!("1.0.0");
    }
    load(&root).expect("a right configuration")
}

proptest! {
    /// Two gateways, one a step behind the other, throughout a life; a tab continues at either.
    #[test]
    fn no_tab_is_skewed_by_any_steps_that_the_tool_makes(
        has_current in any::<bool>(),
        moves in proptest::collection::vec(operator_move(), 1..16),
        visits in proptest::collection::vec((any::<bool>(), any::<u32>(), any::<Index>(), ask()), 16),
    ) {
        let mut old = beginning(has_current);
        let mut tabs: Vec<String> = vec!["1.0.0".to_owned()];
        for operator_move in &moves {
            let Ok(edits) = operator_move.plan(&old) else { continue };
            if edits.is_empty() {
                continue;
            }
            let is_removal = edits.iter().any(|edit| matches!(edit, Edit::Remove(_)));
            let new = after(&old, &edits);
            prop_assert!(new.config.revision > old.config.revision);
            let pods = pods(&old);
            let opened_before = tabs.clone();
            for (is_ahead, visitor, pod, ask) in &visits {
                let (one, other) = if *is_ahead { (&new, &old) } else { (&old, &new) };
                let fresh = open(one, *visitor, &pods, *pod);
                // Time stands still within a step here.
                let ask = Ask { after: 0, ..ask.clone() };
                for tab in opened_before.iter().chain([&fresh]) {
                    let request = ask.of(tab, &old);
                    let given = answer(other, &request);
                    let is_final = given == Answer::Reload && answer(&new, &request) == Answer::Reload;
                    let was_gone = *tab != fresh
                        && given == Answer::Reload
                        && answer(&old, &request) == Answer::Reload;
                    prop_assert!(
                        is_final || was_gone || is_right(other, tab, &given, ask.is_asset, &pods),
                        "a tab of {tab}: {given:?}\n{operator_move:?}\nfrom {}\nto {}", old.json, new.json
                    );
                }
                tabs.push(fresh);
            }
            tabs.sort();
            tabs.dedup();
            // Whoever takes a release off the list asserts that it has no open tabs.
            if is_removal {
                let listed = versions(&new, |_| true);
                tabs.retain(|tab| listed.contains(tab));
            }
            old = new;
        }
    }

    #[test]
    fn the_two_everyday_steps_are_always_possible_and_complete_a_deployment(
        releases in 1..VERSIONS.len(),
    ) {
        let mut loaded = beginning(true);
        for index in 1..=releases.min(VERSIONS.len() - 1) {
            for _ in 0..2 {
                let edits = Lifecycle::new(&loaded, NOW).release(&spec(index, None, None));
                let edits = edits.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
                prop_assert!(!edits.is_empty());
                loaded = after(&loaded, &edits);
            }
            let current = loaded.policy.current.as_ref().map(|current| current.heaviest.version.clone());
            prop_assert_eq!(current, Some(version(index)));
            let third = Lifecycle::new(&loaded, NOW).release(&spec(index, None, None));
            prop_assert!(third.is_ok_and(|edits| edits.is_empty()));
        }
        let before_last = VERSIONS[releases - 1].to_owned();
        let back = Lifecycle::new(&loaded, NOW).rollback(None, None);
        let back = back.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
        let back = after(&loaded, &back);
        let current = back.policy.current.as_ref().map(|current| current.heaviest.version.to_string());
        prop_assert_eq!(current, Some(before_last));
        prop_assert_eq!(
            versions(&back, |release| release.state == State::Retired),
            vec![VERSIONS[releases].to_owned()]
        );
        let again = Lifecycle::new(&back, NOW).rollback(None, None);
        prop_assert!(again.is_ok_and(|edits| edits.is_empty()));
    }
}
