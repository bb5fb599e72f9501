//! Invalid values and their messages: all problems at once, each with its place and what is allowed there.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard::config::Config;

use crate::conflict::is_conflict;
use crate::helm;

/// The chart refuses these values with this message.
#[track_caller]
fn assert_refused(values: &str, expected: &str) {
    let said = helm::refusal(values).unwrap_or_else(|problem| panic!("{problem:#}"));
    assert!(
        said.contains(expected),
        "{values}\nis refused with\n{said}\nwhich is not\n{expected}"
    );
}

/// The chart refuses these values with this message, and the plugin would not accept them either.
#[track_caller]
fn assert_refused_as_by_the_plugin(values: &str, expected: &str) {
    assert_refused(values, expected);
    let taken = plugin_takes(values).unwrap_or_else(|problem| panic!("{problem:#}"));
    assert!(!taken, "the plugin takes what the chart refuses:\n{values}");
}

/// Whether the plugin would accept its configuration from these values.
fn plugin_takes(values: &str) -> Result<bool> {
    let given: Value = serde_saphyr::from_str(values)?;
    let mut config = given["config"].clone();
    if config.is_null() {
        config = json!({});
    }
    config["releases"] = given
        .get("releases")
        .cloned()
        .unwrap_or(json!([{ "version": "2.0.0" }]));
    for release in config["releases"].as_array_mut().into_iter().flatten() {
        if let Some(release) = release.as_object_mut() {
            release.remove("labels");
        }
    }
    match given.get("current") {
        Some(none) if none == "" => {}
        Some(current) => config["current"] = current.clone(),
        None => config["current"] = json!("2.0.0"),
    }
    Ok(Config::load(&serde_json::to_vec(&config)?).is_ok())
}

#[test]
fn a_version_that_is_a_number_is_refused_with_the_reason() {
    const IN_QUOTES: &str =
        "value must be 'a version in quotes: YAML reads 1.10 as the number 1.1'";
    assert_refused_as_by_the_plugin(
        "releases: [{version: 1.10}]\ncurrent: ''",
        &format!("at '/releases/0/version': {IN_QUOTES}"),
    );
    assert_refused_as_by_the_plugin("current: 2.0", &format!("at '/current': {IN_QUOTES}"));
    assert_refused_as_by_the_plugin(
        "current: [{version: 2.0, weight: 1}]\nconfig: {pinCookie: {name: pin}}",
        &format!("at '/current/0/version': {IN_QUOTES}"),
    );
    assert_refused_as_by_the_plugin(
        "config: {denied: [1.10]}",
        &format!("at '/config/denied/0': {IN_QUOTES}"),
    );
}

#[test]
fn a_version_has_allowed_characters() {
    for version in ["", "-1", "1 2", "1;2", "é", &"1".repeat(65)] {
        assert_refused_as_by_the_plugin(
            &format!("releases: [{{version: {version:?}, route: a}}]\ncurrent: ''"),
            "at '/releases/0/version': value must be 'a version: 1 to 64 letters, digits, dots, underscores, hyphens or \
             plus signs, the first a letter or digit'",
        );
    }
}

#[test]
fn all_problems_are_reported_at_once() -> Result<()> {
    let by_schema =
        helm::refusal("releases: [{version: 1, state: done}, {verson: a}]\nhosts: []\ncolor: red")?;
    for expected in [
        "at '/releases/0/version': ",
        "at '/releases/0/state': value must be one of 'staged', 'live', 'draining', 'retired'",
        "at '/releases/1': missing property 'version'",
        "at '/releases/1': additional properties 'verson' not allowed",
        "at '/hosts': ",
        "at '': additional properties 'color' not allowed",
    ] {
        assert!(
            by_schema.contains(expected),
            "{expected:?} is not in\n{by_schema}"
        );
    }
    let by_checks = helm::refusal(
        r#"
        releases: [{version: "1.0"}, {version: "1-0"}]
        current: "2"
        hosts: ["*", shop.example.com]
        "#,
    )?;
    for expected in ["- releases[1].route: ", "- current: ", "- hosts: "] {
        assert!(
            by_checks.contains(expected),
            "{expected:?} is not in\n{by_checks}"
        );
    }
    Ok(())
}

#[test]
fn contradictions_in_the_list_of_releases_are_refused() {
    assert_refused_as_by_the_plugin(
        "releases: []\ncurrent: ''",
        "at '/releases': minItems: got 0, want 1",
    );
    assert_refused_as_by_the_plugin(
        r#"releases: [{version: "2.0.0"}, {version: "2.0.0", route: other}]"#,
        r#"releases[1].version: "2.0.0" is listed twice"#,
    );
    assert_refused_as_by_the_plugin(
        r#"{releases: [{version: "2.0.0", state: retired}], current: ""}"#,
        "releases: all are retired; at least one has to serve",
    );
    assert_refused_as_by_the_plugin(
        r#"releases: [{version: "2.1.0", until: "2026-01-31T18:00:00Z"}, {version: "2.0.0"}]"#,
        "releases[0].until: a live release does not end by itself; only a draining one does",
    );
    assert_refused_as_by_the_plugin(
        r#"releases: [{version: "2.0.0"}, {version: "1.0.0", state: draining, until: tomorrow}]"#,
        r#"at '/releases/1/until': value must be 'a time in quotes, as in RFC 3339: "2026-03-01T18:00:00Z"'"#,
    );
    assert_refused_as_by_the_plugin(
        r#"{releases: [{version: "2.1.0", state: staged}, {version: "2.0.0"}], current: ""}"#,
        r#"releases[0].state: "staged" without current: requests without a version go to all pods, and nothing hides the staged ones"#,
    );
    assert_refused_as_by_the_plugin(
        r#"releases: [{version: "2.0.0", accepts: ["1.9.0"]}, {version: "1.9.1", accepts: ["1.9.0"]}]"#,
        r#"releases[1].accepts: "1.9.0" is accepted by 2.0.0 too; only one can answer it"#,
    );
    for pattern in [r#""1.4*""#, r#"">=banana""#, "1.4"] {
        assert_refused_as_by_the_plugin(
            &format!(r#"releases: [{{version: "2.0.0", accepts: [{pattern}]}}]"#),
            r#"at '/releases/0/accepts/0': value must be 'in quotes: an exact version, a prefix "1.4.*", or a range ">=1.2, <2"'"#,
        );
    }
}

#[test]
fn there_are_at_most_256_releases_that_are_not_retired_and_4096_that_are() {
    let releases = |count: usize, state: &str| {
        (0..count)
            .map(|n| format!("  - {{version: \"1.{n}.0\", state: {state}}}\n"))
            .collect::<String>()
    };
    assert_refused_as_by_the_plugin(
        &format!("current: ''\nreleases:\n{}", releases(257, "live")),
        "releases: 257 are not retired; at most 256",
    );
    assert_refused_as_by_the_plugin(
        &format!(
            "releases:\n  - {{version: \"2.0.0\"}}\n{}",
            releases(4097, "retired")
        ),
        "releases: 4097 are retired; at most 4096, so leave out the oldest",
    );
}

#[test]
fn two_releases_never_share_a_route_or_labels() {
    assert_refused_as_by_the_plugin(
        r#"releases: [{version: "2.0.0", route: blue}, {version: "1.0.0", route: blue, labels: {version: v1}}]"#,
        r#"releases[1].route: "blue" is the route of 2.0.0 too; give one of them a different route"#,
    );
    assert_refused(
        r#"releases: [{version: "2.0.0"}, {version: "2.0.0+hotfix"}, {version: "2.0.0-hotfix"}]"#,
        r#"releases[2].route: "v2-0-0-hotfix", made from the version, is the route of 2.0.0+hotfix too"#,
    );
    assert_refused(
        r#"releases: [{version: "2.0.0"}, {version: "1.0.0", state: retired}, {version: "1-0-0", state: retired}]"#,
        r#"releases[2].route: "v1-0-0", made from the version, is the route of 1.0.0 too"#,
    );
    assert_refused(
        r#"releases: [{version: "2.0.0", labels: {app: shop}}, {version: "1.0.0", labels: {app: shop}}]"#,
        r#"releases[1].labels: {"app":"shop"} are the labels of 2.0.0 too; they must distinguish its pods from those of every other release"#,
    );
}

#[test]
fn a_route_is_a_dns_label_and_not_that_of_the_dead_end() {
    for route in ["V2", "v2.0", "v2_0", "-v2", "v2-", &"v".repeat(64), ""] {
        assert_refused(
            &format!("releases: [{{version: \"2.0.0\", route: {route:?}}}]"),
            "at '/releases/0/route': value must be 'a DNS label in quotes",
        );
    }
    assert_refused(
        r#"releases: [{version: "2.0.0", route: skew-guard-absent}]"#,
        r#"releases[0].route: "skew-guard-absent" is the name of the subset that must not exist; choose another one"#,
    );
}

#[test]
fn labels_are_strings_that_kubernetes_accepts() {
    for value in ["1.10", "true", r#""a b""#, r#""""#, r#""1.0+x""#] {
        assert_refused(
            &format!("releases: [{{version: \"2.0.0\", labels: {{version: {value}}}}}]"),
            "at '/releases/0/labels/version': value must be 'a label\\'s value in quotes",
        );
    }
    assert_refused(
        "selector: {'a b': c}",
        "at '/selector': additional properties 'a b' not allowed",
    );
}

#[test]
fn current_is_a_live_release() {
    let releases = r#"releases: [{version: "2.1.0", state: staged}, {version: "2.0.0"}, {version: "1.4.2", state: draining}, {version: "1.3.0", state: retired}]"#;
    for (current, wrong) in [
        ("9.9.9", r#"current: "9.9.9" is not listed"#),
        ("2.1.0", r#"current: "2.1.0" is staged"#),
        ("1.4.2", r#"current: "1.4.2" is draining"#),
        ("1.3.0", r#"current: "1.3.0" is retired"#),
    ] {
        assert_refused_as_by_the_plugin(
            &format!("{releases}\ncurrent: \"{current}\""),
            &format!("{wrong}; current can be a live release: 2.0.0"),
        );
    }
    assert_refused_as_by_the_plugin(
        r#"config: {denied: ["2.0.0"]}"#,
        r#"current: "2.0.0" is in config.denied"#,
    );
    assert_refused_as_by_the_plugin(
        "config: {minVersion: 2.0.1}",
        r#"current: "2.0.0" is below config.minVersion"#,
    );
}

#[test]
fn weights_need_a_cookie_and_must_not_all_be_zero() {
    let releases = r#"releases: [{version: "2.1.0"}, {version: "2.0.0"}]"#;
    assert_refused_as_by_the_plugin(
        &format!(
            r#"{{{releases}, current: [{{version: "2.1.0", weight: 10}}, {{version: "2.0.0", weight: 90}}]}}"#
        ),
        "current: weights need config.pinCookie, or a visitor changes release with every request",
    );
    let pin = "config: {pinCookie: {name: pin}}";
    assert_refused_as_by_the_plugin(
        &format!(
            r#"{{{releases}, {pin}, current: [{{version: "2.1.0", weight: 0}}, {{version: "2.0.0", weight: 0}}]}}"#
        ),
        "current: all weights are 0; at least one has to be above",
    );
    assert_refused_as_by_the_plugin(
        &format!(
            r#"{{{releases}, {pin}, current: [{{version: "2.1.0", weight: 1}}, {{version: "2.1.0", weight: 1}}]}}"#
        ),
        r#"current[1].version: "2.1.0" is listed twice"#,
    );
    assert_refused_as_by_the_plugin(
        &format!(r#"{{{releases}, {pin}, current: [{{version: "2.1.0", weight: 10001}}]}}"#),
        "at '/current/0/weight': maximum: got 10,001, want 10,000",
    );
    assert_refused_as_by_the_plugin(
        &format!(r#"{{{releases}, {pin}, current: [{{version: "2.1.0"}}]}}"#),
        "at '/current/0': missing property 'weight'",
    );
}

#[test]
fn keys_that_the_chart_sets_are_not_allowed_in_config() {
    for key in ["releases", "current", "hosts"] {
        assert_refused(
            &format!("config: {{{key}: []}}"),
            &format!(
                "at '/config/{key}': value must be 'set outside `config`, as `{key}`: the chart puts it in'"
            ),
        );
    }
}

#[test]
fn contradictions_within_the_plugin_s_configuration_are_refused() {
    assert_refused_as_by_the_plugin(
        "config: {colour: red}",
        "at '/config': additional properties 'colour' not allowed",
    );
    assert_refused_as_by_the_plugin(
        "{config: {unknownVersion: current}, current: ''}",
        r#"config.unknownVersion: "current" needs a current"#,
    );
    assert_refused_as_by_the_plugin(
        "config: {sources: [{header: X-Release}]}",
        r#"config.sources[0].header: "X-Release" is the route header, which is removed from what clients send"#,
    );
    assert_refused_as_by_the_plugin(
        "config: {sources: [{header: a}, {header: a}]}",
        "at '/config/sources': items at 0 and 1 are equal",
    );
    assert_refused_as_by_the_plugin(
        r#"{config: {minVersion: 1.0.0}, releases: [{version: "2.0.0"}, {version: abc}]}"#,
        r#"releases[1].version: "abc" is not semver, and config.minVersion compares all versions"#,
    );
    assert_refused_as_by_the_plugin(
        "config: {pinCookie: {name: pin, sameSite: None, secure: false}}",
        "config.pinCookie.sameSite: browsers refuse None without secure",
    );
    assert_refused_as_by_the_plugin(
        "config: {pinCookie: {name: __Secure-pin, secure: false}}",
        r#"config.pinCookie.name: browsers refuse "__Secure-pin" without secure"#,
    );
    assert_refused_as_by_the_plugin(
        "config: {pinCookie: {name: __Host-pin, path: /shop}}",
        r#"config.pinCookie.name: browsers refuse "__Host-pin" without secure, with a domain, or with another path than /"#,
    );
    let sha256 = "0".repeat(64);
    assert_refused_as_by_the_plugin(
        &format!("config: {{pinCookie: {{name: __preview}}, preview: {{sha256: '{sha256}'}}}}"),
        r#"config.preview.cookie: "__preview" is the pinCookie too"#,
    );
}

/// Every key of the plugin's configuration with invalid values: the chart refuses those that the plugin
/// refuses, and no others.
#[test]
fn the_chart_judges_every_key_of_the_plugin_as_the_plugin_does() -> Result<()> {
    let values = [
        json!(1),
        json!(1.5),
        json!(-1),
        json!(""),
        json!("a b"),
        json!("é"),
        json!("host"),
        json!(true),
        json!([]),
        json!([""]),
        json!([7]),
        json!({}),
        json!({ "a": "b" }),
    ];
    let keys = keys_that_the_chart_passes_on();
    ensure!(
        keys.len() > 15,
        "the plugin lists its keys differently now: {keys:?}"
    );
    let objects: Vec<_> = keys
        .iter()
        .map(|key| (key, known_keys(key)))
        .filter(|(_, members)| !members.is_empty())
        .collect();
    ensure!(
        objects.len() >= 5,
        "the plugin lists its keys differently now: {objects:?}"
    );
    let sources = known_keys("sources[0]");
    ensure!(
        sources.len() >= 5,
        "the plugin lists its kinds of sources differently now: {sources:?}"
    );
    for value in &values {
        assert_same_verdict(&all_set_to(&keys, value), 1)?;
        let one_of_each_kind = sources.iter().map(|kind| json!({ kind.as_str(): value }));
        assert_same_verdict(&json!({ "sources": Value::from_iter(one_of_each_kind) }), 3)?;
        for (object, members) in &objects {
            assert_same_verdict(&json!({ object.as_str(): all_set_to(members, value) }), 2)?;
        }
    }
    Ok(())
}

fn all_set_to(keys: &[String], value: &Value) -> Value {
    keys.iter()
        .map(|key| (key.clone(), value.clone()))
        .collect()
}

/// Chart and plugin refuse the same keys of this configuration. A key is the first `depth` words of a path.
fn assert_same_verdict(config: &Value, depth: usize) -> Result<()> {
    let by_chart = match helm::refusal(&json!({ "config": config }).to_string()) {
        Ok(said) => said
            .split("at '/config/")
            .skip(1)
            .filter_map(|rest| rest.split('\'').next())
            .map(|path| first_words(path, '/', depth))
            .collect(),
        Err(_) => BTreeSet::new(),
    };
    let mut config = config.clone();
    config["releases"] = json!([{ "version": "2.0.0" }]);
    config["current"] = json!("2.0.0");
    let by_plugin: BTreeSet<_> = match Config::load(config.to_string().as_bytes()) {
        Ok(_) => BTreeSet::new(),
        Err(problems) => problems
            .iter()
            .map(|problem| {
                first_words(&problem.path.replace('[', ".").replace(']', ""), '.', depth)
            })
            .collect(),
    };
    assert_eq!(
        by_chart, by_plugin,
        "refused by the chart, and by the plugin, in {config}"
    );
    Ok(())
}

fn first_words(path: &str, separator: char, depth: usize) -> String {
    path.split(separator)
        .take(depth)
        .collect::<Vec<_>>()
        .join(".")
}

/// The keys of the plugin's configuration except those that the chart sets.
fn keys_that_the_chart_passes_on() -> Vec<String> {
    let mut keys = known_keys("");
    keys.retain(|key| !["releases", "current", "hosts"].contains(&key.as_str()));
    keys
}

/// The keys of the configuration, or of an object in it, as the plugin lists them when it finds one that it does not
/// know. None if it expects something other than an object.
fn known_keys(object: &str) -> Vec<String> {
    const UNKNOWN: &str = "a-key-that-nobody-can-have-meant";
    let odd = json!({ UNKNOWN: 0 });
    let (config, path) = match (object, object.strip_suffix("[0]")) {
        ("", _) => (odd, UNKNOWN.to_owned()),
        (_, Some(list)) => (json!({ list: [odd] }), format!("{object}.{UNKNOWN}")),
        (key, None) => (json!({ key: odd }), format!("{key}.{UNKNOWN}")),
    };
    let Err(problems) = Config::load(config.to_string().as_bytes()) else {
        return Vec::new();
    };
    problems
        .iter()
        .filter(|problem| problem.path == path)
        .filter_map(|problem| problem.text.strip_prefix("unknown key; allowed: "))
        .flat_map(|listed| listed.split(", ").flat_map(|names| names.split(" and ")))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_path_consists_of_whole_segments_and_belongs_to_one_service() {
    for path in ["", "api", "/api/", "/api?x", "/a b", "/a#b", "//"] {
        assert_refused(
            &format!("services: [{{host: api.shop, port: 80, paths: [{path:?}]}}]"),
            "at '/services/0/paths/0': value must be 'whole segments, without a slash at the end: /api means /api and everything below it'",
        );
    }
    assert_refused(
        "services: [{host: web.shop, port: 80, paths: [/, /api]}, {host: api.shop, port: 80, paths: [/api]}]",
        r#"services[1].paths[0]: "/api" leads to web.shop already"#,
    );
}

#[test]
fn a_service_is_listed_once_however_its_host_is_written() {
    for host in ["api", "api.shop.svc.cluster.local"] {
        assert_refused(
            &format!(
                "services: [{{host: {host}, port: 80, paths: [/a]}}, {{host: api, port: 81, paths: [/b]}}]"
            ),
            r#"services[1].host: "api" is the service of services[0] too; put all its paths there"#,
        );
    }
}

#[test]
fn a_service_needs_host_port_and_paths() {
    assert_refused("services: []", "at '/services': minItems: got 0, want 1");
    assert_refused(
        "services: [{}]",
        "at '/services/0': missing properties 'host', 'port', 'paths'",
    );
    assert_refused(
        "services: [{host: '*.shop', port: 80, paths: [/]}]",
        "at '/services/0/host': value must be 'the host of one service",
    );
    assert_refused(
        "services: [{host: a, port: '80', paths: [/]}]",
        "at '/services/0/port': got string, want integer",
    );
    assert_refused(
        "services: [{host: a, port: 80, paths: []}]",
        "at '/services/0/paths': minItems: got 0, want 1",
    );
}

#[test]
fn a_probe_path_leads_to_its_service() {
    let api = |path| {
        format!(
            "services:\n  - {{host: api, port: 8080, paths: [\"/api\"], probePath: \"{path}\"}}\n  - {{host: web, port: 80, paths: [\"/\"]}}"
        )
    };
    assert_refused(
        &api("/apis"),
        "services[0].probePath: \"/apis\" does not lead to api; choose a path below one of its paths",
    );
    assert_refused(
        &api("healthz"),
        "at '/services/0/probePath': value must be 'a path such as /api/healthz",
    );
    for path in ["/api", "/api/healthz?deep=1"] {
        assert!(helm::render(&api(path)).is_ok(), "{path}");
    }
}

#[test]
fn routes_take_only_fields_that_do_not_change_the_release() {
    let service = |field: &str| format!("services: [{{host: a, port: 80, paths: [/], {field}}}]");
    assert_refused(
        &service("http: {corsPolicy: {}}"),
        "at '/services/0/http/corsPolicy': value must be 'set at the top, as `corsPolicy`: every route must have the same one'",
    );
    for field in [
        "match",
        "route",
        "name",
        "redirect",
        "delegate",
        "directResponse",
    ] {
        assert_refused(
            &service(&format!("http: {{{field}: {{}}}}")),
            &format!("at '/services/0/http': additional properties '{field}' not allowed"),
        );
    }
    assert_refused(
        &service("versioned: false, trafficPolicy: {tls: {mode: DISABLE}}"),
        "services[0].trafficPolicy: a service that is not versioned gets no DestinationRule from the chart; write it yourself",
    );
}

#[test]
fn hosts_are_required_and_all_hosts_only_as_a_star() {
    assert_refused(
        "hosts: []",
        r#"at '/hosts': value must be 'a list of the application\'s hosts; all hosts of the gateway only explicitly: ["*"]'"#,
    );
    assert_refused(
        "hosts: shop.example.com",
        "at '/hosts': value must be 'a list",
    );
    for host in ["https://shop.example.com", "shop.example.com:443", "a*", ""] {
        assert_refused(
            &format!("hosts: [{host:?}]"),
            "at '/hosts/0': value must be 'a host name without port, or a suffix such as *.example.com'",
        );
    }
    assert_refused(
        r#"hosts: ["*", shop.example.com]"#,
        r#"hosts: "*" means all hosts, so it has to be the only one"#,
    );
    assert_refused(
        r#"{hosts: ["*"], gateways: [shop, mesh]}"#,
        r#"hosts: Istio does not accept "*" for the gateway "mesh""#,
    );
}

#[test]
fn what_only_a_team_can_know_has_no_default() -> Result<()> {
    let said = helm::refusal_alone("{}")?;
    for expected in [
        "value must be 'a map with `releases`: the releases that are served, newest first'",
        "value must be 'a map with `current`: the version for requests without one, or \"\" for rolling updates of \
         plain Deployments'",
        "value must be 'a map with `services`: the services of the application with their paths'",
        "value must be 'a map with `hosts`: the hosts of the application; all hosts of the gateway only explicitly: \
         [\"*\"]'",
        "value must be 'a map with `gateways`: the Istio Gateways through which its users come'",
        "at '/plugin/url': value must be 'where the module is: oci://, https://, http:// or file://; `make push` prints it'",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    Ok(())
}

/// The example's keys, each removed or left without a value.
#[test]
fn a_missing_key_is_refused_and_not_filled_in() {
    for key in ["releases", "current", "services", "hosts", "gateways"] {
        assert_refused(&format!("{key}: null"), &format!("a map with `{key}`: "));
    }
}

#[test]
fn invalid_gateways_and_plugin_fields_are_refused() {
    assert_refused("gateways: []", "at '/gateways': minItems: got 0, want 1");
    assert_refused(
        "gateways: ['a/b/c']",
        "at '/gateways/0': value must be 'the name of a Gateway",
    );
    assert_refused(
        "plugin: {colour: red}",
        "at '/plugin': additional properties 'colour' not allowed",
    );
    assert_refused(
        "plugin: {url: registry.example.com/m}",
        "at '/plugin/url': value must be 'where the module is: oci://",
    );
    assert_refused(
        "plugin: {sha256: abc}",
        "at '/plugin/sha256': value must be 'a SHA-256: 64 digits 0-9 and a-f'",
    );
    assert_refused(
        "plugin: {kind: EnvoyFilter}",
        "at '/plugin/kind': value must be one of 'WasmPlugin', 'TrafficExtension'",
    );
    assert_refused(
        "plugin: {phase: authn}",
        "at '/plugin/phase': value must be one of 'AUTHN', 'AUTHZ', 'STATS'",
    );
    assert_refused(
        "plugin: {failStrategy: OPEN}",
        "at '/plugin/failStrategy': value must be one of 'FAIL_OPEN'",
    );
    assert_refused(
        "plugin: {imagePullSecret: A_B}",
        "at '/plugin/imagePullSecret': value must be 'the name of a Kubernetes object",
    );
    assert_refused(
        "keepRetired: -1",
        "at '/keepRetired': minimum: got -1, want 0",
    );
}

#[test]
fn an_upgrade_that_would_make_another_revision_than_expected_is_refused() -> Result<()> {
    helm::render("expectedRevision: 1")?;
    helm::render("expectedRevision: null")?;
    assert_refused(
        "expectedRevision: 7",
        "- expectedRevision: revision 7 was expected, and this upgrade would make 1: someone has upgraded in the meantime",
    );
    assert_refused(
        "expectedRevision: 0",
        "at '/expectedRevision': minimum: got 0, want 1",
    );
    Ok(())
}

#[test]
fn the_tool_knows_this_refusal_from_every_other() -> Result<()> {
    assert!(is_conflict(&helm::refusal("expectedRevision: 7")?));
    assert!(!is_conflict(&helm::refusal("expectedRevision: 0")?));
    assert!(!is_conflict(&helm::refusal("current: 9.9.9")?));
    Ok(())
}
