//! The JSON Schema: it knows the keys that the reader knows, and agrees with the reader about what a
//! value may be.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use skew_guard::config::Config;

use crate::tool::run;

fn schema() -> Value {
    let text = include_str!("../../envoy/config.schema.json");
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn the_tool_prints_the_schema_as_it_is_committed() {
    let committed = include_str!("../../envoy/config.schema.json");
    assert_eq!(run(&["schema"]).ends(0).out, committed);
    let by_machine = run(&["schema", "--output", "json"]).ends(0).out;
    let by_machine: Value = serde_json::from_str(&by_machine).expect("JSON");
    assert_eq!(by_machine, schema());
}

/// Each object of a configuration: a configuration with an unknown key there, where that key is, and
/// the object's schema.
fn objects() -> Vec<(Value, &'static str, &'static str)> {
    let with = |key: &str, value: Value| {
        let mut root = json!({"releases": [{"version": "1"}]});
        root[key] = value;
        root
    };
    let odd = json!({"zzzzzzzzzzzzzzzzzzzz": 1});
    vec![
        (with("zzzzzzzzzzzzzzzzzzzz", json!(1)), "", ""),
        (
            with("releases", json!([odd])),
            "releases[0].",
            "/definitions/ReleaseConfig",
        ),
        (
            with("current", json!([odd])),
            "current[0].",
            "/definitions/Share",
        ),
        (
            with("sources", json!([odd])),
            "sources[0].",
            "/definitions/Source",
        ),
        (
            with("pinCookie", odd.clone()),
            "pinCookie.",
            "/definitions/PinCookieConfig",
        ),
        (
            with("reload", odd.clone()),
            "reload.",
            "/definitions/ReloadConfig",
        ),
        (
            with("cors", odd.clone()),
            "cors.",
            "/definitions/CorsConfig",
        ),
        (
            with("upstreamVersion", odd.clone()),
            "upstreamVersion.",
            "/definitions/UpstreamVersionConfig",
        ),
        (
            with("preview", odd),
            "preview.",
            "/definitions/PreviewConfig",
        ),
    ]
}

#[test]
fn the_schema_knows_exactly_the_keys_that_the_reader_knows() {
    let schema = schema();
    let mut described = BTreeSet::new();
    for (configuration, at, definition) in objects() {
        let problems = Config::load(configuration.to_string().as_bytes()).expect_err("a problem");
        let path = format!("{at}zzzzzzzzzzzzzzzzzzzz");
        let unknown = problems
            .iter()
            .find(|problem| problem.path == path)
            .unwrap_or_else(|| panic!("{path} in {problems}"));
        let allowed = unknown
            .text
            .split_once("allowed: ")
            .expect("the known keys")
            .1;
        let known: BTreeSet<_> = allowed
            .split(", ")
            .flat_map(|names| names.split(" and "))
            .collect();
        let properties = schema
            .pointer(&format!("{definition}/properties"))
            .and_then(Value::as_object)
            .unwrap_or_else(|| panic!("{definition} has properties"));
        let described_here: BTreeSet<_> = properties.keys().map(String::as_str).collect();
        assert_eq!(described_here, known, "{definition}");
        described.insert(definition);
    }
    let definitions = schema["definitions"].as_object().expect("definitions");
    for (name, definition) in definitions {
        let is_object = definition.get("properties").is_some();
        assert_eq!(
            is_object,
            described.contains(format!("/definitions/{name}").as_str()),
            "{name}"
        );
    }
}

/// Values of each key, valid and invalid.
fn corpus() -> Vec<(&'static str, Vec<Value>)> {
    let release = |key: &str, values: Vec<Value>| -> Vec<Value> {
        let with = |value: Value| {
            let mut release = json!({"version": "1"});
            if key == "until" {
                release["state"] = json!("draining");
            }
            release[key] = value;
            json!([release])
        };
        values.into_iter().map(with).collect()
    };
    let below = |key: &str, base: Value, values: Vec<Value>| -> Vec<Value> {
        let with = |value: Value| {
            let mut object = base.clone();
            object[key] = value;
            object
        };
        values.into_iter().map(with).collect()
    };
    let versions = || {
        vec![
            json!("1.10"),
            json!(1.10),
            json!(7),
            json!("9f86d08"),
            json!("1.0.0-rc.1+b"),
            json!(""),
            json!("-1"),
            json!("1 2"),
            json!("é"),
            json!("a".repeat(64)),
            json!("a".repeat(65)),
            json!("undefined"),
            json!("NaN"),
            json!("none"),
            json!("nonesuch"),
            json!(null),
            json!(true),
            json!({}),
            json!(["1"]),
        ]
    };
    let headers = || {
        vec![
            json!("x-v"),
            json!("X-V"),
            json!("x_v.1"),
            json!("cookie"),
            json!("Host"),
            json!("Content-Type"),
            json!("contents"),
            json!("te"),
            json!("tea"),
            json!(""),
            json!("a b"),
            json!(":path"),
            json!("a".repeat(128)),
            json!("a".repeat(129)),
            json!(1),
        ]
    };
    let tokens = || {
        vec![
            json!("pin"),
            json!("__Host-p"),
            json!("a b"),
            json!(""),
            json!("a=b"),
            json!(1),
        ]
    };
    let switches = || {
        vec![
            json!(true),
            json!(false),
            json!("true"),
            json!(1),
            json!(null),
        ]
    };
    let paths = || {
        vec![
            json!([]),
            json!(["/"]),
            json!(["/a/b"]),
            json!(["a"]),
            json!(["/a?b"]),
            json!(["/a*"]),
            json!(["/a#b"]),
            json!(["/a b"]),
            json!(["/é"]),
            json!([1]),
            json!("/a"),
            json!(null),
        ]
    };
    let sources = |kind: &str, values: Vec<Value>| -> Vec<Value> {
        values
            .into_iter()
            .map(|value| json!([{kind: value}]))
            .collect()
    };
    let preview = json!({"sha256": "0".repeat(64)});
    let cookie = json!({"name": "pin"});
    let sha256 = || {
        vec![
            json!("0".repeat(64)),
            json!("AbCdEf01".repeat(8)),
            json!("0".repeat(63)),
            json!("g".repeat(64)),
            json!(0),
        ]
    };
    vec![
        ("releases", release("version", versions())),
        ("releases", release("route", versions())),
        (
            "releases",
            release(
                "state",
                vec![
                    json!("staged"),
                    json!("live"),
                    json!("draining"),
                    json!("retired"),
                    json!("Live"),
                    json!(1),
                    json!(null),
                ],
            ),
        ),
        (
            "releases",
            release(
                "accepts",
                vec![
                    json!([]),
                    json!(["1.4.*"]),
                    json!(["1.4"]),
                    json!([">=1.2, <2"]),
                    json!(["^1"]),
                    json!(["~1.2.3-rc.1"]),
                    json!(["*"]),
                    json!(["1.*.3.4"]),
                    json!(["*.1"]),
                    json!([">=banana"]),
                    json!([""]),
                    json!(["a b"]),
                    json!("1.*"),
                    json!([1.4]),
                    json!(["<2.0.0+b"]),
                    json!(["=1.*"]),
                    json!(["> 1"]),
                ],
            ),
        ),
        (
            "releases",
            release(
                "until",
                vec![
                    json!("2026-01-31T18:00:00Z"),
                    json!("2026-01-31T18:00:00.5+01:00"),
                    json!("2026-01-31"),
                    json!("tomorrow"),
                    json!("2026-01-31 18:00:00"),
                    json!(1_800_000_000),
                    json!(null),
                ],
            ),
        ),
        ("releases", release("zone", vec![json!(1)])),
        (
            "releases",
            vec![
                json!({}),
                json!("1"),
                json!([]),
                json!([1]),
                json!([{}]),
                json!(null),
                json!([{"route": "a"}]),
            ],
        ),
        ("current", versions()),
        (
            "current",
            vec![
                json!([]),
                json!([{"version": "1", "weight": 1}]),
                json!([{"version": "1"}]),
                json!([{"weight": 1}]),
                json!([{"version": "1", "weight": 10_000}]),
                json!([{"version": "1", "weight": 10_001}]),
                json!([{"version": "1", "weight": -1}]),
                json!([{"version": "1", "weight": 0.5}]),
                json!([{"version": "1", "weight": "1"}]),
                json!([{"version": 1, "weight": 1}]),
                json!(["1"]),
            ],
        ),
        (
            "hosts",
            vec![
                json!([]),
                json!(["*"]),
                json!(["a.example"]),
                json!(["*.a.example"]),
                json!(["[::1]"]),
                json!(["a:80"]),
                json!(["https://a"]),
                json!(["a..b"]),
                json!(["*a"]),
                json!(["a/b"]),
                json!([""]),
                json!("a"),
                json!([1]),
            ],
        ),
        ("paths", paths()),
        ("pinnedNavigation", paths()),
        ("unpinnedPaths", paths()),
        ("routeHeader", headers()),
        ("sources", sources("header", headers())),
        ("sources", sources("query", tokens())),
        ("sources", sources("cookie", tokens())),
        ("sources", sources("baggage", tokens())),
        (
            "sources",
            sources(
                "path",
                vec![
                    json!("/assets/v-{version}/"),
                    json!("/assets/{version}.js"),
                    json!("/a/v{version}b/c/"),
                    json!("/assets/{version}/"),
                    json!("assets/v-{version}/"),
                    json!("/assets/"),
                    json!("/v{version}/v{version}/"),
                    json!("/a b/v{version}/"),
                    json!("/a?b/v{version}/"),
                    json!(1),
                ],
            ),
        ),
        (
            "sources",
            vec![
                json!([]),
                json!([{}]),
                json!([{"header": "a", "query": "b"}]),
                json!([{"body": "a"}]),
                json!({}),
                json!(["a"]),
            ],
        ),
        (
            "unknownVersion",
            vec![
                json!("auto"),
                json!("reload"),
                json!("gone"),
                json!(1),
                json!(null),
            ],
        ),
        (
            "minVersion",
            vec![
                json!("1.0.0"),
                json!("1.0.0-rc.1"),
                json!("1.0"),
                json!("v1.0.0"),
                json!("01.0.0"),
                json!(1.0),
                json!(null),
            ],
        ),
        (
            "denied",
            vec![
                json!([]),
                json!(["9"]),
                json!([9]),
                json!("9"),
                json!([" "]),
            ],
        ),
        ("pinCookie", below("name", cookie.clone(), tokens())),
        (
            "pinCookie",
            below(
                "maxAgeSeconds",
                cookie.clone(),
                vec![
                    json!(1),
                    json!(0),
                    json!(34_560_000),
                    json!(34_560_001),
                    json!(1.5),
                    json!("1"),
                    json!(-1),
                ],
            ),
        ),
        (
            "pinCookie",
            below(
                "domain",
                cookie.clone(),
                vec![
                    json!("a.example"),
                    json!(".a.example"),
                    json!("*.a.example"),
                    json!("a;b"),
                    json!(""),
                    json!(1),
                ],
            ),
        ),
        (
            "pinCookie",
            below(
                "path",
                cookie.clone(),
                vec![
                    json!("/"),
                    json!("/a"),
                    json!("a"),
                    json!("/a;b"),
                    json!("/a b"),
                    json!(1),
                ],
            ),
        ),
        (
            "pinCookie",
            below(
                "sameSite",
                cookie.clone(),
                vec![
                    json!("Lax"),
                    json!("None"),
                    json!("Strict"),
                    json!("lax"),
                    json!(1),
                ],
            ),
        ),
        ("pinCookie", below("secure", cookie, switches())),
        (
            "pinCookie",
            vec![json!({}), json!("pin"), json!(null), json!([])],
        ),
        (
            "reload",
            below(
                "status",
                json!({}),
                vec![
                    json!(399),
                    json!(400),
                    json!(499),
                    json!(500),
                    json!("409"),
                    json!(409.5),
                ],
            ),
        ),
        (
            "reload",
            below(
                "body",
                json!({}),
                vec![json!(null), json!({"a": [1]}), json!("a"), json!(1.10)],
            ),
        ),
        (
            "reload",
            below(
                "clusters",
                json!({}),
                vec![json!([]), json!(["a"]), json!([1]), json!("a")],
            ),
        ),
        (
            "reload",
            vec![json!({}), json!([]), json!(null), json!({"code": 1})],
        ),
        (
            "cors",
            below(
                "allowOrigins",
                json!({}),
                vec![
                    json!(["https://a.example"]),
                    json!(["http://a:80"]),
                    json!(["http://[::1]:80"]),
                    json!(["https://*.a.example:8443"]),
                    json!(["capacitor://localhost"]),
                    json!(["https://*"]),
                    json!(["https://a:"]),
                    json!(["*"]),
                    json!(["a.example"]),
                    json!(["https://a/"]),
                    json!(["https://"]),
                    json!([1]),
                    json!("https://a"),
                    json!([]),
                ],
            ),
        ),
        (
            "cors",
            below("allowCredentials", json!({"allowOrigins": []}), switches()),
        ),
        ("cors", vec![json!({}), json!(null)]),
        (
            "conditional",
            vec![
                json!("auto"),
                json!("keep"),
                json!("Keep"),
                json!(true),
                json!(null),
            ],
        ),
        ("hints", switches()),
        ("vary", switches()),
        ("assetFallback", switches()),
        ("enforce", switches()),
        ("logOutcome", switches()),
        (
            "upstreamVersion",
            below("responseHeader", json!({}), headers()),
        ),
        ("upstreamVersion", vec![json!({}), json!("x-v")]),
        ("preview", below("sha256", json!({}), sha256())),
        ("preview", below("header", preview.clone(), headers())),
        ("preview", below("query", preview.clone(), tokens())),
        ("preview", below("cookie", preview.clone(), tokens())),
        (
            "preview",
            below(
                "domain",
                preview,
                vec![
                    json!("example.com"),
                    json!(".example.com"),
                    json!("a b"),
                    json!("*"),
                    json!(1),
                ],
            ),
        ),
        ("preview", vec![json!({}), json!(null)]),
        (
            "revision",
            vec![
                json!(0),
                json!(7),
                json!(-1),
                json!(1.5),
                json!("7"),
                json!(i64::MAX),
                json!(u64::MAX),
                json!(null),
            ],
        ),
    ]
}

/// A configuration with this value, and what a valid one needs besides.
fn around(key: &str, value: &Value) -> Value {
    let mut configuration = json!({"releases": [{"version": "1"}]});
    configuration[key] = value.clone();
    match (key, value) {
        // A release in any state needs another one that is live and current.
        ("releases", Value::Array(_)) => {
            if let Some(releases) = configuration["releases"].as_array_mut()
                && !releases.is_empty()
            {
                releases.push(json!({"version": "other"}));
            }
            configuration["current"] = json!("other");
        }
        ("current", Value::String(_)) => {
            configuration["releases"] = json!([{"version": value}, {"version": "other"}]);
        }
        ("current", Value::Array(_)) => configuration["pinCookie"] = json!({"name": "pin"}),
        ("minVersion", _) => configuration["releases"] = json!([{"version": "1.0.0"}]),
        _ => {}
    }
    configuration
}

#[test]
fn schema_and_reader_agree_about_every_value() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let keys: BTreeSet<_> = corpus().into_iter().map(|(key, _)| key).collect();
    let described = schema["properties"].as_object().expect("properties");
    let described: BTreeSet<_> = described.keys().map(String::as_str).collect();
    assert_eq!(keys, described, "the corpus has values of every key");
    let (mut right, mut wrong) = (0, 0);
    for (key, value) in corpus()
        .into_iter()
        .flat_map(|(key, values)| values.into_iter().map(move |value| (key, value)))
    {
        let configuration = around(key, &value);
        let loaded = Config::load(configuration.to_string().as_bytes());
        assert_eq!(
            validator.is_valid(&configuration),
            loaded.is_ok(),
            "{configuration}: the reader says: {:?}",
            loaded.err().map(|problems| problems.to_string())
        );
        if loaded.is_ok() {
            right += 1;
        } else {
            wrong += 1;
        }
    }
    assert!(right > 80 && wrong > 150, "{right} right, {wrong} wrong");
}

#[test]
fn every_shipped_configuration_fits_the_schema() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let shop = json!({
        "releases": [
            {"version": "2.0.0", "route": "v2-0-0", "accepts": ["1.9.*"]},
            {"version": "1.4.2", "state": "draining", "until": "2026-12-01T00:00:00Z"},
        ],
        "current": "2.0.0",
        "preview": {"sha256": "0".repeat(64)},
    });
    assert!(validator.is_valid(&shop));
    assert!(Config::load(shop.to_string().as_bytes()).is_ok());
}
