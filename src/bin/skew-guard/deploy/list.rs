//! The list of releases as the cluster holds it: the values of a Helm release.

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use skew_guard::config::State;
use skew_guard::rollout::{Edit, LoadedConfig, Reader, apply, assess};
use skew_guard::version::Version;

use super::helm::{Helm, Revision};
use super::timeout::Stop;
use crate::document::{Document, Form, chart_route};
use crate::yaml;

/// What this tool passes in addition to the team's values.
const EXPECTED: &str = "expectedRevision";

/// The values of one revision.
#[derive(Clone, Debug)]
pub struct List {
    /// The revision of the Helm release; none of values that were not given out yet.
    pub revision: u64,
    pub values: Value,
    pub loaded: LoadedConfig,
}

impl List {
    /// The values as they were given at that revision.
    pub fn of(helm: &Helm, revision: u64) -> Result<Self> {
        let mut values = helm.values(revision)?;
        if let Some(values) = values.as_object_mut() {
            values.remove(EXPECTED);
        }
        Self::new(revision, values)
            .with_context(|| format!("the values of revision {revision} of {}", helm.title()))
    }

    pub fn new(revision: u64, values: Value) -> Result<Self> {
        let loaded = document(&values)?.load_valid()?;
        Ok(Self {
            revision,
            values,
            loaded,
        })
    }

    /// As a document, which knows how its releases are written.
    pub fn document(&self) -> Result<Document> {
        document(&self.values)
    }

    /// The values after some changes.
    pub fn edited(&self, edits: &[Edit]) -> Value {
        let mut values = self.values.clone();
        apply(edits, &mut values, Reader::Chart);
        values
    }

    /// The same list in other values: the team's other values stay.
    pub fn with_list_of(&self, other: &Self) -> Value {
        let mut values = self.values.clone();
        if let Some(values) = values.as_object_mut() {
            for key in LIST {
                match other.values.get(key) {
                    Some(value) => values.insert(key.to_owned(), value.clone()),
                    None => values.remove(key),
                };
            }
        }
        values
    }

    /// The same list, given out once more after another: even an unchanged one needs a new number, if the values have one.
    pub fn counted_after(&self, newest: &Self) -> Result<Self> {
        let mut values = self.values.clone();
        if let Some(revision) = values.pointer_mut("/config/revision") {
            let last = newest.loaded.config.revision.unwrap_or_default();
            *revision = json!(last.saturating_add(1));
        }
        Self::new(self.revision, values)
    }

    /// The labels of a release's pods.
    pub fn labels(&self, version: &Version) -> Map<String, Value> {
        let releases = self.values.get("releases").and_then(Value::as_array);
        let of_it = |release: &&Value| release["version"].as_str() == Some(version.as_str());
        let release = releases.into_iter().flatten().find(of_it);
        let labels = release.and_then(|release| release.get("labels")?.as_object());
        match labels.filter(|labels| !labels.is_empty()) {
            Some(labels) => labels.clone(),
            None => {
                let route = release.and_then(|release| release.get("route")?.as_str());
                let route = route.map_or_else(|| chart_route(version.as_str()), str::to_owned);
                Map::from_iter([("version".to_owned(), json!(route))])
            }
        }
    }

    /// The versioned services, as the values name them.
    pub fn versioned_services(&self) -> Vec<&Value> {
        let services = self.values.get("services").and_then(Value::as_array);
        services
            .into_iter()
            .flatten()
            .filter(|service| service.get("versioned") != Some(&json!(false)))
            .collect()
    }

    /// Those of them that a release has: one may have been added later, or removed.
    pub fn services_of(&self, version: &Version) -> Vec<&Value> {
        let has_it = |service: &&Value| {
            let releases = service.get("releases").and_then(Value::as_array);
            releases.is_none_or(|releases| {
                releases.is_empty()
                    || releases
                        .iter()
                        .any(|release| release.as_str() == Some(version.as_str()))
            })
        };
        let services = self.versioned_services().into_iter();
        services.filter(has_it).collect()
    }
}

/// The keys that only the cluster decides.
const LIST: [&str; 2] = ["releases", "current"];

fn document(values: &Value) -> Result<Document> {
    Ok(Document {
        file: PathBuf::from("values.json"),
        index: 0,
        name: "chart values".to_owned(),
        form: Form::Chart,
        at: Vec::new(),
        root: Rc::new(yaml::read_json(&values.to_string())?),
    })
}

/// Lays the team's values over those of the cluster, as Helm does; its list of releases is not the team's file's.
pub fn overlaid(values: &Value, own: &[Value]) -> Value {
    let mut laid = values.clone();
    for own in own {
        let mut own = own.clone();
        if let Some(own) = own.as_object_mut() {
            for key in LIST.into_iter().chain([EXPECTED]) {
                own.remove(key);
            }
        }
        // It is raised with each change: a file's would be put back after each, for ever.
        let is_counted = laid.pointer("/config/revision").is_some();
        if let Some(config) = own.get_mut("config").and_then(Value::as_object_mut)
            && is_counted
        {
            config.remove("revision");
        }
        lay_over(&mut laid, &own);
    }
    laid
}

/// Whether values say the same: 100.0 in a file is 100 in Helm's storage, and a large number is a power of ten there.
pub fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| {
                    let other = other.get(key);
                    other.is_some_and(|other| is_same(one, other))
                })
        }
        _ => one == other,
    }
}

fn lay_over(below: &mut Value, above: &Value) {
    match (below.as_object_mut(), above.as_object()) {
        (Some(below), Some(above)) => {
            for (key, value) in above {
                match below.get_mut(key) {
                    _ if value.is_null() => {
                        below.remove(key);
                    }
                    Some(there) if there.is_object() && value.is_object() => {
                        lay_over(there, value);
                    }
                    _ => {
                        below.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        _ => *below = above.clone(),
    }
}

/// Where somebody else has upgraded after this tool did: the step that they made has to be one of a release's life.
pub fn check_steps_of_others(helm: &Helm, history: &[Revision], now: u64) -> Result<()> {
    let Some(last_of_ours) = history.iter().rposition(Revision::is_ours) else {
        return Ok(());
    };
    let mut known: Option<List> = None;
    for revision in history.iter().skip(last_of_ours) {
        let list = List::of(helm, revision.number)?;
        if let Some(before) = &known {
            let hazards = assess(&before.loaded, &list.loaded, now).hazards;
            let said = hazards.iter().map(ToString::to_string);
            let said: Vec<_> = said
                .chain(left_out(&before.loaded, &list.loaded, now))
                .map(|line| format!("  {line}"))
                .collect();
            if !said.is_empty() {
                bail!(Stop(format!(
                    "someone has upgraded {} to revision {} without skew-guard, with a list that differs from that of revision {}, perhaps from an old file:\n{}\nNothing was changed. To continue with the list as it was: --list-of {}. To continue with the list as it is now: --list-of {}",
                    helm.title(),
                    revision.number,
                    before.revision,
                    said.join("\n"),
                    before.revision,
                    revision.number
                )));
            }
        }
        known = Some(list);
    }
    Ok(())
}

/// The releases that the one list serves and the other does not know: no page of them is skewed, for their tabs are
/// told to reload, but nobody has meant that who has another list in his file.
fn left_out(before: &LoadedConfig, after: &LoadedConfig, now: u64) -> Vec<String> {
    let is_known = |version: &Version| {
        let mut releases = after.config.releases.iter();
        releases.any(|release| release.version == *version)
    };
    let releases = before.config.releases.iter();
    releases
        .filter(|release| release.state != State::Retired)
        .filter(|release| release.until.is_none_or(|until| now < until))
        .filter(|release| !is_known(&release.version))
        .map(|release| {
            format!(
                "{} was {} and is no longer listed",
                release.version,
                release.state.name()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_teams_values_are_laid_over_all_but_the_list() {
        let cluster = json!({
            "releases": [{"version": "2.0.0"}], "current": "2.0.0",
            "config": {"hints": true, "cors": {"allowOrigins": ["https://a.example"]}}, "hosts": ["a.example"],
        });
        let file = json!({
            "releases": [{"version": "1.0.0"}], "current": "1.0.0",
            "config": {"cors": null, "vary": false}, "hosts": ["b.example"],
        });
        assert_eq!(
            overlaid(&cluster, &[file]),
            json!({
                "releases": [{"version": "2.0.0"}], "current": "2.0.0",
                "config": {"hints": true, "vary": false}, "hosts": ["b.example"],
            })
        );
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() -> Result<()> {
        let read = |text: &str| serde_json::from_str::<Value>(text);
        for (one, other, expected) in [
            (r#"{"a": [100.0]}"#, r#"{"a": [100]}"#, true),
            ("12345678", "1.2345678e+07", true),
            ("100.5", "100", false),
            (r#""100""#, "100", false),
            (r#"{"a": 1}"#, r#"{"a": 1, "b": null}"#, false),
            ("[1, 2]", "[1]", false),
        ] {
            assert_eq!(
                is_same(&read(one)?, &read(other)?),
                expected,
                "{one} {other}"
            );
        }
        Ok(())
    }

    #[test]
    fn a_release_has_the_services_that_say_so_or_say_nothing() -> Result<()> {
        let list = List::new(
            1,
            json!({"releases": [{"version": "2.0.0"}, {"version": "1.0.0"}], "current": "1.0.0", "services": [
                {"host": "web", "paths": ["/"]},
                {"host": "cart", "paths": ["/cart"], "releases": ["2.0.0"]},
                {"host": "old", "paths": ["/old"], "releases": ["1.0.0"]},
                {"host": "plain", "paths": ["/plain"], "versioned": false},
            ]}),
        )?;
        for (version, hosts) in [("2.0.0", ["web", "cart"]), ("1.0.0", ["web", "old"])] {
            let version = Version::parse(version.as_bytes()).context("a version")?;
            let services = list.services_of(&version);
            let own: Vec<_> = services.iter().map(|service| &service["host"]).collect();
            assert_eq!(own, hosts);
        }
        Ok(())
    }

    #[test]
    fn a_revision_that_is_counted_up_is_not_put_back_by_the_teams_file() {
        let cluster = json!({"config": {"revision": 8, "hints": true}});
        let file = json!({"config": {"revision": 7, "hints": true}});
        assert_eq!(overlaid(&cluster, std::slice::from_ref(&file)), cluster);
        assert_eq!(overlaid(&json!({}), std::slice::from_ref(&file)), file);
    }

    #[test]
    fn the_labels_of_a_releases_pods_are_the_charts() -> Result<()> {
        let values = json!({"releases": [
            {"version": "2.1.0+a"},
            {"version": "2.0.0", "route": "two"},
            {"version": "1.0.0", "labels": {"track": "old", "release": "1"}},
        ], "current": "2.0.0"});
        let list = List::new(1, values)?;
        let labels = |version: &str| {
            let version = Version::parse(version.as_bytes()).context("a version")?;
            anyhow::Ok(Value::Object(list.labels(&version)))
        };
        assert_eq!(labels("2.1.0+a")?, json!({"version": "v2-1-0-a"}));
        assert_eq!(labels("2.0.0")?, json!({"version": "two"}));
        assert_eq!(labels("1.0.0")?, json!({"track": "old", "release": "1"}));
        assert_eq!(labels("9.9.9")?, json!({"version": "v9-9-9"}));
        Ok(())
    }

    #[test]
    fn a_list_that_forgets_a_release_that_is_served_is_noticed() -> Result<()> {
        let list =
            |releases: Value| List::new(1, json!({"releases": releases, "current": "2.0.0"}));
        let before = list(json!([
            {"version": "2.0.0"},
            {"version": "1.4.2", "state": "draining", "until": "2027-01-01T00:00:00Z"},
            {"version": "1.3.0", "state": "retired"},
        ]))?;
        let after = list(json!([{"version": "2.0.0"}]))?;
        let forgotten = |now| left_out(&before.loaded, &after.loaded, now);
        assert_eq!(
            forgotten(1_700_000_000),
            ["1.4.2 was draining and is no longer listed"]
        );
        assert!(forgotten(1_900_000_000).is_empty());
        assert!(left_out(&after.loaded, &before.loaded, 0).is_empty());
        Ok(())
    }
}
