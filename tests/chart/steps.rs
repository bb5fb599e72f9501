//! Every step of a release's life is one upgrade that a mesh may learn in any order, and whose part
//! the plugin may refuse.
//!
//! A tab opens its page at any gateway between two upgrades and continues at any other; no answer may come from another
//! release than the page's, and none may fail.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use crate::gateway::{Answer, Gateway, Rendering, Sent};
use crate::helm;

/// What every upgrade has besides its releases.
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

/// Everything but `releases` and `current` is the same in all.
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

#[test]
fn every_step_of_a_whole_life_is_safe_alone() -> Result<()> {
    assert_safe(&[
        OLD_ALONE,
        NEW_STAGED,
        NEW_LIVE,
        NEW_FOR_A_FEW,
        NEW_FOR_MOST,
        NEW_CURRENT,
        OLD_RETIRED,
        OLD_REMOVED,
    ])
}

#[test]
fn the_two_steps_of_every_day_are_safe_alone() -> Result<()> {
    assert_safe(&[OLD_ALONE, NEW_LIVE, NEW_CURRENT])
}

#[test]
fn a_rollback_is_one_safe_step_forward_from_wherever_the_roll_out_stands() -> Result<()> {
    for stage in [
        NEW_STAGED,
        NEW_LIVE,
        NEW_FOR_A_FEW,
        NEW_FOR_MOST,
        NEW_CURRENT,
    ] {
        assert_safe(&[stage, ROLLED_BACK])?;
    }
    Ok(())
}

#[test]
fn forward_from_a_bad_release_is_as_safe() -> Result<()> {
    assert_safe(&[OLD_RETIRED, NEXT_LIVE, FORWARD_FROM_A_BAD_ONE])
}

#[test]
fn the_steps_around_the_rolling_update_of_plain_deployments_are_safe_alone() -> Result<()> {
    assert_safe(&[PLAIN_OLD, PLAIN_BOTH, PLAIN_NEW, PLAIN_OLD_REMOVED])
}

#[test]
fn a_rolling_update_of_plain_deployments_is_rolled_back_by_safe_steps() -> Result<()> {
    assert_safe(&[PLAIN_BOTH, PLAIN_NEW_DRAINING, PLAIN_NEW_RETIRED])?;
    assert_safe(&[PLAIN_NEW, PLAIN_NEW_DRAINING])
}

#[test]
fn going_over_to_one_deployment_per_release_and_back_is_safe() -> Result<()> {
    assert_safe(&[PLAIN_OLD, OLD_ALONE, PLAIN_OLD])
}

#[test]
fn where_the_plugin_passes_through_only_current_is_shown_at_every_step() -> Result<()> {
    let life = [
        OLD_ALONE,
        NEW_STAGED,
        NEW_LIVE,
        NEW_FOR_A_FEW,
        NEW_FOR_MOST,
        NEW_CURRENT,
        ROLLED_BACK,
    ];
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
    let harm = harm(&keep_none(NEW_CURRENT)?, &keep_none(ROLLED_BACK)?)?;
    assert!(
        harm.contains(r#"a page at ["new", "new", "old"]: Unavailable"#),
        "{harm:#?}"
    );
    Ok(())
}

#[test]
fn a_release_that_goes_straight_into_current_is_not_safe() -> Result<()> {
    let harm = harm(&rendering(OLD_ALONE)?, &rendering(NEW_CURRENT)?)?;
    assert!(
        harm.contains(r#"a tab of 2.0.0 at ["old", "old", "old"]: Reload"#),
        "{harm:#?}"
    );
    Ok(())
}

#[test]
fn what_helm_rollback_does_is_not_safe_where_it_jumps_over_steps() -> Result<()> {
    let harm = harm(&rendering(NEW_CURRENT)?, &rendering(OLD_ALONE)?)?;
    assert!(
        harm.contains(r#"a page at ["old", "new", "old"]: Unavailable"#),
        "{harm:#?}"
    );
    assert!(
        harm.contains(r#"a page at ["new", "new", "old"]: Unavailable"#),
        "{harm:#?}"
    );
    Ok(())
}

#[test]
fn one_step_back_is_as_safe_as_one_forward() -> Result<()> {
    assert_safe(&[
        NEW_CURRENT,
        NEW_FOR_MOST,
        NEW_FOR_A_FEW,
        NEW_LIVE,
        NEW_STAGED,
    ])?;
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
    let beside_another = harm(&rendering(NEW_CURRENT)?, &renamed(NEW_CURRENT)?)?;
    let skewed = r#"a tab of 1.0.0 at ["new", "old", "old"]: Pods("v2-0-0")"#;
    assert!(beside_another.contains(skewed), "{beside_another:#?}");
    Ok(())
}

#[test]
fn a_listed_release_keeps_its_route() -> Result<()> {
    let renamed = r#"
releases: [{version: "1.0.0", route: blue, labels: {version: v1-0-0}}]
current: "1.0.0"
"#;
    let harm = harm(&rendering(OLD_ALONE)?, &rendering(renamed)?)?;
    assert!(
        harm.contains(r#"a page at ["new", "new", "old"]: Unavailable"#),
        "{harm:#?}"
    );
    Ok(())
}
