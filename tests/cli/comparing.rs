//! `diff`: which steps are safe while gateways disagree, and why others are not.

use crate::tool::{Desk, Run};

const AT: &str = "2026-11-21T12:00:00Z";

fn diff(old: &str, new: &str) -> Run {
    let desk = Desk::new();
    desk.write("old.json", old).write("new.json", new);
    desk.run(&["diff", "old.json", "new.json", "--now", AT])
}

const ONE: &str = r#"{"releases":[{"version":"1.0.0"}],"current":"1.0.0"}"#;
const LISTED: &str = r#"{"releases":[{"version":"2.0.0"},{"version":"1.0.0"}],"current":"1.0.0"}"#;
const TWO: &str = r#"{"releases":[{"version":"2.0.0"},{"version":"1.0.0","state":"draining","until":"2026-11-22T12:00:00Z"}],"current":"2.0.0"}"#;
const BACK: &str =
    r#"{"releases":[{"version":"2.0.0","state":"retired"},{"version":"1.0.0"}],"current":"1.0.0"}"#;
const RETIRED: &str =
    r#"{"releases":[{"version":"2.0.0"},{"version":"1.0.0","state":"retired"}],"current":"2.0.0"}"#;
const REMOVED: &str = r#"{"releases":[{"version":"2.0.0"}],"current":"2.0.0"}"#;

#[test]
fn the_steps_of_a_life_are_safe() {
    for step in [ONE, LISTED, TWO, RETIRED, REMOVED].windows(2) {
        diff(step[0], step[1])
            .ends(0)
            .says("safe: gateways may learn it in any order");
    }
}

#[test]
fn a_rollback_is_safe_in_one_step_from_wherever_the_roll_out_stands() {
    diff(TWO, BACK).ends(0);
    diff(LISTED, BACK).ends(0);
}

#[test]
fn a_release_straight_into_current_is_not_safe_and_the_two_steps_are_named() {
    diff(ONE, TWO)
        .ends(1)
        .says("2.0.0 is given to visitors by a gateway that has the new configuration, while it is not listed")
        .says("1. list 2.0.0 as live\n")
        .says("2. 1.0.0: live becomes draining until 2026-11-22T12:00:00Z; current: 1.0.0 becomes 2.0.0");
}

#[test]
fn a_staged_release_straight_into_current_is_not_safe() {
    let staged = r#"{"releases":[{"version":"2.0.0","state":"staged"},{"version":"1.0.0"}],"current":"1.0.0"}"#;
    diff(staged, TWO).ends(1).says("it is staged");
}

#[test]
fn going_back_to_a_retired_release_takes_a_step_more() {
    diff(RETIRED, BACK)
        .ends(1)
        .says("1.0.0 is given to visitors")
        .says("it is retired")
        .says("1. 1.0.0: retired becomes live");
}

#[test]
fn going_back_to_a_release_that_is_about_to_have_drained_takes_a_step_more() {
    let about_to_end = TWO.replace("2026-11-22T12:00:00Z", "2026-11-21T12:10:00Z");
    diff(&about_to_end, BACK).ends(1).says("it is retired");
}

#[test]
fn a_release_that_visitors_still_get_is_not_taken_off_the_list() {
    diff(TWO, ONE)
        .ends(1)
        .says("2.0.0 is taken off the list, and its routes with it, while")
        .says("safe, each when");
}

#[test]
fn what_was_gone_stays_gone_or_the_removal_is_unsafe_until_its_tabs_are_closed() {
    let with = |configuration: &str| {
        configuration.replace(
            r#","current":"2.0.0""#,
            r#","current":"2.0.0","unknownVersion":"current""#,
        )
    };
    diff(&with(RETIRED), &with(REMOVED))
        .ends(1)
        .says("1.0.0 is taken off the list")
        .says("a tab of 1.0.0 would be answered by another release")
        .says("Safe when no tab of 1.0.0 can be open any more")
        .says("no order of these changes is safe");
    let drained = TWO.replace("2026-11-22", "2026-11-20");
    diff(&with(&drained), &with(REMOVED))
        .ends(1)
        .says("(it drained until 2026-11-20T12:00:00Z)");
    let plain = r#"{"releases":[{"version":"b0c1"},{"version":"a1b2","state":"retired"}]}"#;
    diff(plain, r#"{"releases":[{"version":"b0c1"}]}"#)
        .ends(1)
        .says("leaves versions that it does not know to");
    let semver = r#"{"releases":[{"version":"2.0.0"},{"version":"1.0.0","state":"retired"}]}"#;
    diff(semver, r#"{"releases":[{"version":"2.0.0"}]}"#).ends(0);
}

#[test]
fn a_source_that_tabs_rely_on_is_not_dropped_while_two_releases_are_open() {
    let with = |sources: &str| LISTED.replace("}]", &format!("}}],\"sources\":[{sources}]"));
    diff(
        &with(r#"{"header":"x-a"},{"query":"v"}"#),
        &with(r#"{"header":"x-a"}"#),
    )
    .ends(1)
    .says("query \"v\" is not read any more");
    diff(
        &with(r#"{"header":"x-a"}"#),
        &with(r#"{"header":"x-a"},{"query":"v"}"#),
    )
    .ends(0);
}

#[test]
fn a_pin_cookie_and_weights_are_two_steps() {
    let weighted = r#"{"releases":[{"version":"2.0.0"},{"version":"1.0.0"}],"current":[{"version":"2.0.0","weight":10},{"version":"1.0.0","weight":90}],"pinCookie":{"name":"pin"}}"#;
    diff(LISTED, weighted)
        .ends(1)
        .says("does not see the version of such a page in pinCookie \"pin\"")
        .says("1. change pinCookie")
        .says("2. current: 1.0.0 becomes 2.0.0 (10) and 1.0.0 (90)");
}

#[test]
fn routes_stay_with_their_releases() {
    diff(
        ONE,
        r#"{"releases":[{"version":"1.0.0","route":"blue"}],"current":"1.0.0"}"#,
    )
    .ends(1)
    .says("the route of 1.0.0 changes from 1.0.0 to blue");
    let blue = r#"{"releases":[{"version":"1.0.0","route":"blue"}],"current":"1.0.0"}"#;
    let reused = r#"{"releases":[{"version":"2.0.0","route":"blue"},{"version":"1.0.0","state":"retired"}],"current":"2.0.0"}"#;
    diff(blue, reused)
        .ends(1)
        .says("the route blue of 1.0.0 goes over to 2.0.0");
}

#[test]
fn the_route_header_changes_only_while_one_release_is_served() {
    let renamed =
        |configuration: &str| configuration.replace("}]", r#"}],"routeHeader":"x-other""#);
    diff(ONE, &renamed(ONE)).ends(0);
    diff(LISTED, &renamed(LISTED))
        .ends(1)
        .says("routeHeader changes from x-release to x-other");
}

#[test]
fn scope_and_enforcement_are_kept_while_tabs_of_another_release_are_open() {
    let with =
        |configuration: &str, keys: &str| configuration.replace("}]", &format!("}}],{keys}"));
    diff(
        &with(TWO, r#""hosts":["a.example","b.example"]"#),
        &with(TWO, r#""hosts":["a.example"]"#),
    )
    .ends(1)
    .says("b.example/any is not guarded any more");
    diff(TWO, &with(TWO, r#""paths":["/app"]"#))
        .ends(1)
        .says("/any is not guarded any more");
    diff(TWO, &with(TWO, r#""enforce":false"#))
        .ends(1)
        .says("enforce is switched off");
    diff(&with(TWO, r#""hosts":["a.example"]"#), TWO).ends(0);
}

#[test]
fn a_revision_that_does_not_grow_is_noted() {
    let with = |configuration: &str, revision: u32| {
        configuration.replace("}]", &format!("}}],\"revision\":{revision}"))
    };
    diff(&with(ONE, 7), &with(LISTED, 7))
        .ends(0)
        .says("note: the revision goes from 7 to 7");
    diff(&with(ONE, 7), &with(LISTED, 8))
        .ends(0)
        .never_says("note");
}

#[test]
fn a_plain_rolling_update_is_safe_and_its_last_step_waits_for_the_last_pod() {
    let plain = |releases: &str| format!(r#"{{"releases":[{releases}]}}"#);
    let old = plain(r#"{"version":"1.0.0"}"#);
    let both = plain(r#"{"version":"2.0.0"},{"version":"1.0.0"}"#);
    let new = plain(r#"{"version":"2.0.0"},{"version":"1.0.0","state":"retired"}"#);
    diff(&old, &both).ends(0).never_says("note");
    diff(&both, &new)
        .ends(0)
        .says("take this step when the last of its pods is gone");
}

#[test]
fn configurations_of_one_name_are_compared() {
    let desk = Desk::new();
    let manifest = |name: &str, configuration: &str| {
        format!(
            "kind: WasmPlugin\nmetadata: {{name: {name}}}\nspec: {{pluginConfig: {configuration}}}\n---\n"
        )
    };
    desk.write(
        "old.yaml",
        &[manifest("a", ONE), manifest("b", ONE)].concat(),
    );
    desk.write(
        "new.yaml",
        &[manifest("b", TWO), manifest("a", LISTED)].concat(),
    );
    let answer = desk.json(&["diff", "old.yaml", "new.yaml", "--now", AT]);
    let steps = answer["steps"].as_array().expect("steps");
    assert_eq!(steps[0]["name"], "WasmPlugin b");
    assert_eq!(steps[0]["safe"], false);
    assert_eq!(steps[0]["hazards"][0]["hazard"], "too_early");
    assert_eq!(steps[0]["safeSteps"].as_array().map(Vec::len), Some(2));
    assert_eq!(steps[1]["name"], "WasmPlugin a");
    assert_eq!(steps[1]["safe"], true);
}

#[test]
fn a_wrong_configuration_is_no_side_of_a_comparison() {
    let run = diff(ONE, r#"{"releases":[]}"#).ends(2);
    assert!(run.err.contains("new.json"), "{run:?}");
}
