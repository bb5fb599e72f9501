//! `check`: every problem of every configuration, in whatever kind of file.

use crate::tool::{Workspace, run};

const WRONG: &str = r#"
releases:
  - {version: 1.10, state: live}
  - {version: "1.4.2", stat: draining}
current: "1.4.2"
"#;

/// The plugin configuration below some keys of a manifest.
fn indented(configuration: &str, by: usize) -> String {
    let indent = " ".repeat(by);
    configuration
        .trim()
        .lines()
        .map(|line| format!("{indent}{line}\n"))
        .collect()
}

#[test]
fn every_shipped_file_is_right() {
    run(&[
        "check",
        "envoy/envoy.yaml",
        "envoy/skew-guard.yaml",
        "envoy/subset.yaml",
        "envoy/subset-skew-guard.yaml",
        "envoy/compose/envoy.yaml",
        "envoy/compose/skew-guard.yaml",
        "istio/example.yaml",
        "istio/plain/skew-guard.yaml",
    ])
    .ends(0)
    .says("WasmPlugin shop/skew-guard: ok")
    .says("envoy/compose/skew-guard.yaml: Wasm filter skew-guard: ok")
    .never_says("virtual host")
    .never_says("the filter is off");
}

#[test]
fn a_number_is_explained_with_the_digits_that_were_written() {
    let workspace = Workspace::new();
    workspace.write("plugin.yaml", WRONG);
    workspace
        .run(&["check", "plugin.yaml"])
        .ends(1)
        .says(
            "plugin.yaml:3: releases[0].version: 1.10 is a number; write it as a string: \"1.10\"",
        )
        .says("plugin.yaml:4: releases[1].stat: unknown key; did you mean \"state\"?");
}

#[test]
fn a_number_that_only_yaml_knows_is_explained_too() {
    let workspace = Workspace::new();
    workspace.write(
        "plugin.yaml",
        "releases:\n  - version: 0123\n  - version: 0x1F\n  - version: 1_0\n",
    );
    workspace
        .run(&["check", "plugin.yaml"])
        .ends(1)
        .says("releases[0].version: 0123 is a number in YAML; write it as a string: \"0123\"")
        .says("releases[1].version: 0x1F is a number in YAML")
        .says("releases[2].version: 1_0 is a number in YAML");
}

#[test]
fn json_is_read_with_tabs_and_without_a_word_of_yaml() {
    let workspace = Workspace::new();
    workspace.write(
        "plugin.json",
        "{\n\t\"releases\": [\n\t\t{\"version\": 2.10}\n\t]\n}",
    );
    workspace
        .run(&["check", "plugin.json"])
        .ends(1)
        .says("plugin.json:3: releases[0].version: 2.10 is a number");
    workspace.write("plugin.json", "{\"releases\": [}");
    let run = workspace.run(&["check", "plugin.json"]).ends(2);
    assert!(run.err.contains("not JSON"), "{run:?}");
}

#[test]
fn each_document_of_a_file_is_found_and_named() {
    let workspace = Workspace::new();
    let manifests = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: shop}}\n---\n\
         apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {{name: guard, namespace: shop}}\nspec:\n  url: oci://x/skew-guard:1\n  pluginConfig:\n{wasm}---\n\
         apiVersion: extensions.istio.io/v1alpha1\nkind: TrafficExtension\nmetadata: {{name: next}}\nspec:\n  wasm:\n    url: oci://x\n    pluginConfig:\n{traffic}---\n\
         apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {{name: policy}}\nspec:\n  wasm:\n  - name: other\n    config: {{anything: 1}}\n  - name: guard\n    config:\n{policy}",
        wasm = indented(WRONG, 4),
        traffic = indented(WRONG, 6),
        policy = indented(WRONG, 6),
    );
    workspace.write("all.yaml", &manifests);
    workspace
        .run(&["check", "all.yaml"])
        .ends(1)
        .says("document 2: WasmPlugin shop/guard: spec.pluginConfig.releases[0].version: 1.10")
        .says("document 3: TrafficExtension next: spec.wasm.pluginConfig.releases[1].stat")
        .says("document 4: EnvoyExtensionPolicy policy: spec.wasm[1].config.releases[0].version")
        .never_says("anything");
}

#[test]
fn the_text_in_an_envoy_configuration_is_found() {
    let workspace = Workspace::new();
    let listener = r#"
resources:
  - "@type": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
    name: guard
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
      config:
        name: shop
        configuration:
          "@type": type.googleapis.com/google.protobuf.StringValue
          value: |
            {"releases": [{"version": "1.0.0"}], "curent": "1.0.0"}
"#;
    workspace.write("ecds.yaml", listener);
    workspace.run(&["check", "ecds.yaml"])
        .ends(1)
        .says("Wasm filter shop: resources[0].typed_config.config.configuration.value: curent: unknown key; did you mean \"current\"?");
}

#[test]
fn the_values_of_the_chart_are_checked_as_the_plugin_would_see_them() {
    let workspace = Workspace::new();
    workspace.write(
        "values.yaml",
        r#"
releases:
  - {version: "2.0.0", labels: {version: blue}}
  - {version: "1.4.2", state: draining, until: tomorrow}
current: "3.0.0"
hosts: ["https://shop.example.com"]
config:
  pinCookie: {name: "a b"}
services: []
"#,
    );
    workspace
        .run(&["check", "values.yaml"])
        .ends(1)
        .says("values.yaml:4: chart values: releases[1].until: \"tomorrow\" is not allowed")
        .says("values.yaml:6: chart values: hosts[0]: \"https://shop.example.com\" is not allowed")
        .says("values.yaml:8: chart values: config.pinCookie.name: \"a b\" is not allowed");
    workspace.write(
        "values.yaml",
        "releases:\n  - {version: \"2.0.0\", labels: {version: blue}}\ncurrent: \"3.0.0\"\nservices: []\n",
    );
    workspace
        .run(&["check", "values.yaml"])
        .ends(1)
        .says("values.yaml:3: chart values: current: \"3.0.0\" names no release");
}

#[test]
fn a_file_with_the_releases_alone_is_a_part_of_the_charts_values() {
    let workspace = Workspace::new();
    for releases in [
        "releases: [{version: \"1\"}]\ncurrent: \"\"\n",
        "releases: [{version: \"1\", labels: {version: blue}}]\ncurrent: \"1\"\n",
    ] {
        workspace.write("releases.yaml", releases);
        workspace
            .run(&["check", "releases.yaml"])
            .ends(0)
            .says("releases.yaml: chart values: ok");
    }
}

#[test]
fn another_wasm_module_is_none_of_our_business() {
    let workspace = Workspace::new();
    workspace.write(
        "mixed.yaml",
        "kind: WasmPlugin\nmetadata: {name: waf}\nspec: {pluginConfig: {rules: [1]}}\n---\nkind: WasmPlugin\nmetadata: {name: guard}\nspec: {pluginConfig: {releases: [{version: \"1\"}]}}\n",
    );
    workspace
        .run(&["check", "mixed.yaml"])
        .ends(0)
        .never_says("waf")
        .says("WasmPlugin guard: ok");
    workspace.write("none.yaml", "kind: Service\nmetadata: {name: shop}\n");
    let run = workspace.run(&["check", "none.yaml"]).ends(2);
    assert!(
        run.err.contains("no skew-guard configuration was found"),
        "{run:?}"
    );
}

#[test]
fn anchors_merges_and_repeated_keys_are_read_as_they_are_meant() {
    let workspace = Workspace::new();
    workspace.write(
        "plugin.yaml",
        "releases:\n  - &one {version: \"1.0.0\", accepts: [\"0.9.*\"]}\n  - {<<: *one, version: \"2.0.0\", accepts: []}\nhints: on\nhints: off\n",
    );
    workspace
        .run(&["check", "plugin.yaml"])
        .ends(1)
        .says("hints: this key occurs twice")
        .never_says("releases");
}

#[test]
fn aliases_of_aliases_are_refused_before_they_fill_the_memory() {
    let workspace = Workspace::new();
    let mut laughs = "a0: &a0 [lol, lol]\n".to_owned();
    for level in 1..64 {
        let below = level - 1;
        laughs += &format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n");
    }
    workspace.write("values.yaml", &format!("{laughs}releases: *a63\n"));
    let run = workspace.run(&["check", "values.yaml"]).ends(2);
    assert!(
        run.err
            .contains("aliases up to here stand for is too large"),
        "{run:?}"
    );
    let text = "x".repeat(1 << 20);
    let copies = "*a,".repeat(1 << 14);
    workspace.write(
        "values.yaml",
        &format!("a: &a {text}\nreleases: [{copies}]\n"),
    );
    workspace.run(&["check", "values.yaml"]).ends(2);
    let merged = "{<<: *a},".repeat(1 << 14);
    workspace.write(
        "values.yaml",
        &format!("a: &a {{b: {text}}}\nreleases: [{merged}]\n"),
    );
    workspace.run(&["check", "values.yaml"]).ends(2);
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let workspace = Workspace::new();
    for levels in [200, 100_000] {
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        workspace.write("values.yaml", &format!("releases: {deep}\n"));
        workspace.write("plugin.json", &format!("{{\"releases\": {deep}}}"));
        workspace.run(&["check", "values.yaml"]).ends(2);
        workspace.run(&["check", "plugin.json"]).ends(2);
    }
}

#[test]
fn what_will_hurt_is_a_warning() {
    let workspace = Workspace::new();
    for (configuration, warning) in [
        (
            r#"{"releases":[{"version":"1"}],"sources":[{"header":"x-v"}]}"#,
            "an asset's version cannot be known",
        ),
        (
            r#"{"releases":[{"version":"1"}],"current":"1","pinCookie":{"name":"p"}}"#,
            "pinCookie costs shared caching",
        ),
        (
            r#"{"releases":[{"version":"1"}],"pinCookie":{"name":"p"}}"#,
            "without upstreamVersion is never written",
        ),
        (
            r#"{"releases":[{"version":"1"}],"sources":[{"cookie":"c"},{"header":"x-v"}]}"#,
            "a cookie is read before",
        ),
        (
            r#"{"releases":[{"version":"1"}],"current":"1","unknownVersion":"current"}"#,
            "unknownVersion \"current\"",
        ),
        (
            r#"{"releases":[{"version":"1"}],"enforce":false}"#,
            "only counted",
        ),
        (r#"{"releases":[{"version":"1"}]}"#, "without hosts"),
        (
            r#"{"releases":[{"version":"2","state":"staged"},{"version":"1"}],"current":"1"}"#,
            "nobody can reach it",
        ),
        (
            r#"{"releases":[{"version":"2"},{"version":"1","state":"draining"}]}"#,
            "1 is draining without until",
        ),
        (
            r#"{"releases":[{"version":"2"},{"version":"1","state":"draining","until":"2020-01-01T00:00:00Z"}]}"#,
            "1 was draining until 2020-01-01T00:00:00Z",
        ),
        (
            r#"{"releases":[{"version":"1"}],"paths":["/app"],"sources":[{"path":"/assets/v-{version}/"}]}"#,
            "path \"/assets/v-{version}/\" is outside paths",
        ),
        (
            r#"{"releases":[{"version":"1"}],"unpinnedPaths":["/assets"],"sources":[{"path":"/assets/v-{version}/"}]}"#,
            "path \"/assets/v-{version}/\" is below unpinnedPaths",
        ),
        (
            r#"{"releases":[{"version":"1"}],"unpinnedPaths":["/"]}"#,
            "unpinnedPaths contains \"/\": no request is pinned at all",
        ),
        (
            r#"{"releases":[{"version":"1"}],"pinnedNavigation":["/checkout","/"]}"#,
            "pinnedNavigation contains \"/\": a visitor gets no newer release",
        ),
        (
            r#"{"releases":[{"version":"1"}],"sources":[{"query":"v"},{"header":"x-v"}],"preview":{"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","query":"v"}}"#,
            "preview.query and a source are both \"v\"",
        ),
        (
            r#"{"releases":[{"version":"1"}],"sources":[{"query":"v"}]}"#,
            "sources names no header",
        ),
        (
            r#"{"releases":[{"version":"1"}],"sources":[{"header":"x-v"},{"path":"/a/v-{version}/"}]}"#,
            "sources names no query",
        ),
    ] {
        workspace.write("plugin.json", configuration);
        workspace
            .run(&["check", "plugin.json"])
            .ends(0)
            .says("warning: ")
            .says(warning);
    }
    workspace.write(
        "plugin.json",
        r#"{"hosts":["a.example"],"releases":[{"version":"1"}],"current":"1","paths":["/a","/api"],"unpinnedPaths":["/a/version.json"],"pinnedNavigation":["/checkout"],"sources":[{"header":"x-v"},{"query":"v"},{"path":"/a/v-{version}/"}]}"#,
    );
    workspace
        .run(&["check", "plugin.json"])
        .ends(0)
        .never_says("warning");
}

/// An Envoy configuration with these domains, these keys of a route that the header chooses, and the
/// filter's configuration in it, or in a separate file.
fn envoy(domains: &str, route: &str, is_discovered: bool) -> String {
    let filter = if is_discovered {
        r#"{name: guard, config_discovery: {config_source: {path_config_source: {path: /etc/envoy/guard.yaml}}}}"#.to_owned()
    } else {
        format!("{{name: guard, typed_config: {}}}", wasm())
    };
    format!(
        r#"
static_resources:
  listeners:
    - filter_chains:
        - filters:
            - typed_config:
                http_filters: [{filter}]
                route_config:
                  virtual_hosts:
                    - name: shop
                      domains: {domains}
                      routes:
                        - {{name: v1, match: {{prefix: /, headers: [{{name: x-release, string_match: {{exact: v1}}}}]}}, route: {{cluster: v1}}{route}}}
                        - {{name: default, match: {{prefix: /}}, route: {{cluster: shop}}, typed_per_filter_config: {{guard: {{disabled: true}}}}}}
                    - {{name: others, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: others}}}}]}}
"#
    )
}

fn wasm() -> String {
    let configuration =
        r#"{"hosts":["shop.example","*.shop.example"],"releases":[{"version":"1"}]}"#;
    format!(
        r#"{{"@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm, config: {{name: skew-guard, configuration: {{"@type": type.googleapis.com/google.protobuf.StringValue, value: '{configuration}'}}}}}}"#
    )
}

fn extension() -> String {
    format!(
        "resources:\n- {{\"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig, name: guard, typed_config: {}}}\n",
        wasm()
    )
}

#[test]
fn a_virtual_host_that_is_wider_than_hosts_is_a_warning() {
    let workspace = Workspace::new();
    workspace.write("guard.yaml", &extension());
    for (domains, wide) in [
        (r#"["*"]"#, Some("(*)")),
        (r#"[shop.example, other.example]"#, Some("(other.example)")),
        (r#"["*.example"]"#, Some("(*.example)")),
        (r#"["shop.*"]"#, Some("(shop.*)")),
        (
            r#"[shop.example, "SHOP.example:8443", "*.shop.example", "a.shop.example:*"]"#,
            None,
        ),
    ] {
        for is_discovered in [false, true] {
            workspace.write("envoy.yaml", &envoy(domains, "", is_discovered));
            let files: &[&str] = if is_discovered {
                &["check", "envoy.yaml", "guard.yaml"]
            } else {
                &["check", "envoy.yaml"]
            };
            let run = workspace.run(files).ends(0).never_says("others");
            match wide {
                Some(wide) => run
                    .says("virtual host shop has domains that are not in hosts ")
                    .says(wide),
                None => run.never_says("virtual host"),
            };
        }
    }
}

#[test]
fn a_route_that_the_header_chooses_with_the_filter_off_is_a_warning() {
    let workspace = Workspace::new();
    for (route, is_open) in [
        ("", false),
        (", typed_per_filter_config: {guard: {disabled: true}}", true),
        (
            ", typed_per_filter_config: {guard: {disabled: false}}",
            false,
        ),
        (
            ", typed_per_filter_config: {other: {disabled: true}}",
            false,
        ),
    ] {
        workspace.write("envoy.yaml", &envoy("[shop.example]", route, false));
        let run = workspace.run(&["check", "envoy.yaml"]).ends(0);
        if is_open {
            run.says("route v1 is chosen by x-release, and the filter is off there");
        } else {
            run.never_says("the filter is off");
        }
    }
}

#[test]
fn a_configuration_that_envoy_discovers_is_found_in_its_own_file() {
    let workspace = Workspace::new();
    workspace.write("guard.yaml", &extension());
    workspace
        .run(&["check", "guard.yaml"])
        .ends(0)
        .says("Wasm filter skew-guard: ok");
    workspace.write("envoy.yaml", &envoy("[shop.example]", "", true));
    let run = workspace.run(&["check", "envoy.yaml"]).ends(2);
    assert!(
        run.err.contains("give that one: /etc/envoy/guard.yaml"),
        "{run:?}"
    );
}

#[test]
fn a_machine_reads_paths_and_lines() {
    let workspace = Workspace::new();
    workspace.write("plugin.yaml", WRONG);
    let answer = workspace.json(&["check", "plugin.yaml"]);
    let problem = &answer["configurations"][0]["problems"][0];
    assert_eq!(problem["path"], "releases[0].version");
    assert_eq!(problem["line"], 3);
}

#[test]
fn a_file_that_is_not_there_is_no_answer() {
    let run = run(&["check", "nowhere.yaml"]).ends(2);
    assert!(run.err.contains("cannot read nowhere.yaml"), "{run:?}");
}

#[test]
fn whoever_has_read_enough_of_an_answer_breaks_nothing() {
    let workspace = Workspace::new();
    workspace.write("plugin.json", r#"{"releases":[{"version":"1"}]}"#);
    workspace.write("wrong.json", r#"{"releases":[{"version":1}]}"#);
    for (file, code) in [("plugin.json", 0), ("wrong.json", 1)] {
        for output in ["text", "json"] {
            let run = workspace.run_unread(&["--output", output, "check", file]);
            assert_eq!((run.code, run.err.as_str()), (code, ""), "{file}");
        }
    }
}

#[test]
fn outlier_detection_that_can_take_a_release_s_only_pod_is_warned_of() {
    let values = |policy: &str| {
        format!(
            "releases: [{{version: \"2.0.0\"}}]\ncurrent: \"2.0.0\"\nservices:\n  - {{host: web, port: 80, paths: [/]}}\n  \
             - {{host: api, port: 80, paths: [/api], trafficPolicy: {{outlierDetection: {{{policy}}}}}}}\n"
        )
    };
    let workspace = Workspace::new();
    let words = "warning: services[1].trafficPolicy.outlierDetection may eject every pod";
    workspace.write("all.yaml", &values("maxEjectionPercent: 100"));
    workspace.run(&["check", "all.yaml"]).ends(0).says(words);
    workspace.write(
        "half.yaml",
        &values("maxEjectionPercent: 100, minHealthPercent: 50"),
    );
    workspace
        .run(&["check", "half.yaml"])
        .ends(0)
        .never_says(words);
    workspace.write("few.yaml", &values("maxEjectionPercent: 10"));
    workspace
        .run(&["check", "few.yaml"])
        .ends(0)
        .never_says(words);
}

#[test]
fn an_image_that_is_named_by_its_tag_is_warned_of() {
    let digest = "a".repeat(64);
    let workspace = Workspace::new();
    let values = "releases: [{version: \"2.0.0\"}]\ncurrent: \"2.0.0\"\n";
    let resource = |url: &str| {
        format!(
            "kind: WasmPlugin\nmetadata: {{name: skew-guard}}\nspec:\n  url: {url}\n  pluginConfig: {{releases: [{{version: \"2.0.0\"}}]}}\n"
        )
    };
    let (tag, file) = ("oci://registry.example.com/guard:1", "file:///guard.wasm");
    let pinned = format!("{tag}@sha256:{digest}");
    let words = format!("warning: {tag} is a tag, which may be moved");
    for (written, warned) in [
        (format!("{values}plugin: {{url: \"{tag}\"}}"), true),
        (format!("{values}plugins: [{{url: \"{tag}\"}}]"), true),
        (
            format!("{values}plugin: {{url: \"{tag}\", sha256: \"{digest}\"}}"),
            false,
        ),
        (format!("{values}plugin: {{url: \"{pinned}\"}}"), false),
        (resource(tag), true),
        (resource(&pinned), false),
        (resource(file), false),
    ] {
        workspace.write("written.yaml", &written);
        let run = workspace.run(&["check", "written.yaml"]).ends(0);
        assert_eq!(run.out.contains(&words), warned, "{written}\n{run:?}");
    }
}

#[test]
fn a_staged_release_behind_a_route_header_that_everybody_knows_is_warned_of() {
    let workspace = Workspace::new();
    let words = "warning: a release is staged, and everybody knows the route header x-release";
    for (config, plugin, warned) in [
        ("{}", "{url: \"file:///guard.wasm\"}", true),
        (
            "{routeHeader: x-release-k3v9q2}",
            "{url: \"file:///guard.wasm\"}",
            false,
        ),
        // Another file says where the module is.
        ("{}", "{}", false),
    ] {
        let values = format!(
            "releases: [{{version: \"2.1.0\", state: staged}}, {{version: \"2.0.0\"}}]\ncurrent: \"2.0.0\"\nconfig: {config}\nplugin: {plugin}\n"
        );
        workspace.write("values.yaml", &values);
        let run = workspace.run(&["check", "values.yaml"]).ends(0);
        assert_eq!(run.out.contains(words), warned, "{values}\n{run:?}");
    }
}

#[test]
fn observing_without_current_is_warned_of_as_no_way_out() {
    let workspace = Workspace::new();
    let words = "enforce is false without current: every request goes to any release";
    for (current, warned) in [("", true), (",\"current\":\"1\"", false)] {
        let plugin = format!(r#"{{"releases":[{{"version":"1"}}],"enforce":false{current}}}"#);
        workspace.write("plugin.json", &plugin);
        let run = workspace.run(&["check", "plugin.json"]).ends(0);
        assert_eq!(run.out.contains(words), warned, "{run:?}");
    }
}
