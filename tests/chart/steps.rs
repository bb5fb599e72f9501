//! Every step of a release's life is one upgrade that a mesh may learn in any order, and whose part
//! the plugin may refuse.
//!
//! A tab opens its page at any gateway between two upgrades and continues at any other; no answer may come from another
//! release than the page's, and none may fail.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use crate::gateway::{Answer, Gateway, Rendering, Sent};
use crate::helm;

/// The values that every upgrade has besides its releases.
const CONFIG: &str = r#"
config:
  sources: [{header: x-bundle-version}, {query: dpl}, {path: "/assets/v-{version}/"}]
  pinCookie: {name: pin}
  pinnedNavigation: [/checkout]
"#;

/// Positions of visitors among weighted releases.
const VISITORS: [u32; 8] = [
    0,
    0x2000_0000,
    0x4000_0000,
    0x6000_0000,
    0x8000_0000,
    0xa000_0000,
    0xc000_0000,
    u32::MAX,
];

const OLD_ALONE: &str = r#"
releases: [{version: "1.0.0"}]
current: "1.0.0"
"#;
const NEW_STAGED: &str = r#"
releases: [{version: "2.0.0", state: staged}, {version: "1.0.0"}]
current: "1.0.0"
"#;
const NEW_LIVE: &str = r#"
releases: [{version: "2.0.0"}, {version: "1.0.0"}]
current: "1.0.0"
"#;
const NEW_FOR_A_FEW: &str = r#"
releases: [{version: "2.0.0"}, {version: "1.0.0"}]
current: [{version: "2.0.0", weight: 10}, {version: "1.0.0", weight: 90}]
"#;
const NEW_FOR_MOST: &str = r#"
releases: [{version: "2.0.0"}, {version: "1.0.0"}]
current: [{version: "2.0.0", weight: 90}, {version: "1.0.0", weight: 10}]
"#;
const NEW_CURRENT: &str = r#"
releases: [{version: "2.0.0"}, {version: "1.0.0", state: draining}]
current: "2.0.0"
"#;
const OLD_RETIRED: &str = r#"
releases: [{version: "2.0.0"}, {version: "1.0.0", state: retired}]
current: "2.0.0"
"#;
const OLD_REMOVED: &str = r#"
releases: [{version: "2.0.0"}]
current: "2.0.0"
"#;
const ROLLED_BACK: &str = r#"
releases: [{version: "2.0.0", state: retired}, {version: "1.0.0"}]
current: "1.0.0"
"#;
const NEXT_LIVE: &str = r#"
releases: [{version: "3.0.0"}, {version: "2.0.0"}, {version: "1.0.0", state: retired}]
current: "2.0.0"
"#;
const FORWARD_FROM_A_BAD_ONE: &str = r#"
releases: [{version: "3.0.0"}, {version: "2.0.0", state: retired}, {version: "1.0.0", state: retired}]
current: "3.0.0"
"#;

/// The states between the old release alone and the new one in current.
const ROLL_OUT: [&str; 5] = [
    NEW_STAGED,
    NEW_LIVE,
    NEW_FOR_A_FEW,
    NEW_FOR_MOST,
    NEW_CURRENT,
];

const PLAIN_OLD: &str = r#"
releases: [{version: "1.0.0"}]
current: ""
"#;
const PLAIN_BOTH: &str = r#"
releases: [{version: "2.0.0"}, {version: "1.0.0"}]
current: ""
"#;
const PLAIN_NEW: &str = r#"
releases: [{version: "2.0.0"}, {version: "1.0.0", state: retired}]
current: ""
"#;
const PLAIN_NEW_DRAINING: &str = r#"
releases: [{version: "2.0.0", state: draining}, {version: "1.0.0"}]
current: ""
"#;
const PLAIN_NEW_RETIRED: &str = r#"
releases: [{version: "2.0.0", state: retired}, {version: "1.0.0"}]
current: ""
"#;
const PLAIN_OLD_REMOVED: &str = r#"
releases: [{version: "2.0.0"}]
current: ""
"#;

/// The rendering of these releases; everything else is always the same.
fn rendering(releases: &str) -> Result<Rendering> {
    Rendering::of(helm::render(&format!("{releases}{CONFIG}"))?)
}

/// What can go wrong between these upgrades, whatever a gateway has learned of each.
fn harm(old: &Rendering, new: &Rendering) -> Result<BTreeSet<String>> {
    let mut harm = BTreeSet::new();
    let gateways = Gateway::between(old, new);
    let mut tabs: BTreeSet<String> = served(old)?;
    for gateway in &gateways {
        for visitor in VISITORS {
            match gateway.answer(&Sent::navigation(visitor))? {
                Answer::Pods(route) => {
                    tabs.insert(version_of(&route, old, new)?);
                }
                Answer::AnyPod if old.policy.current.is_none() || new.policy.current.is_none() => {}
                answer => {
                    harm.insert(format!("a page at {:?}: {answer:?}", gateway.learned));
                }
            }
        }
    }
    for tab in &tabs {
        let may_be_told = !served(new)?.contains(tab);
        for gateway in &gateways {
            for request in [Sent::fetch(tab), Sent::asset(tab)] {
                let answer = gateway.answer(&request)?;
                let is_right = is_of(&answer, tab) || (may_be_told && answer == Answer::Reload);
                if !is_right {
                    harm.insert(format!(
                        "a tab of {tab} at {:?}: {answer:?}",
                        gateway.learned
                    ));
                }
            }
            let answer = gateway.answer(&Sent::checkout(tab))?;
            let is_right = is_of(&answer, tab)
                || (may_be_told && matches!(answer, Answer::Pods(_) | Answer::AnyPod));
            if !is_right {
                harm.insert(format!(
                    "a checkout of {tab} at {:?}: {answer:?}",
                    gateway.learned
                ));
            }
        }
    }
    Ok(harm)
}

/// The versions whose tabs are answered: those of releases that are neither retired nor staged.
fn served(rendering: &Rendering) -> Result<BTreeSet<String>> {
    let releases = rendering.policy.releases.iter();
    Ok(releases
        .filter(|release| release.is_served(|| 0))
        .map(|release| release.version.to_string())
        .collect())
}

/// The version whose page these pods have.
fn version_of(route: &str, old: &Rendering, new: &Rendering) -> Result<String> {
    let mut releases = old.policy.releases.iter().chain(&new.policy.releases);
    let release = releases
        .find(|release| release.route == route)
        .context("no release of this route")?;
    Ok(release.version.to_string())
}

fn is_of(answer: &Answer, version: &str) -> bool {
    *answer == Answer::Pods(format!("v{}", version.replace('.', "-")))
}

#[track_caller]
fn assert_safe(steps: &[&str]) -> Result<()> {
    for step in steps.windows(2) {
        let (old, new) = (rendering(step[0])?, rendering(step[1])?);
        let harm = harm(&old, &new)?;
        assert!(harm.is_empty(), "from{}to{}{harm:#?}", step[0], step[1]);
    }
    Ok(())
}

/// Going from one to the other does this harm, among others.
#[track_caller]
fn assert_does_harm(old: &Rendering, new: &Rendering, expected: &str) -> Result<()> {
    let harm = harm(old, new)?;
    assert!(harm.contains(expected), "{harm:#?}");
    Ok(())
}

#[test]
fn every_step_of_a_release_s_life_is_safe_by_itself() -> Result<()> {
    let life = [&[OLD_ALONE][..], &ROLL_OUT, &[OLD_RETIRED, OLD_REMOVED]];
    assert_safe(&life.concat())
}

#[test]
fn the_two_everyday_steps_are_safe_by_themselves() -> Result<()> {
    assert_safe(&[OLD_ALONE, NEW_LIVE, NEW_CURRENT])
}

#[test]
fn at_any_point_of_a_roll_out_a_rollback_is_one_safe_step() -> Result<()> {
    ROLL_OUT
        .iter()
        .try_for_each(|state| assert_safe(&[state, ROLLED_BACK]))
}

#[test]
fn replacing_a_bad_release_with_a_newer_one_is_as_safe() -> Result<()> {
    assert_safe(&[OLD_RETIRED, NEXT_LIVE, FORWARD_FROM_A_BAD_ONE])
}

#[test]
fn the_steps_of_a_rolling_update_of_plain_deployments_are_safe_by_themselves() -> Result<()> {
    assert_safe(&[PLAIN_OLD, PLAIN_BOTH, PLAIN_NEW, PLAIN_OLD_REMOVED])
}

#[test]
fn a_rolling_update_of_plain_deployments_is_rolled_back_in_safe_steps() -> Result<()> {
    assert_safe(&[PLAIN_BOTH, PLAIN_NEW_DRAINING, PLAIN_NEW_RETIRED])?;
    assert_safe(&[PLAIN_NEW, PLAIN_NEW_DRAINING])
}

#[test]
fn changing_to_one_deployment_per_release_and_back_is_safe() -> Result<()> {
    assert_safe(&[PLAIN_OLD, OLD_ALONE, PLAIN_OLD])
}

#[test]
fn without_the_plugin_every_step_shows_only_current() -> Result<()> {
    let life = [&[OLD_ALONE][..], &ROLL_OUT, &[ROLLED_BACK]].concat();
    for step in life.windows(2) {
        let (old, new) = (rendering(step[0])?, rendering(step[1])?);
        for gateway in Gateway::between(&old, &new) {
            for path in ["/", "/api/cart"] {
                let answer = gateway.answer_without_plugin(path)?;
                let is_current = [&old, &new].iter().any(|rendering| {
                    let current = rendering
                        .policy
                        .current
                        .as_ref()
                        .map(|current| current.heaviest.version.to_string());
                    current.is_some_and(|current| is_of(&answer, &current))
                });
                assert!(
                    is_current,
                    "{answer:?} at {:?} from{}to{}",
                    gateway.learned, step[0], step[1]
                );
            }
        }
    }
    Ok(())
}

#[test]
fn a_rollback_would_be_an_outage_if_the_bad_release_lost_its_routes_at_once() -> Result<()> {
    let keep_none = |releases: &str| rendering(&format!("{releases}\nkeepRetired: 0"));
    let (old, new) = (keep_none(NEW_CURRENT)?, keep_none(ROLLED_BACK)?);
    assert_does_harm(
        &old,
        &new,
        r#"a page at ["new", "new", "old"]: Unavailable"#,
    )
}

#[test]
fn a_release_that_goes_straight_into_current_is_not_safe() -> Result<()> {
    let (old, new) = (rendering(OLD_ALONE)?, rendering(NEW_CURRENT)?);
    assert_does_harm(
        &old,
        &new,
        r#"a tab of 2.0.0 at ["old", "old", "old"]: Reload"#,
    )
}

#[test]
fn helm_rollback_is_not_safe_if_it_skips_steps() -> Result<()> {
    let (old, new) = (rendering(NEW_CURRENT)?, rendering(OLD_ALONE)?);
    assert_does_harm(
        &old,
        &new,
        r#"a page at ["old", "new", "old"]: Unavailable"#,
    )?;
    assert_does_harm(
        &old,
        &new,
        r#"a page at ["new", "new", "old"]: Unavailable"#,
    )
}

#[test]
fn a_step_back_is_as_safe_as_a_step_forward() -> Result<()> {
    let mut backwards = ROLL_OUT;
    backwards.reverse();
    assert_safe(&backwards)?;
    assert_safe(&[NEW_CURRENT, NEW_LIVE])
}

#[test]
fn the_route_header_changes_safely_while_a_single_release_is_served() -> Result<()> {
    let renamed = |releases: &str| {
        let config = CONFIG.replace("config:\n", "config:\n  routeHeader: x-shop-release\n");
        Rendering::of(helm::render(&format!("{releases}{config}"))?)
    };
    let alone = harm(&rendering(OLD_RETIRED)?, &renamed(OLD_RETIRED)?)?;
    assert!(alone.is_empty(), "{alone:#?}");
    let (old, new) = (rendering(NEW_CURRENT)?, renamed(NEW_CURRENT)?);
    let skewed = r#"a tab of 1.0.0 at ["new", "old", "old"]: Pods("v2-0-0")"#;
    assert_does_harm(&old, &new, skewed)
}

#[test]
fn a_listed_release_keeps_its_route() -> Result<()> {
    let renamed = r#"
releases: [{version: "1.0.0", route: blue, labels: {version: v1-0-0}}]
current: "1.0.0"
"#;
    let (old, new) = (rendering(OLD_ALONE)?, rendering(renamed)?);
    assert_does_harm(
        &old,
        &new,
        r#"a page at ["new", "new", "old"]: Unavailable"#,
    )
}
