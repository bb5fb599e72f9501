//! What a configuration may say, and the exact message for each mistake.

use skew_guard::config::Config;
use skew_guard::policy::Policy;

/// What is said of a configuration without mistakes.
const GOOD: &str = "";

/// The problems of a configuration, one per line.
fn problems(configuration: &str) -> String {
    let loaded = Config::load(configuration.as_bytes());
    loaded.map_or_else(|problems| problems.to_string(), |_| GOOD.to_owned())
}

/// A table of configurations, and of what is said of each; every row is a test.
macro_rules! mistakes {
    ($($(#[doc = $doc:literal])* $name:ident { $($said:tt)+ })+) => {$(
        $(#[doc = $doc])*
        #[test]
        fn $name() {
            said!($($said)+);
        }
    )+};
}

/// The configurations of one row.
macro_rules! said {
    () => {};
    (for $each:pat_param in $list:tt { $($said:tt)+ } $($rest:tt)*) => {
        for $each in $list {
            said!($($said)+);
        }
        said!($($rest)*);
    };
    (let $name:pat_param = $value:expr; $($rest:tt)*) => {
        let $name = $value;
        said!($($rest)*);
    };
    ($configuration:expr => $expected:expr; $($rest:tt)*) => {
        let configuration = $configuration.to_string();
        assert_eq!(problems(&configuration), $expected, "{configuration}");
        said!($($rest)*);
    };
}

#[track_caller]
fn assert_good(configuration: &str) -> Policy {
    match Config::load(configuration.as_bytes()) {
        Ok(config) => Policy::from(config),
        Err(problems) => panic!("{problems}"),
    }
}

/// A configuration of two releases and these additional keys.
fn with(keys: &str) -> String {
    format!(r#"{{"releases":[{{"version":"2.0.0"}},{{"version":"1.4.2"}}],{keys}}}"#)
}

/// A configuration whose first release has these keys in addition to its version.
fn with_release(keys: &str) -> String {
    format!(
        r#"{{"releases":[{{"version":"2.0.0",{keys}}},{{"version":"1.4.2"}}],"current":"1.4.2"}}"#
    )
}

#[test]
fn releases_alone_are_enough_and_every_other_key_has_a_default() {
    let policy = assert_good(r#"{"releases":[{"version":"2.0.0"}]}"#);
    assert_eq!(policy.route_header, "x-release");
    assert_eq!(policy.releases[0].route, "2.0.0");
    let sources: Vec<_> = policy
        .leading_headers
        .iter()
        .chain(&policy.further_sources)
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        sources,
        [
            r#"header "x-bundle-version""#,
            r#"header "x-deployment-id""#,
            r#"query "dpl""#
        ]
    );
    assert!(policy.current.is_none() && policy.pin_cookie.is_none() && policy.preview.is_none());
    assert!(policy.enforce && policy.hints && policy.asset_fallback);
    assert!(!policy.log_outcome);
    assert_eq!(policy.vary, ["x-bundle-version", "x-deployment-id"]);
    assert_eq!(policy.reload.status, 409);
    assert_eq!(policy.revision, None);
}

#[test]
fn a_configuration_with_every_key_is_good() {
    let policy = assert_good(
        r#"{
            "hosts": ["shop.example.com", "*.shop.example.com"],
            "paths": ["/"],
            "routeHeader": "X-Release",
            "sources": [{"header": "X-Bundle-Version"}, {"query": "dpl"}, {"path": "/assets/v-{version}/"}, {"cookie": "v"}, {"baggage": "client-version"}],
            "releases": [
                {"version": "2.1.0", "route": "v2-1-0", "state": "staged"},
                {"version": "2.0.0", "route": "v2-0-0", "accepts": ["1.9.*", "1.8.0", ">=1.5, <1.8"]},
                {"version": "1.4.2", "route": "v1-4-2", "state": "draining", "until": "2026-12-01T18:00:00+01:00"},
                {"version": "1.3.0", "state": "retired"}
            ],
            "current": [{"version": "2.0.0", "weight": 100}],
            "unknownVersion": "reload",
            "minVersion": "1.2.0",
            "denied": ["1.2.3"],
            "pinnedNavigation": ["/checkout"],
            "unpinnedPaths": ["/version.json", "/sw.js"],
            "pinCookie": {"name": "__Host-pin", "maxAgeSeconds": 3600, "path": "/", "sameSite": "None", "secure": true},
            "reload": {"status": 410, "body": {"error": "old"}, "clusters": ["shop"]},
            "cors": {"allowOrigins": ["https://app.example.com"], "allowCredentials": true},
            "hints": false,
            "vary": false,
            "assetFallback": false,
            "upstreamVersion": {"responseHeader": "X-App-Version"},
            "preview": {"sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", "header": "x-preview-key", "query": "preview", "cookie": "__preview"},
            "enforce": false,
            "logOutcome": true,
            "revision": 17
        }"#,
    );
    assert_eq!(policy.route_header, "x-release");
    assert_eq!(policy.releases.len(), 3);
    assert_eq!(policy.revision, Some(17));
    assert!(policy.vary.is_empty() && !policy.enforce && policy.log_outcome);
}

#[test]
fn bytes_that_are_not_utf8_are_not_json() {
    let problems = Config::load(b"{\"hosts\":[\"\xff\"]}").expect_err("it is not UTF-8");
    assert_eq!(
        problems.to_string(),
        "configuration: not JSON: invalid UTF-8 at byte 12; allowed: a JSON object (in Envoy's own configuration within a google.protobuf.StringValue)"
    );
}

#[test]
fn the_body_of_the_reload_answer_is_sent_as_it_was_written() {
    let policy = assert_good(&with(
        r#""reload":{"body": {"b": 1.10, "a":"\u00e9", "b": []} }"#,
    ));
    assert_eq!(
        policy.reload.body.as_deref(),
        Some(r#"{"b": 1.10, "a":"\u00e9", "b": []}"#)
    );
}

#[test]
fn nesting_deeper_than_any_stack_is_a_problem_and_not_a_crash() {
    let nest = format!(
        r#"{{"releases":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(Config::load(nest.as_bytes()).is_err());
}

mistakes! {
    anything_but_json_is_named_as_such {
        let allowed = "allowed: a JSON object (in Envoy's own configuration within a google.protobuf.StringValue)";
        "releases: []" => format!("configuration: not JSON: expected value at line 1 column 1; {allowed}");
        "{\"releases\":\n[" =>
            format!("configuration: not JSON: EOF while parsing a list at line 2 column 1; {allowed}");
        r#"{"releases":[]} and more"# =>
            format!("configuration: not JSON: trailing characters at line 1 column 17; {allowed}");
    }

    an_empty_configuration_is_answered_with_the_smallest_valid_one {
        for empty in ["", "  \n"] {
            empty => r#"configuration: empty; allowed: a JSON object, at least {"releases":[{"version":"1.0.0"}]}"#;
        }
        "{}" => "releases: missing; allowed: a list of releases, newest first";
    }

    a_list_in_place_of_an_object_is_shown_and_truncated {
        let keys = "hosts, paths, routeHeader, sources, releases, current, unknownVersion, minVersion, denied, pinnedNavigation, unpinnedPaths, pinCookie, reload, cors, conditional, hints, vary, assetFallback, upstreamVersion, preview, enforce, logOutcome and revision";
        "[1, 2]" => format!("configuration: [1, 2] is a list; allowed: an object with the keys {keys}");
        let nest = ["[".repeat(100), "]".repeat(100)].concat();
        nest => format!("configuration: {}… is a list; allowed: an object with the keys {keys}", "[".repeat(60));
        r#"{"releases":[["2.0.0"]]}"# =>
            r#"releases[0]: ["2.0.0"] is a list; allowed: an object with the keys version, route, state, accepts and until"#;
    }

    a_value_is_shown_as_written_but_on_one_line {
        "{\"releases\": [\r\n\t{ \"version\":\"1\",  \"state\": [\r\n\r\n\t\t\"a  b\",\t1.10\n\t] }\n]}" =>
            "releases[0].state: [ \"a  b\",\t1.10 ] is a list; allowed: a string";
    }

    escaped_characters_are_those_that_they_stand_for {
        r#"{"rel\u0065ases":[{"version":"2.0.0","accepts":["\u003e=1.2, \u003c2"]}],"paths":["\/caf\u0065"]}"# => GOOD;
        r#"{"releases":[{"version":"2.0.0"}],"r\u0065vision":"\ud83d\ude00"}"# =>
            r#"revision: "\ud83d\ude00" is a string; allowed: a whole number from 0 to 9223372036854775807"#;
    }

    half_of_a_surrogate_pair_is_not_text {
        with(r#""hosts":["\ud800"]"#) =>
            r#"hosts[0]: "\ud800" is not allowed; allowed: Unicode, with both halves of each surrogate pair"#;
        r#"{"releases":[{"version":"2.0.0"}],"cors":{"\ud800":1}}"# =>
            r#"cors: {"\ud800":1} is not allowed; allowed: keys of Unicode, with both halves of each surrogate pair"#;
    }

    a_number_in_place_of_a_version_is_shown_as_written {
        r#"{"releases":[{"version":"2.0.0"},{"version":1.10}]}"# =>
            r#"releases[1].version: 1.10 is a number; write it as a string: "1.10""#;
        r#"{"releases":[{"version":"2.0.0"}],"current":2}"# => r#"current: 2 is a number; write it as a string: "2""#;
    }

    all_problems_are_reported_at_once_each_with_its_place {
        r#"{
            "curent": "2.0.0",
            "hosts": ["https://shop"],
            "releases": [{"version": 2, "sate": "live"}, {"version": "1 4", "route": "a b"}],
            "enforce": "no"
        }"# => [
            r#"curent: unknown key; did you mean "current"?"#,
            r#"hosts[0]: "https://shop" is not allowed; allowed: a host name "shop.example.com", all below one "*.example.com", or "*"; without scheme and port"#,
            r#"releases[0].sate: unknown key; did you mean "state"?"#,
            r#"releases[0].version: 2 is a number; write it as a string: "2""#,
            r#"releases[1].version: "1 4" is not allowed; allowed: 1 to 64 of the characters A-Z a-z 0-9 . _ + -, the first a letter or a digit; not undefined, null, nan, none, unknown, true or false"#,
            r#"releases[1].route: "a b" is not allowed; allowed: 1 to 64 of the characters A-Z a-z 0-9 . _ + -, the first a letter or a digit; not undefined, null, nan, none, unknown, true or false"#,
            r#"enforce: "no" is a string; allowed: true or false"#,
        ].join("\n");
    }

    an_unknown_key_that_resembles_none_is_answered_with_all_keys {
        with_release(r#""colour":"red""#) =>
            "releases[0].colour: unknown key; allowed: version, route, state, accepts and until";
    }

    a_duplicate_key_is_reported {
        with(r#""current":"2.0.0","current":"1.4.2""#) => "current: this key occurs twice; allowed: once";
        r#"{"releases":[{"version":"2.0.0","route":"a","route":"b"}]}"# =>
            "releases[0].route: this key occurs twice; allowed: once";
    }

    null_is_not_a_value {
        with(r#""current":null"#) =>
            "current: null is no value; allowed: a version, or a list of objects with the keys version and weight";
    }

    versions_and_routes_are_each_named_once {
        r#"{"releases":[{"version":"2.0.0","route":"a"},{"version":"1.0.0"},{"version":"2.0.0","route":"b"},{"version":"2.0.0","state":"retired"}]}"# =>
            "releases[2].version: \"2.0.0\" is the version of releases[0] too; allowed: each version once\n\
            releases[3].version: \"2.0.0\" is the version of releases[2] too; allowed: each version once";
        r#"{"releases":[{"version":"2.0.0","route":"v"},{"version":"1.0.0","route":"v"}]}"# =>
            "releases[1].route: \"v\" is the route of releases[0] too; allowed: a different route for each release that is not retired";
        r#"{"releases":[{"version":"2.0.0","route":"v"},{"version":"1.0.0","route":"v","state":"retired"}]}"# => GOOD;
    }

    the_number_of_releases_is_limited_at_both_ends {
        r#"{"releases":[]}"# =>
            "releases: [] is not allowed; allowed: 1 to 256 that are not retired, and up to 4096 that are";
        r#"{"releases":[{"version":"1.0.0","state":"retired"}]}"# =>
            "releases: all are retired; allowed: 1 to 256 that are not";
        let list = |count: usize, state: &str| {
            let release = |number| format!(r#"{{"version":"{state}{number}","state":"{state}"}}"#);
            (0..count).map(release).collect::<Vec<_>>().join(",")
        };
        format!(r#"{{"releases":[{}]}}"#, list(257, "live")) => "releases: 257 are not retired; allowed: 1 to 256";
        format!(r#"{{"releases":[{},{}]}}"#, list(1, "live"), list(4097, "retired")) =>
            "releases: 4097 are retired; allowed: up to 4096; leave out the oldest";
        format!(r#"{{"releases":[{},{}]}}"#, list(256, "live"), list(4096, "retired")) => GOOD;
    }

    current_is_a_live_release {
        let releases = r#""releases":[{"version":"2.1.0","state":"staged"},{"version":"2.0.0"},{"version":"1.4.2","state":"draining"},{"version":"1.3.0","state":"retired"}]"#;
        let allowed = "allowed: the version of a live release (2.0.0)";
        for (current, wrong) in [
            ("9.9.9", "names no release"),
            ("2.1.0", "is staged"),
            ("1.4.2", "is draining"),
            ("1.3.0", "is retired"),
        ] {
            format!(r#"{{{releases},"current":"{current}"}}"#) =>
                format!(r#"current: "{current}" {wrong}; {allowed}"#);
        }
        format!(r#"{{{releases},"current":"2.0.0","denied":["2.0.0"]}}"#) =>
            format!(r#"current: "2.0.0" is denied; {allowed}"#);
        format!(r#"{{{releases},"current":"2.0.0","minVersion":"2.0.1"}}"#) =>
            format!(r#"current: "2.0.0" is below minVersion; {allowed}"#);
    }

    a_missing_release_is_not_blamed_on_current {
        r#"{"releases":[{"version":2.0},{"version":"1.4.2"}],"current":"2.0"}"# =>
            r#"releases[0].version: 2.0 is a number; write it as a string: "2.0""#;
    }

    current_is_checked_beside_any_other_problem_of_the_releases {
        let names_none = r#"current: "9.9.9" names no release; allowed: the version of a live release"#;
        r#"{"releases":[{"version":"2.0.0","route":"a"},{"version":"2.0.0","route":"b"}],"current":"9.9.9"}"# =>
            format!("releases[1].version: \"2.0.0\" is the version of releases[0] too; allowed: each version once\n{names_none} (2.0.0, 2.0.0)");
        for (release, problem) in [
            (r#""colour":"red""#, "colour: unknown key; allowed: version, route, state, accepts and until"),
            (r#""route":["b"]"#, r#"route: ["b"] is a list; allowed: a string"#),
        ] {
            format!(r#"{{"releases":[{{"version":"2.0.0","route":"a"}},{{"version":"1.4.2",{release}}}],"current":"9.9.9"}}"#) =>
                format!("releases[1].{problem}\n{names_none} (2.0.0, 1.4.2)");
        }
    }

    a_release_with_a_wrong_route_is_still_found_by_its_version {
        r#"{"releases":[{"version":"2.0.0","route":1},{"version":"1.4.2","route":"a b"}],"current":"1.4.2"}"# =>
            "releases[0].route: 1 is a number; write it as a string: \"1\"\n\
            releases[1].route: \"a b\" is not allowed; allowed: 1 to 64 of the characters A-Z a-z 0-9 . _ + -, the first a letter or a digit; not undefined, null, nan, none, unknown, true or false";
    }

    keys_that_need_current_are_not_blamed_for_a_wrong_current {
        r#"{"releases":[{"version":"2.1.0","state":"staged"},{"version":"2.0.0"}],"current":2,"unknownVersion":"current"}"# =>
            r#"current: 2 is a number; write it as a string: "2""#;
    }

    every_problem_of_the_weights_is_reported_at_once {
        with(r#""current":[{"version":"9.9.9","weight":0},{"version":"1.4.2","weight":0}]"#) => [
            r#"current[0].version: "9.9.9" names no release; allowed: the version of a live release (2.0.0, 1.4.2)"#,
            "current: no release has a weight; allowed: at least one above 0",
            "current: weights need pinCookie, or a visitor changes release with every request; allowed without it: one version",
        ].join("\n");
    }

    weights_add_up_to_something_and_need_the_cookie {
        let cookie = r#""pinCookie":{"name":"pin"}"#;
        with(&format!(r#"{cookie},"current":[{{"version":"2.0.0","weight":0}},{{"version":"1.4.2","weight":7}}]"#)) => GOOD;
        with(r#""current":[{"version":"2.0.0","weight":90}]"#) =>
            "current: weights need pinCookie, or a visitor changes release with every request; allowed without it: one version";
        with(&format!(r#"{cookie},"current":[{{"version":"2.0.0","weight":0}}]"#)) =>
            "current: no release has a weight; allowed: at least one above 0";
        with(&format!(r#"{cookie},"current":[]"#)) =>
            "current: [] is not allowed; allowed: a version, or a list of objects with the keys version and weight";
        with(&format!(r#"{cookie},"current":[{{"version":"2.0.0","weight":1}},{{"version":"2.0.0","weight":1}}]"#)) =>
            r#"current[1].version: "2.0.0" is the version of current[0] too; allowed: each version once"#;
        for weight in ["-1", "1.5", "10001", "1e2"] {
            with(&format!(r#"{cookie},"current":[{{"version":"2.0.0","weight":{weight}}}]"#)) =>
                format!("current[0].weight: {weight} is not allowed; allowed: a whole number from 0 to 10000");
        }
    }

    staged_needs_current_to_hide_its_pods {
        r#"{"releases":[{"version":"2.1.0","state":"staged"},{"version":"2.0.0"}]}"# =>
            "releases[0].state: \"staged\" needs the key current: without it the mesh spreads requests over all pods, staged ones included; allowed without it: live, draining and retired";
    }

    only_a_draining_release_has_an_until {
        with_release(r#""until":"2026-12-01T00:00:00Z""#) =>
            r#"releases[0].until: a live release does not end by itself; allowed: until with "state": "draining""#;
        with_release(r#""state":"draining","until":"tomorrow""#) =>
            r#"releases[0].until: "tomorrow" is not allowed; allowed: an RFC 3339 time: "2026-01-31T18:00:00Z""#;
        with_release(r#""state":"retired","until":"2026-12-01T00:00:00Z""#) => GOOD;
    }

    accepts_holds_patterns_and_each_exact_version_once {
        with_release(r#""accepts":["1.*","one two",">=1.x.y"]"#) =>
            "releases[0].accepts[1]: \"one two\" is not allowed; allowed: an exact version, a prefix such as \"1.4.*\", or a semver range such as \">=1.2, <2\"\n\
            releases[0].accepts[2]: \">=1.x.y\" is not allowed; allowed: an exact version, a prefix such as \"1.4.*\", or a semver range such as \">=1.2, <2\"";
        r#"{"releases":[{"version":"2.0.0","accepts":["1.9.0"]},{"version":"1.4.2","accepts":["1.9.0"]}]}"# =>
            r#"releases[1].accepts: "1.9.0" is accepted by releases[0] too; allowed: each exact version once"#;
    }

    a_minimum_compares_only_semver {
        r#"{"releases":[{"version":"2.0.0"},{"version":"9f86d08"}],"minVersion":"1.4.0"}"# =>
            r#"minVersion: "1.4.0" cannot be compared with "9f86d08" of releases[1], which is not semver; allowed: only if all releases are semver"#;
        with(r#""minVersion":"1.4""#) => r#"minVersion: "1.4" is not allowed; allowed: a semver version: "1.4.0""#;
    }

    a_header_that_cannot_be_written_is_refused_as_route_header {
        let allowed = "allowed: the name of a header: letters, digits and - _ ., not a hop-by-hop header, host, cookie or content-*";
        for name in ["", ":path", "x release", "Host", "cookie", "Content-Length", "Transfer-Encoding", "x-é"] {
            let written = format!(r#""{name}""#);
            with(&format!(r#""routeHeader":{written}"#)) =>
                format!("routeHeader: {written} is not allowed; {allowed}");
        }
    }

    a_source_is_one_place_and_named_once {
        with(r#""sources":[{"header":"x-v","query":"v"}]"#) =>
            r#"sources[0]: {"header":"x-v","query":"v"} is not allowed; allowed: an object with one of the keys header, query, path, cookie and baggage"#;
        with(r#""sources":[{}]"#) =>
            "sources[0]: {} is not allowed; allowed: an object with one of the keys header, query, path, cookie and baggage";
        with(r#""sources":[]"#) =>
            "sources: [] is not allowed; allowed: a list that is not empty; leave the key out for its default";
        with(r#""sources":[{"headers":"x-v"}]"#) => r#"sources[0].headers: unknown key; did you mean "header"?"#;
        with(r#""sources":[{"header":"x-v"},{"header":"X-V"}]"#) =>
            r#"sources: header "x-v" is listed twice; allowed: each source once"#;
        with(r#""sources":[{"header":"x-release"}]"#) =>
            r#"sources: header "x-release" is the routeHeader, which is removed from what clients send; allowed: another header"#;
    }

    a_path_source_has_the_version_once_beside_a_literal_part {
        for path in ["/assets/{version}/", "/assets/v-/", "assets/v-{version}/", "/v-{version}/w-{version}/"] {
            with(&format!(r#""sources":[{{"path":"{path}"}}]"#)) =>
                format!(r#"sources[0].path: "{path}" is not allowed; allowed: a path prefix with {{version}} once, in a segment that also has a literal part: "/assets/v-{{version}}/""#);
        }
    }

    a_path_prefix_begins_with_a_slash_and_has_no_query {
        for path in ["api", "/api?x", "/api/*", ""] {
            with(&format!(r#""paths":["{path}"]"#)) =>
                format!(r#"paths[0]: "{path}" is not allowed; allowed: a path prefix that begins with "/", without query"#);
        }
    }

    an_empty_scope_is_refused {
        for key in ["hosts", "paths"] {
            with(&format!(r#""{key}":[]"#)) =>
                format!("{key}: [] is not allowed; allowed: a list that is not empty; leave the key out for its default");
        }
    }

    a_pin_cookie_that_browsers_would_refuse_is_refused {
        with(r#""pinCookie":{"name":"pin","sameSite":"None","secure":false}"#) =>
            r#"pinCookie.sameSite: "None" needs "secure": true, or browsers refuse the cookie; allowed without it: Lax"#;
        with(r#""pinCookie":{"name":"__Host-pin","domain":"example.com"}"#) =>
            r#"pinCookie.name: "__Host-pin" needs "secure": true, the path "/" and no domain, or browsers refuse the cookie; allowed: without "__Host-""#;
        with(r#""pinCookie":{"name":"__Secure-pin","secure":false}"#) =>
            r#"pinCookie.name: "__Secure-pin" needs "secure": true, or browsers refuse the cookie; allowed: without "__Secure-""#;
        with(r#""pinCookie":{"name":"pin","sameSite":"Strict"}"#) =>
            r#"pinCookie.sameSite: "Strict" is not allowed; allowed: Lax and None"#;
        with(r#""pinCookie":{}"#) =>
            "pinCookie.name: missing; allowed: the name of a cookie: letters, digits and - _ .";
    }

    the_pin_and_the_preview_have_a_cookie_each {
        with(r#""pinCookie":{"name":"c"},"preview":{"sha256":"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b","cookie":"c"}"#) =>
            r#"preview.cookie: "c" is the pinCookie too; allowed: another cookie"#;
        with(r#""preview":{"sha256":"secret"}"#) =>
            r#"preview.sha256: "secret" is not allowed; allowed: the SHA-256 of the key, 64 hexadecimal digits"#;
    }

    the_status_of_the_reload_answer_is_a_4xx {
        with(r#""reload":{"status":503}"#) =>
            "reload.status: 503 is not allowed; allowed: a whole number from 400 to 499";
    }

    an_origin_has_a_scheme_and_a_host_and_no_path {
        for origin in [
            "*",
            "app.example.com",
            "https://*",
            "https://app.*.example.com",
            "https://app.example.com/",
            "https://app.example.com:",
            "https://app.example.com:65536",
            "1https://app.example.com",
            "null",
        ] {
            with(&format!(r#""cors":{{"allowOrigins":["{origin}"]}}"#)) =>
                format!(r#"cors.allowOrigins[0]: "{origin}" is not allowed; allowed: an origin "https://app.example.com", or all below one "https://*.example.com""#);
        }
    }

    unknown_version_current_needs_a_current {
        with(r#""unknownVersion":"current""#) =>
            r#"unknownVersion: "current" needs the key current; allowed without it: auto and reload"#;
        with(r#""unknownVersion":"newest""#) =>
            r#"unknownVersion: "newest" is not allowed; allowed: auto, current and reload"#;
    }

    a_revision_is_a_whole_number {
        with(r#""revision":"17""#) =>
            r#"revision: "17" is a string; allowed: a whole number from 0 to 9223372036854775807"#;
    }
}
