//! What a step changes in a configuration.

use serde_json::{Map, Value, json};

use crate::config::State;
use crate::version::Version;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A new release on top of the list.
    List {
        /// The keys that the plugin knows.
        entry: Map<String, Value>,
        /// The labels of its pods, which only the chart knows.
        labels: Map<String, Value>,
    },
    /// A listed release gets another state.
    State {
        /// The release.
        version: Version,
        /// Its new state; `live`, the default, is not written.
        state: State,
        /// The `until` of a draining release. A retired one keeps what it has.
        until: Option<String>,
    },
    /// A release is taken off the list.
    Remove(Version),
    /// `current` becomes this.
    Current(Value),
    /// `revision` becomes this.
    Revision(u64),
}

/// Who reads what is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The plugin: the whole configuration.
    Plugin,
    /// The chart: releases with labels and `current`, and everything else below `config`.
    Chart,
}

/// Applies changes to an object that contains `releases` and `current`.
pub fn apply(edits: &[Edit], root: &mut Value, reader: Reader) {
    for edit in edits {
        match edit {
            Edit::Revision(revision) => {
                if let Some(value) = root.pointer_mut(reader.revision()) {
                    *value = json!(revision);
                }
            }
            Edit::Current(current) => {
                if let Some(root) = root.as_object_mut() {
                    root.insert("current".to_owned(), current.clone());
                }
            }
            Edit::List { .. } | Edit::State { .. } | Edit::Remove(_) => {
                if let Some(releases) = root.get_mut("releases").and_then(Value::as_array_mut) {
                    edit.apply_to(releases, reader);
                }
            }
        }
    }
}

impl Reader {
    fn revision(self) -> &'static str {
        match self {
            Self::Plugin => "/revision",
            Self::Chart => "/config/revision",
        }
    }
}

/// The entry of a new release as it is written.
#[must_use]
pub fn written_entry(
    entry: &Map<String, Value>,
    labels: &Map<String, Value>,
    reader: Reader,
) -> Map<String, Value> {
    let mut written = entry.clone();
    if reader == Reader::Chart && !labels.is_empty() {
        written.insert("labels".to_owned(), Value::Object(labels.clone()));
    }
    written
}

impl Edit {
    fn apply_to(&self, releases: &mut Vec<Value>, reader: Reader) {
        match self {
            Self::List { entry, labels } => {
                releases.insert(0, Value::Object(written_entry(entry, labels, reader)));
            }
            Self::Remove(version) => releases.retain(|release| !is_of(release, version)),
            Self::State {
                version,
                state,
                until,
            } => {
                let found = releases.iter_mut().find(|release| is_of(release, version));
                if let Some(release) = found.and_then(Value::as_object_mut) {
                    set_state(release, *state, until.as_deref());
                }
            }
            Self::Current(_) | Self::Revision(_) => {}
        }
    }
}

fn is_of(release: &Value, version: &Version) -> bool {
    release.get("version").and_then(Value::as_str) == Some(version.as_str())
}

fn set_state(release: &mut Map<String, Value>, state: State, until: Option<&str>) {
    if state == State::Live {
        release.remove("state");
    } else {
        release.insert("state".to_owned(), json!(state.name()));
    }
    if state != State::Retired {
        release.remove("until");
    }
    if let Some(until) = until {
        release.insert("until".to_owned(), json!(until));
    }
}
