//! Configurations of the plugin.

use serde_json::{Map, Value, json};

/// The host of the application.
pub const HOST: &str = "shop.example.com";

/// The current release, the first in the list.
pub const CURRENT: &str = "2.0.0";

/// A version whose calls the current release accepts.
pub const ACCEPTED: &str = "1.9.3";

/// The draining release, the last of those that are served.
pub const DRAINING: &str = "1.4.2";

/// A release that is gone.
pub const RETIRED: &str = "1.3.0";

/// The name of the pin cookie, if there is one.
pub const PIN_COOKIE: &str = "__Host-release";

/// The numbers of served releases that are measured.
pub const RELEASES: [usize; 3] = [2, 20, 256];

/// Who wrote the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As short as possible.
    Plain,
    /// With a scope and everything else in a values file of the chart.
    Chart,
}

impl Style {
    /// Its name in the tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Chart => "chart",
        }
    }

    fn keys(self) -> Map<String, Value> {
        let keys = match self {
            Self::Plain => json!({}),
            Self::Chart => json!({
                "hosts": [HOST],
                "paths": ["/api/", "/assets/", "/shop/"],
                "unpinnedPaths": ["/version.json", "/sw.js"],
                "revision": 1,
            }),
        };
        keys.as_object().cloned().unwrap_or_default()
    }
}

/// A configuration with that many served releases, and one that is retired.
#[must_use]
pub fn configuration(style: Style, releases: usize, keys: Map<String, Value>) -> Value {
    let mut configuration = style.keys();
    configuration.insert("current".into(), json!(CURRENT));
    configuration.insert(
        "sources".into(),
        json!([
            { "header": "x-bundle-version" },
            { "query": "dpl" },
            { "path": "/assets/v-{version}/" },
        ]),
    );
    configuration.insert("releases".into(), self::releases(releases));
    configuration.extend(keys);
    Value::Object(configuration)
}

/// Configurations from the smallest to the largest, each with its name.
#[must_use]
pub fn sizes() -> Vec<(String, Value)> {
    let with = |served: usize, retired: usize| {
        let mut configuration = configuration(Style::Chart, served, Map::new());
        let releases = configuration
            .get_mut("releases")
            .and_then(Value::as_array_mut);
        if let Some(releases) = releases {
            // One is already there.
            releases.extend(
                (1..retired)
                    .map(|patch| json!({ "version": format!("1.2.{patch}"), "state": "retired" })),
            );
        }
        let name = format!("{served} served and {retired} retired releases");
        (name, configuration)
    };
    vec![with(2, 1), with(20, 1), with(256, 1), with(256, 4096)]
}

fn releases(served: usize) -> Value {
    let first = json!({ "version": CURRENT, "route": "v2-0-0", "accepts": ["1.9.*"] });
    let between = (2..served).rev().map(
        |patch| json!({ "version": format!("1.8.{patch}"), "route": format!("v1-8-{patch}") }),
    );
    let last = json!({ "version": DRAINING, "route": "v1-4-2", "state": "draining" });
    let retired = json!({ "version": RETIRED, "state": "retired" });
    Value::Array(
        std::iter::once(first)
            .chain(between)
            .chain([last, retired])
            .collect(),
    )
}
