//! A made-up configuration.

use arbitrary::{Arbitrary, Unstructured};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// When all of this happens, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;

/// Newest first. Not every version is semver.
pub const VERSIONS: [&str; 5] = ["3.0.0", "2.1.0", "2.0.0", "9f86d08", "1.0.0"];

/// The shop's host, if a configuration names one.
pub const HOST: &str = "shop.example.com";

/// The testers' key, if a configuration has one.
pub const KEY: &str = "open sesame";

/// A configuration that is mostly valid.
#[derive(Clone, Debug)]
pub struct Setup(Value);

impl Setup {
    /// As the plugin would get it.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }
}

impl<'a> Arbitrary<'a> for Setup {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut root = Map::new();
        let releases = releases(bytes)?;
        let live = live(&releases);
        root.insert("releases".into(), json!(releases));
        if !live.is_empty() && bytes.ratio(3, 4)? {
            current(bytes, &live, &mut root)?;
        }
        for (key, values) in optional_keys() {
            if bytes.ratio(1, 4)? {
                root.insert(key.into(), bytes.choose(&values)?.clone());
            }
        }
        Ok(Self(Value::Object(root)))
    }
}

fn releases(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Vec<Value>> {
    let mut releases = Vec::new();
    for version in VERSIONS {
        if bytes.ratio(2, 3)? {
            releases.push(release(bytes, version)?);
        }
    }
    if releases.is_empty() {
        releases.push(json!({ "version": "2.0.0" }));
    }
    Ok(releases)
}

fn release(bytes: &mut Unstructured<'_>, version: &str) -> arbitrary::Result<Value> {
    let states = ["live", "live", "live", "draining", "staged", "retired"];
    let state = *bytes.choose(&states)?;
    let mut release = json!({ "version": version, "state": state });
    if bytes.ratio(1, 2)? {
        release["route"] = json!(format!("r-{}", version.replace('.', "-")));
    }
    if bytes.ratio(1, 4)? {
        let accepts = ["1.*", "2.1.0", "1.0.0", "9f86d08", "3.0.0"];
        release["accepts"] = json!([bytes.choose(&accepts)?]);
    }
    if state == "draining" && bytes.arbitrary()? {
        // An hour ago, or in an hour.
        let until = ["2027-01-15T07:00:00Z", "2027-01-15T09:00:00Z"];
        release["until"] = json!(bytes.choose(&until)?);
    }
    Ok(release)
}

fn live(releases: &[Value]) -> Vec<Value> {
    let live = releases.iter().filter(|release| release["state"] == "live");
    live.map(|release| release["version"].clone()).collect()
}

fn current(
    bytes: &mut Unstructured<'_>,
    live: &[Value],
    root: &mut Map<String, Value>,
) -> arbitrary::Result<()> {
    let chosen = bytes.choose(live)?.clone();
    let other = live.iter().find(|version| **version != chosen);
    let current = match other {
        Some(other) if bytes.ratio(1, 4)? => {
            root.insert("pinCookie".into(), json!({ "name": "pin" }));
            json!([{ "version": chosen, "weight": 10 }, { "version": other, "weight": 90 }])
        }
        _ => chosen,
    };
    root.insert("current".into(), current);
    Ok(())
}

/// Optional keys, each with values.
fn optional_keys() -> Vec<(&'static str, Vec<Value>)> {
    let digest = Sha256::digest(KEY);
    let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        ("hosts", vec![json!([HOST]), json!(["*.example.com"])]),
        ("paths", vec![json!(["/api", "/shop"])]),
        ("routeHeader", vec![json!("x-shop-release")]),
        ("sources", sources()),
        (
            "unknownVersion",
            vec![json!("current"), json!("reload"), json!("auto")],
        ),
        ("denied", vec![json!(["2.0.0"]), json!(["7.7.7"])]),
        ("pinnedNavigation", vec![json!(["/checkout", "/api"])]),
        (
            "unpinnedPaths",
            vec![json!(["/version.json", "/sw.js"]), json!(["/api"])],
        ),
        (
            "pinCookie",
            vec![
                json!({ "name": "pin" }),
                json!({ "name": "pin", "maxAgeSeconds": 60, "sameSite": "None", "domain": "example.com" }),
            ],
        ),
        (
            "reload",
            vec![json!({ "status": 410 }), json!({ "clusters": ["shop"] })],
        ),
        (
            "cors",
            vec![
                json!({ "allowOrigins": ["https://*.example.com"], "allowCredentials": true }),
                json!({ "allowOrigins": ["https://app.example.com"] }),
            ],
        ),
        ("conditional", vec![json!("keep")]),
        ("hints", vec![json!(false)]),
        ("vary", vec![json!(false)]),
        ("assetFallback", vec![json!(false)]),
        (
            "upstreamVersion",
            vec![json!({ "responseHeader": "x-app-version" })],
        ),
        (
            "preview",
            vec![
                json!({ "sha256": sha256 }),
                json!({ "sha256": sha256, "domain": "example.com" }),
            ],
        ),
        ("enforce", vec![json!(false)]),
        ("revision", vec![json!(7)]),
    ]
}

fn sources() -> Vec<Value> {
    vec![
        json!([{ "path": "/assets/v-{version}/" }, { "header": "x-bundle-version" }, { "query": "dpl" }]),
        json!([{ "cookie": "own" }, { "baggage": "client-version" }]),
        json!([{ "query": "dpl" }, { "header": "x-bundle-version" }]),
    ]
}
