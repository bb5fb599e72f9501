//! `diff`: which steps are safe while gateways disagree, and why others are not.

use crate::tool::{Run, Workspace};

const AT: &str = "2026-11-21T12:00:00Z";

fn diff(old: &str, new: &str) -> Run {
    let workspace = Workspace::new();
    workspace.write("old.json", old).write("new.json", new);
    workspace.run(&["diff", "old.json", "new.json", "--now", AT])
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
        .says("a gateway with the new configuration gives visitors 2.0.0, while it is not listed")
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
        .says("gives visitors 1.0.0")
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
        .says("safe, if each waits");
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
        .says("Safe once no tab of 1.0.0 can be open")
        .says("no order of these changes is safe");
    let drained = TWO.replace("2026-11-22", "2026-11-20");
    diff(&with(&drained), &with(REMOVED))
        .ends(1)
        .says("(it was draining until 2026-11-20T12:00:00Z)");
    let plain = r#"{"releases":[{"version":"b0c1"},{"version":"a1b2","state":"retired"}]}"#;
    diff(plain, r#"{"releases":[{"version":"b0c1"}]}"#)
        .ends(1)
        .says("leaves unknown versions to");
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
    .says("query \"v\" is no longer read");
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
        .says("the route blue of 1.0.0 passes to 2.0.0");
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
    .says("b.example/any is no longer guarded");
    diff(TWO, &with(TWO, r#""paths":["/app"]"#))
        .ends(1)
        .says("/any is no longer guarded");
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
    let workspace = Workspace::new();
    let manifest = |name: &str, configuration: &str| {
        format!(
            "kind: WasmPlugin\nmetadata: {{name: {name}}}\nspec: {{pluginConfig: {configuration}}}\n---\n"
        )
    };
    workspace.write(
        "old.yaml",
        &[manifest("a", ONE), manifest("b", ONE)].concat(),
    );
    workspace.write(
        "new.yaml",
        &[manifest("b", TWO), manifest("a", LISTED)].concat(),
    );
    let answer = workspace.json(&["diff", "old.yaml", "new.yaml", "--now", AT]);
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
    diff(ONE, r#"{"releases":[]}"#)
        .ends(1)
        .says("new.json:1: releases: [] is not allowed");
}

/// A configuration with these keys and two releases that both have clients.
fn both(keys: &str) -> String {
    format!(
        r#"{{"releases":[{{"version":"2.0.0"}},{{"version":"1.4.2","state":"draining"}}],"current":"2.0.0"{keys}}}"#
    )
}

/// The same with one release.
fn alone(keys: &str) -> String {
    format!(r#"{{"releases":[{{"version":"2.0.0"}}],"current":"2.0.0"{keys}}}"#)
}

#[test]
fn a_release_goes_on_accepting_whom_it_accepts_while_their_tabs_live() {
    let with = |accepts: &str, keys: &str| {
        format!(
            r#"{{"releases":[{{"version":"2.0.0","accepts":[{accepts}]}}],"current":"2.0.0"{keys}}}"#
        )
    };
    diff(&with(r#""1.9.*""#, ""), &with("", ""))
        .ends(1)
        .says("2.0.0: accepts 1.9.* becomes none")
        .says(
            "2.0.0 no longer accepts 1.9.0: a tab of 1.9.0 that it answers would be told to reload",
        )
        .says("until then keep it in accepts");
    let lenient = r#","unknownVersion":"current""#;
    diff(&with(r#""1.9.*""#, lenient), &with("", lenient))
        .ends(1)
        .says("a tab of 1.9.0 would be left to 2.0.0");
    diff(&with(r#""1.9.0""#, ""), &with(r#""1.*""#, "")).ends(0);
    diff(&with("", ""), &with(r#""1.9.*""#, "")).ends(0);
    let retired = r#"{"releases":[{"version":"2.0.0"},{"version":"1.9.0","state":"retired"}],"current":"2.0.0"}"#;
    diff(&with(r#""1.9.*""#, ""), retired).ends(0);
}

#[test]
fn clients_that_another_release_accepts_do_not_go_to_one_that_has_no_pods_yet() {
    let before = r#"{"releases":[{"version":"2.0.0","accepts":["1.9.*"]}],"current":"2.0.0"}"#;
    let moved = r#"{"releases":[{"version":"2.1.0","accepts":["1.9.*"]},{"version":"2.0.0"}],"current":"2.0.0"}"#;
    diff(before, moved).ends(1).says(
        "API calls of 1.9.0 go from 2.0.0 to 2.1.0, which the old configuration does not list",
    );
    let listed = r#"{"releases":[{"version":"2.1.0"},{"version":"2.0.0","accepts":["1.9.*"]}],"current":"2.0.0"}"#;
    diff(listed, moved)
        .ends(0)
        .says("note: API calls of 1.9.0 go from 2.0.0 to 2.1.0, which both accept it");
}

#[test]
fn a_path_stays_pinned_while_tabs_of_another_release_are_open() {
    let unpinned = r#","unpinnedPaths":["/version.json"]"#;
    let more = r#","unpinnedPaths":["/version.json","/api"]"#;
    diff(&both(unpinned), &both(more))
        .ends(1)
        .says("/api is in unpinnedPaths now: a tab of 1.4.2, which its own release answers there, would be left to 2.0.0");
    diff(&alone(unpinned), &alone(more)).ends(0);
    diff(&both(more), &both(unpinned)).ends(0);
    let sources = r#","sources":[{"header":"x-v"},{"query":"v"},{"path":"/assets/v-{version}/"}]"#;
    diff(
        &both(sources),
        &both(&format!(r#"{sources},"unpinnedPaths":["/assets"]"#)),
    )
    .ends(1)
    .says("/assets is in unpinnedPaths now");
}

#[test]
fn a_page_of_a_new_release_does_not_meet_an_old_gateway_that_leaves_its_path_to_any() {
    let listed = |keys: &str| LISTED.replace("}]", &format!("}}]{keys}"));
    let unpinned = r#","unpinnedPaths":["/api"]"#;
    diff(&listed(unpinned), TWO)
        .ends(1)
        .says("leaves some requests of such a page to any release, because of its unpinnedPaths")
        .says("1. change unpinnedPaths")
        .says("2. 1.0.0: live becomes draining");
}

#[test]
fn a_page_load_that_was_pinned_stays_pinned_while_another_release_is_served() {
    let pinned = r#","pinnedNavigation":["/checkout"],"pinCookie":{"name":"pin"}"#;
    let not = r#","pinCookie":{"name":"pin"}"#;
    diff(&both(pinned), &both(not))
        .ends(1)
        .says("/checkout is no longer in pinnedNavigation: a visitor of 1.4.2 in the middle of it would get a page of 2.0.0");
    diff(&both(not), &both(pinned)).ends(0);
    diff(&alone(pinned), &alone(not)).ends(0);
    let by_header =
        r#","pinnedNavigation":["/checkout"],"sources":[{"header":"x-v"},{"query":"v"}]"#;
    let by_query = by_header.replace("/checkout", "/exam");
    diff(&both(by_header), &both(&by_query))
        .ends(1)
        .says("/checkout is no longer in pinnedNavigation");
}

#[test]
fn the_order_of_sources_is_kept_while_another_release_is_served() {
    let sources = |list: &str| format!(r#","sources":[{list}]"#);
    let (header, cookie) = (r#"{"header":"x-v"}"#, r#"{"cookie":"own"}"#);
    let first = sources(&format!("{header},{cookie}"));
    let last = sources(&format!("{cookie},{header}"));
    diff(&both(&first), &both(&last))
        .ends(1)
        .says(r#"cookie "own" would be read before header "x-v""#)
        .says("change sources");
    diff(&both(&sources(header)), &both(&last))
        .ends(1)
        .says(r#"cookie "own" would be read before header "x-v""#);
    diff(&both(&sources(header)), &both(&first)).ends(0);
    diff(&alone(&first), &alone(&last)).ends(0);
}

#[test]
fn a_pin_cookie_of_another_domain_or_path_has_another_name() {
    let cookie = |keys: &str| format!(r#","pinCookie":{{"name":"pin"{keys}}}"#);
    let plain = cookie("");
    for moved in [r#","domain":"shop.example""#, r#","path":"/app""#] {
        for (old, new) in [(&plain, &cookie(moved)), (&cookie(moved), &plain)] {
            diff(&alone(old), &alone(new))
                .ends(1)
                .says("the cookie \"pin\" gets another domain or path")
                .says("Give the cookie a new name");
        }
    }
    let renamed = r#","pinCookie":{"name":"pin2","path":"/app"}"#;
    diff(&alone(&plain), &alone(renamed)).ends(0);
    diff(&both(&plain), &both(renamed))
        .ends(1)
        .says("pinCookie \"pin\" is no longer read");
    diff(&both(&plain), &both("")).ends(1);
    diff(&alone(&plain), &alone(&cookie(r#","maxAgeSeconds":60"#))).ends(0);
}

#[test]
fn a_plugin_that_is_removed_or_renamed_is_not_passed_over() {
    let workspace = Workspace::new();
    let manifest = |name: &str, configuration: &str| {
        format!(
            "kind: WasmPlugin\nmetadata: {{name: {name}}}\nspec: {{pluginConfig: {configuration}}}\n---\n"
        )
    };
    let file = |plugins: &[(&str, &str)]| -> String {
        plugins
            .iter()
            .map(|(name, configuration)| manifest(name, configuration))
            .collect()
    };
    let diff = |old: &str, new: &str| {
        workspace.write("old.yaml", old).write("new.yaml", new);
        workspace.run(&["diff", "old.yaml", "new.yaml", "--now", AT])
    };
    let old = file(&[("a", TWO), ("b", ONE)]);
    diff(&old, &file(&[("b", ONE)]))
        .ends(1)
        .says("WasmPlugin a is gone: while several releases are served")
        .says("WasmPlugin b\nnothing changes");
    diff(&old, &file(&[("c", TWO), ("b", ONE)]))
        .ends(1)
        .says("If WasmPlugin c is the same under another name")
        .says("WasmPlugin c is new");
    diff(&file(&[("a", TWO)]), &file(&[("c", TWO)])).ends(1);
    diff(&old, &file(&[("a", TWO)]))
        .ends(0)
        .says("WasmPlugin b is removed");
    let answer = workspace.json(&["diff", "old.yaml", "new.yaml", "--now", AT]);
    assert_eq!(answer["steps"].as_array().map(Vec::len), Some(2));
    // A configuration is the same in whatever kind of file.
    workspace
        .write("old.json", TWO)
        .write("new.yaml", &file(&[("a", TWO)]));
    workspace
        .run(&["diff", "old.json", "new.yaml", "--now", AT])
        .ends(0)
        .says("nothing changes");
}

#[test]
fn releases_in_another_order_are_a_change() {
    let reordered = r#"{"releases":[{"version":"1.0.0"},{"version":"2.0.0"}],"current":"1.0.0"}"#;
    diff(LISTED, reordered).ends(0).says("reorder the releases");
}
