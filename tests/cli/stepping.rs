//! `release` and `rollback`: the next safe step, made in a file that keeps its comments and layout.

use crate::tool::Workspace;

const AT: &str = "2026-11-21T12:00:00Z";

/// A file as a team keeps it, with what an editor must not lose.
const VALUES: &str = r#"# Our shop.
releases:                 # newest first
  # the one that everybody has
  - {version: "2.0.0", route: v2-0-0, labels: {version: v2-0-0}}   # since Monday
  - {version: "1.4.2", route: v1-4-2, state: draining, until: "2026-11-21T11:00:00Z"}

current: "2.0.0"          # all of them

services: [{host: web, port: 80, paths: ["/"]}]
config:
  revision: 7             # for skew-guard wait
  sources: [{header: x-bundle-version}]
"#;

impl Workspace {
    fn step(&self, arguments: &[&str]) -> crate::tool::Run {
        self.run(&[arguments, &["--now", AT]].concat())
    }
}

#[test]
fn the_first_step_lists_a_release_as_the_others_are_listed_and_retires_what_has_drained() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    workspace
        .step(&["release", "shop.yaml", "2.1.0"])
        .ends(0)
        .says("list 2.1.0 as live")
        .says("skew-guard wait --revision 8");
    let expected = VALUES
        .replace(
            "  - {version: \"2.0.0\"",
            "  - {version: \"2.1.0\", route: \"v2-1-0\", labels: {version: \"v2-1-0\"}}\n  - {version: \"2.0.0\"",
        )
        .replace("state: draining", "state: retired")
        .replace("revision: 7 ", "revision: 8 ");
    assert_eq!(workspace.read("shop.yaml"), expected);
}

#[test]
fn the_second_step_puts_it_into_current_and_its_predecessor_to_draining() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    workspace.step(&["release", "shop.yaml", "2.1.0"]).ends(0);
    let before = workspace.read("shop.yaml");
    workspace
        .step(&["release", "shop.yaml", "2.1.0", "--drain-for", "6h"])
        .ends(0)
        .says("current: 2.0.0 becomes 2.1.0");
    let expected = before
        .replace(
            "labels: {version: v2-0-0}}",
            "labels: {version: v2-0-0}, state: draining, until: \"2026-11-21T18:00:00Z\"}",
        )
        .replace("current: \"2.0.0\"", "current: \"2.1.0\"")
        .replace("revision: 8 ", "revision: 9 ");
    assert_eq!(workspace.read("shop.yaml"), expected);
}

#[test]
fn when_nothing_is_left_to_do_nothing_is_done() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    workspace
        .step(&["release", "shop.yaml", "2.0.0"])
        .ends(0)
        .says("2.0.0 is current: nothing is left to do");
    assert_eq!(workspace.read("shop.yaml"), VALUES);
    let answer = workspace.json(&["release", "shop.yaml", "2.0.0"]);
    assert_eq!(answer["changed"], false);
}

#[test]
fn a_dry_run_shows_the_change_and_makes_none() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    workspace
        .step(&["release", "shop.yaml", "2.1.0", "--dry-run"])
        .ends(0)
        .says("+++ shop.yaml")
        .says("\n+  - {version: \"2.1.0\", route: \"v2-1-0\"")
        .says("\n-  revision: 7 ");
    assert_eq!(workspace.read("shop.yaml"), VALUES);
}

#[test]
fn a_rollback_is_one_step_and_a_second_one_does_nothing() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    workspace.step(&["release", "shop.yaml", "2.1.0"]).ends(0);
    workspace.step(&["release", "shop.yaml", "2.1.0"]).ends(0);
    workspace
        .step(&["rollback", "shop.yaml"])
        .ends(0)
        .says("2.1.0: live becomes retired")
        .says("current: 2.1.0 becomes 2.0.0");
    let after = workspace.read("shop.yaml");
    assert!(
        after.contains("labels: {version: v2-0-0}}   # since Monday"),
        "{after}"
    );
    workspace
        .step(&["rollback", "shop.yaml"])
        .ends(0)
        .says("it has already been rolled back");
    assert_eq!(workspace.read("shop.yaml"), after);
}

#[test]
fn a_rollback_in_the_middle_of_a_roll_out_leaves_current_alone() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    workspace.step(&["release", "shop.yaml", "2.1.0"]).ends(0);
    workspace
        .step(&["rollback", "shop.yaml"])
        .ends(0)
        .says("2.1.0: live becomes retired");
    assert!(workspace.read("shop.yaml").contains("current: \"2.0.0\""));
}

#[test]
fn going_back_to_a_release_that_has_drained_lists_it_first() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    workspace
        .step(&["rollback", "shop.yaml"])
        .ends(1)
        .says("no release older than 2.0.0 has pods to go back to");
    workspace
        .step(&["rollback", "shop.yaml", "--to", "1.4.2"])
        .ends(0)
        .says("1.4.2: draining until 2026-11-21T11:00:00Z becomes live");
    workspace
        .step(&["rollback", "shop.yaml"])
        .ends(0)
        .says("current: 2.0.0 becomes 1.4.2");
}

#[test]
fn a_release_to_go_back_to_is_never_ignored() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    workspace.step(&["release", "shop.yaml", "2.1.0"]).ends(0);
    let listed = workspace.read("shop.yaml");
    workspace
        .step(&["rollback", "shop.yaml", "--to", "1.4.2"])
        .ends(1)
        .says(
            "2.1.0 is not in current: rolling it back means retiring it, and sends nobody to 1.4.2",
        );
    assert_eq!(workspace.read("shop.yaml"), listed);
    workspace
        .step(&["rollback", "shop.yaml", "--to", "2.0.0"])
        .ends(0)
        .says("2.1.0: live becomes retired");
    let after = workspace.read("shop.yaml");
    workspace
        .step(&["rollback", "shop.yaml", "--to", "2.0.0"])
        .ends(0)
        .says("nothing is left to do");
    for to in ["1.4.2", "7.0.0"] {
        workspace
            .step(&["rollback", "shop.yaml", "--to", to])
            .ends(1)
            .says("2.1.0 is retired: it has already been rolled back, and not to")
            .says("name the bad release with --bad");
    }
    assert_eq!(workspace.read("shop.yaml"), after);
}

#[test]
fn nor_is_one_without_current() {
    let workspace = Workspace::new();
    let values = "releases:\n- version: \"2.0.0\"\n- version: \"1.0.0\"\n  state: retired\n- version: \"0.9.0\"\n  state: retired\n";
    workspace.write("shop.yaml", values);
    workspace
        .step(&["rollback", "shop.yaml", "--to", "1.0.0"])
        .ends(0);
    let drained = workspace.read("shop.yaml");
    workspace
        .step(&["rollback", "shop.yaml", "--to", "0.9.0"])
        .ends(1)
        .says("2.0.0 is draining");
    assert_eq!(workspace.read("shop.yaml"), drained);
    workspace
        .step(&["rollback", "shop.yaml", "--to", "1.0.0"])
        .ends(0)
        .says("2.0.0: draining becomes retired");
}

#[test]
fn a_step_can_be_named_and_one_that_makes_no_sense_or_is_not_safe_is_not_made() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    for (arguments, why) in [
        (
            ["release", "shop.yaml", "2.1.0", "--step", "current"],
            "2.1.0 is not listed yet",
        ),
        (
            ["release", "shop.yaml", "2.0.0", "--step", "retired"],
            "2.0.0 is current",
        ),
        (
            ["release", "shop.yaml", "1.4.2", "--step", "removed"],
            "only a retired release",
        ),
        (
            ["release", "shop.yaml", "2.0.0", "--step", "staged"],
            "2.0.0 is live already",
        ),
    ] {
        workspace.step(&arguments).ends(1).says(why);
    }
    assert_eq!(workspace.read("shop.yaml"), VALUES);
    workspace
        .step(&["release", "shop.yaml", "1.4.2", "--step", "retired"])
        .ends(0);
    workspace
        .step(&["release", "shop.yaml", "1.4.2", "--step", "removed"])
        .ends(0);
    assert!(!workspace.read("shop.yaml").contains("1.4.2"));
    workspace
        .step(&["release", "shop.yaml", "3.0.0", "--step", "staged"])
        .ends(0);
    workspace
        .step(&["release", "shop.yaml", "3.0.0"])
        .ends(0)
        .says("3.0.0: staged becomes live");
}

#[test]
fn a_removal_that_brings_clients_back_is_refused() {
    let workspace = Workspace::new();
    let values = VALUES
        .replace("state: draining", "state: retired")
        .replace("config:\n", "config:\n  unknownVersion: current\n");
    workspace.write("shop.yaml", &values);
    workspace
        .step(&["release", "shop.yaml", "1.4.2", "--step", "removed"])
        .ends(1)
        .says("Safe once no tab of 1.4.2 can be open");
    assert_eq!(workspace.read("shop.yaml"), values);
}

#[test]
fn a_share_of_the_visitors_first() {
    let workspace = Workspace::new();
    workspace.write(
        "shop.yaml",
        &VALUES.replace("config:\n", "config:\n  pinCookie: {name: pin}\n"),
    );
    workspace.step(&["release", "shop.yaml", "2.1.0"]).ends(0);
    let percent = [
        "release",
        "shop.yaml",
        "2.1.0",
        "--step",
        "current",
        "--percent",
    ];
    workspace.step(&[&percent[..], &["10"]].concat()).ends(0);
    assert!(
        workspace.read("shop.yaml").contains(
            r#"current: [{version: "2.1.0", weight: 10}, {version: "2.0.0", weight: 90}]"#
        ),
        "{}",
        workspace.read("shop.yaml")
    );
    workspace
        .step(&[&percent[..], &["50"]].concat())
        .ends(0)
        .says("2.1.0 (50) and 2.0.0 (50)");
    workspace
        .step(&["release", "shop.yaml", "2.1.0"])
        .ends(0)
        .says("current: 2.1.0 (50) and 2.0.0 (50) becomes 2.1.0")
        .says("2.0.0: live becomes draining");
}

#[test]
fn blocks_are_edited_as_blocks() {
    let workspace = Workspace::new();
    let manifest = "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata:
  name: shop-skew-guard
spec:
  url: oci://registry.example.com/skew-guard:1
  pluginConfig:
    revision: 3
    # all that we have
    releases:

      - version: 2.0.0
        # the route of the new chart
        route: blue-2.0.0

      - version: 1.4.2
        state: draining # soon gone

    current: 2.0.0
---
kind: Service
metadata: {name: shop}
";
    workspace.write("plugin.yaml", manifest);
    workspace.step(&["release", "plugin.yaml", "2.1.0"]).ends(0);
    let expected = manifest.replace("revision: 3", "revision: 4").replace(
        "      - version: 2.0.0\n",
        "      - version: \"2.1.0\"\n        route: \"blue-2.1.0\"\n      - version: 2.0.0\n",
    );
    assert_eq!(workspace.read("plugin.yaml"), expected);
    workspace.step(&["release", "plugin.yaml", "2.1.0"]).ends(0);
    let expected = expected
        .replace("revision: 4", "revision: 5")
        .replace("current: 2.0.0", "current: \"2.1.0\"")
        .replace(
            "route: blue-2.0.0\n",
            "route: blue-2.0.0\n        state: draining\n        until: \"2026-11-22T12:00:00Z\"\n",
        );
    assert_eq!(workspace.read("plugin.yaml"), expected);
}

#[test]
fn json_stays_json() {
    let workspace = Workspace::new();
    let json = "{\n  \"releases\": [\n    { \"version\": \"2.0.0\" },\n    { \"version\": \"1.4.2\", \"state\": \"retired\" }\n  ],\n  \"current\": \"2.0.0\"\n}\n";
    workspace.write("shop.json", json);
    workspace.step(&["release", "shop.json", "2.1.0"]).ends(0);
    let expected = json.replace(
        "    { \"version\": \"2.0.0\" }",
        "    { \"version\": \"2.1.0\" },\n    { \"version\": \"2.0.0\" }",
    );
    assert_eq!(workspace.read("shop.json"), expected);
    workspace.step(&["release", "shop.json", "2.1.0"]).ends(0);
    let expected = expected
        .replace("\"current\": \"2.0.0\"", "\"current\": \"2.1.0\"")
        .replace(
            "{ \"version\": \"2.0.0\" }",
            "{ \"version\": \"2.0.0\", \"state\": \"draining\", \"until\": \"2026-11-22T12:00:00Z\" }",
        );
    assert_eq!(workspace.read("shop.json"), expected);
    workspace.write(
        "tabs.json",
        "{\n\t\"releases\": [\n\t\t{\"version\": \"2.0.0\"}\n\t]\n}\n",
    );
    workspace.step(&["release", "tabs.json", "2.1.0"]).ends(0);
    assert_eq!(
        workspace.read("tabs.json"),
        "{\n\t\"releases\": [\n\t\t{ \"version\": \"2.1.0\" },\n\t\t{\"version\": \"2.0.0\"}\n\t]\n}\n"
    );
}

#[test]
fn without_current_the_pods_are_rolled_and_rolled_back_between_the_steps() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", "releases:\n  - version: \"1.0.0\"\n");
    workspace.step(&["release", "shop.yaml", "2.0.0"]).ends(0);
    workspace
        .step(&["release", "shop.yaml", "2.0.0"])
        .ends(0)
        .says("only the roll-out");
    workspace
        .step(&["rollback", "shop.yaml"])
        .ends(0)
        .says("2.0.0: live becomes draining");
    workspace
        .step(&["rollback", "shop.yaml"])
        .ends(0)
        .says("2.0.0: draining becomes retired");
    assert_eq!(
        workspace.read("shop.yaml"),
        "releases:\n  - version: \"2.0.0\"\n    state: retired\n  - version: \"1.0.0\"\n"
    );
}

#[test]
fn a_route_that_tells_nothing_has_to_be_given() {
    let workspace = Workspace::new();
    workspace.write(
        "shop.yaml",
        "releases: [{version: \"1.0.0\", route: blue}]\ncurrent: \"1.0.0\"\n",
    );
    let run = workspace.step(&["release", "shop.yaml", "2.0.0"]).ends(2);
    assert!(run.err.contains("give --route"), "{run:?}");
    workspace
        .step(&["release", "shop.yaml", "2.0.0", "--route", "green"])
        .ends(0);
    assert_eq!(
        workspace.read("shop.yaml"),
        "releases: [{version: \"2.0.0\", route: \"green\"}, {version: \"1.0.0\", route: blue}]\ncurrent: \"1.0.0\"\n"
    );
}

/// The route that 2.1 gets if another release has this one.
fn route_like(version: &str, route: &str) -> Result<String, String> {
    let workspace = Workspace::new();
    workspace.write(
        "shop.yaml",
        &format!("releases: [{{version: \"{version}\", route: \"{route}\"}}]\n"),
    );
    let run = workspace.step(&["release", "shop.yaml", "2.1"]);
    if run.code == 2 {
        return Err(run.err);
    }
    run.ends(0);
    let releases = workspace.read("shop.yaml");
    let made = releases.split("route: \"").nth(1).expect("a route");
    Ok(made.split('"').next().unwrap_or_default().to_owned())
}

#[test]
fn a_route_is_made_of_the_version_where_it_stands_as_a_word() {
    for (version, route, made) in [
        ("2.0", "v2-0", "v2-1"),
        ("2.0", "2.0", "2.1"),
        ("2.0", "shop-2.0-eu", "shop-2.1-eu"),
        ("2.0", "r2-0.shop12-0", "r2-1.shop12-0"),
        ("2", "v2-shop20", "v2-1-shop20"),
        ("a1b2c3", "shop-a1b2c3", "shop-2.1"),
    ] {
        assert_eq!(route_like(version, route).as_deref(), Ok(made), "{route}");
    }
    for (version, route, why) in [
        ("2", "v20", "does not contain its version as a word"),
        ("2", "eu12", "does not contain its version as a word"),
        (
            "c3",
            "shop-a1b2c3",
            "does not contain its version as a word",
        ),
        ("2", "v2-node2", "contains its version more than once"),
        ("2.0", "2.0-v2-0", "contains its version more than once"),
    ] {
        let refused = route_like(version, route).expect_err(route);
        assert!(refused.contains(why), "{refused}");
        assert!(refused.contains(&format!("\"{route}\"")), "{refused}");
        assert!(refused.contains("give --route"), "{refused}");
    }
}

#[test]
fn an_option_that_would_do_nothing_is_refused() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    let plugin = "releases:\n- version: \"2.0.0\"\n";
    workspace.write("plugin.yaml", plugin);
    for (file, version, options, why) in [
        (
            "shop.yaml",
            "2.1.0",
            "--step live --drain-for 6h",
            "--drain-for is for the step that puts",
        ),
        (
            "shop.yaml",
            "1.4.2",
            "--step retired --drain-for 6h",
            "--drain-for is for the step that puts",
        ),
        (
            "shop.yaml",
            "2.1.0",
            "--step staged --percent 10",
            "--percent is for the step that puts",
        ),
        (
            "shop.yaml",
            "2.1.0",
            "--percent 10 --drain-for 6h",
            "with --percent below 100 nothing drains",
        ),
        (
            "shop.yaml",
            "2.0.0",
            "--route blue",
            "2.0.0 is listed already, with another route",
        ),
        (
            "shop.yaml",
            "2.0.0",
            "--label version=blue",
            "2.0.0 is listed already, with other labels",
        ),
        (
            "plugin.yaml",
            "2.1.0",
            "--drain-for 6h",
            "there is no current in plugin.yaml",
        ),
        (
            "plugin.yaml",
            "2.1.0",
            "--percent 10",
            "there is no current in plugin.yaml",
        ),
        (
            "plugin.yaml",
            "2.1.0",
            "--label version=v2",
            "--label is for the values of the chart",
        ),
    ] {
        let options: Vec<_> = options.split(' ').collect();
        let run = workspace.step(&[&["release", file, version], &options[..]].concat());
        assert!(run.err.contains(why), "{why:?} in {run:?}");
        run.ends(2);
    }
    assert_eq!(workspace.read("shop.yaml"), VALUES);
    assert_eq!(workspace.read("plugin.yaml"), plugin);
    let failing = [
        "explain",
        "shop.yaml",
        "--failure",
        "no-cluster",
        "--status",
        "200",
    ];
    let run = workspace.run(&failing).ends(2);
    assert!(run.err.contains("cannot be used with"), "{run:?}");
}

#[test]
fn both_steps_of_a_release_take_the_same_options() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    let step = "release shop.yaml 2.1.0 --drain-for 6h --route blue --label version=b";
    let step: Vec<_> = step.split(' ').collect();
    workspace.step(&step).ends(0).says("list 2.1.0 as live");
    workspace
        .step(&step)
        .ends(0)
        .says("2.0.0: live becomes draining until 2026-11-21T18:00:00Z");
}

#[test]
fn a_version_with_a_zero_at_its_end_stays_a_text() {
    let workspace = Workspace::new();
    workspace.write(
        "shop.yaml",
        "releases:\n- version: \"1.9\"\ncurrent: \"1.9\"\n",
    );
    workspace.step(&["release", "shop.yaml", "1.10"]).ends(0);
    workspace.step(&["release", "shop.yaml", "1.10"]).ends(0);
    workspace.run(&["check", "shop.yaml"]).ends(0);
    assert!(workspace.read("shop.yaml").contains("current: \"1.10\""));
}

#[test]
fn a_file_that_cannot_be_edited_without_harm_is_left_as_it_was() {
    let workspace = Workspace::new();
    let shared = "base: &base\n  releases: [{version: \"1.0.0\"}]\n  current: \"1.0.0\"\nkind: WasmPlugin\nmetadata: {name: guard}\nspec:\n  pluginConfig: *base\n";
    workspace.write("aliased.yaml", shared);
    workspace
        .step(&["release", "aliased.yaml", "2.0.0"])
        .ends(2);
    assert_eq!(workspace.read("aliased.yaml"), shared);
    let quoted = "name: skew-guard\nconfiguration: {\"@type\": type.googleapis.com/google.protobuf.StringValue, value: '{\"releases\":[{\"version\":\"1.0.0\"}]}'}\n";
    workspace.write("envoy.yaml", quoted);
    let run = workspace.step(&["release", "envoy.yaml", "3.0.0"]).ends(2);
    assert!(run.err.contains("put it on separate lines"), "{run:?}");
    assert_eq!(workspace.read("envoy.yaml"), quoted);
}

#[test]
fn a_step_is_made_in_the_text_that_envoy_reads() {
    let workspace = Workspace::new();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/envoy/skew-guard.yaml");
    let shipped = std::fs::read_to_string(shipped).expect("the shipped file");
    workspace.write("skew-guard.yaml", &shipped);
    workspace
        .step(&["release", "skew-guard.yaml", "2.1.0"])
        .ends(0);
    let expected = shipped
        .replace(
            "              \"releases\": [\n",
            "              \"releases\": [\n                { \"version\": \"2.1.0\", \"route\": \"v2-1-0\" },\n",
        )
        .replace("\"revision\": 1", "\"revision\": 2");
    assert_eq!(workspace.read("skew-guard.yaml"), expected);
    workspace.write("before.yaml", &shipped);
    workspace
        .run(&["diff", "before.yaml", "skew-guard.yaml", "--now", AT])
        .ends(0)
        .says("list 2.1.0 as live");
}

#[test]
fn the_chart_is_led_through_a_release_in_its_own_values() {
    let workspace = Workspace::new();
    let values =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/istio/example.yaml"))
            .expect("the example's values");
    workspace.write("values.yaml", &values);
    for _ in 0..2 {
        workspace.write("before.yaml", &workspace.read("values.yaml"));
        workspace.step(&["release", "values.yaml", "2.1.0"]).ends(0);
        workspace
            .run(&["diff", "before.yaml", "values.yaml", "--now", AT])
            .ends(0);
    }
    let comments = |text: &str| text.lines().filter(|line| line.contains('#')).count();
    assert_eq!(comments(&workspace.read("values.yaml")), comments(&values));
}

#[test]
fn a_drain_that_never_ends_is_refused_in_words() {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    let step = ["release", "shop.yaml", "2.1.0", "--drain-for"];
    let run = workspace
        .step(&[&step[..], &["99999999999999d"]].concat())
        .ends(2);
    assert!(run.err.contains("after the year 9999"), "{run:?}");
    assert_eq!(workspace.read("shop.yaml"), VALUES);
}

#[test]
fn tools_that_run_at_once_lose_no_edit() {
    const AT_ONCE: usize = 16;
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    std::thread::scope(|scope| {
        for patch in 0..AT_ONCE {
            let workspace = &workspace;
            scope.spawn(move || {
                let version = format!("2.1.{patch}");
                workspace
                    .step(&["release", "shop.yaml", &version, "--step", "live"])
                    .ends(0);
            });
        }
    });
    let values = workspace.read("shop.yaml");
    for patch in 0..AT_ONCE {
        assert!(
            values.contains(&format!("version: \"2.1.{patch}\"")),
            "{values}"
        );
    }
    assert!(
        values.contains(&format!("revision: {} ", 7 + AT_ONCE)),
        "{values}"
    );
    assert_eq!(workspace.files(), ["shop.yaml"]);
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn a_reader_sees_the_old_file_or_the_new_one_whole() {
        let workspace = Workspace::new();
        workspace.write("shop.yaml", VALUES);
        let mut reader = fs::File::open(workspace.path("shop.yaml")).expect("a file");
        workspace.step(&["release", "shop.yaml", "2.1.0"]).ends(0);
        let mut read = String::new();
        reader.read_to_string(&mut read).expect("text");
        assert_eq!(read, VALUES);
        assert_ne!(workspace.read("shop.yaml"), VALUES);
    }

    #[test]
    fn a_link_stays_a_link_and_mode_and_owner_stay() {
        let workspace = Workspace::new();
        let folder = workspace.path("environment");
        fs::create_dir(&folder).expect("a folder");
        let place = folder.join("live.yaml");
        fs::write(&place, VALUES).expect("a file");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o640)).expect("a mode");
        // Only root can change a file's owner.
        let is_given = chown(&place, Some(12_345), Some(23_456)).is_ok();
        symlink("environment/live.yaml", workspace.path("shop.yaml")).expect("a link");
        workspace.step(&["release", "shop.yaml", "2.1.0"]).ends(0);
        let link = fs::symlink_metadata(workspace.path("shop.yaml")).expect("a link");
        assert!(link.is_symlink());
        let metadata = fs::metadata(&place).expect("a file");
        assert_eq!(metadata.mode() & 0o7777, 0o640);
        if is_given {
            assert_eq!((metadata.uid(), metadata.gid()), (12_345, 23_456));
        }
        assert!(workspace.read("shop.yaml").contains("2.1.0"));
    }

    #[test]
    fn a_folder_that_somebody_else_keeps_locked_is_named() {
        let workspace = Workspace::new();
        workspace.write("shop.yaml", VALUES);
        let folder = fs::File::open(workspace.path("")).expect("a folder");
        folder.lock().expect("a lock");
        workspace
            .step(&["release", "shop.yaml", "2.1.0", "--dry-run"])
            .ends(0);
        let run = workspace.step(&["release", "shop.yaml", "2.1.0"]).ends(2);
        assert!(run.err.contains("another program has locked it"), "{run:?}");
        assert_eq!(workspace.read("shop.yaml"), VALUES);
    }
}
