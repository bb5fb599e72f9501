//! What a step changes in a configuration.

use serde_json::{Map, Value, json};

use crate::config::State;
use crate::version::Version;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A new release on top of the list: its keys.
    List(Map<String, Value>),
    /// A listed release gets another state.
    State {
        /// The release.
        version: Version,
        /// Its state from now on; `live`, the default, is not written.
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

/// Carries out changes on an object that holds `releases` and `current`; the revision is where this
/// JSON pointer says.
pub fn apply(edits: &[Edit], root: &mut Value, revision_at: &str) {
    for edit in edits {
        match edit {
            Edit::Revision(revision) => {
                if let Some(value) = root.pointer_mut(revision_at) {
                    *value = json!(revision);
                }
            }
            Edit::Current(current) => {
                if let Some(root) = root.as_object_mut() {
                    root.insert("current".to_owned(), current.clone());
                }
            }
            Edit::List(_) | Edit::State { .. } | Edit::Remove(_) => {
                if let Some(releases) = root.get_mut("releases").and_then(Value::as_array_mut) {
                    edit.apply_to(releases);
                }
            }
        }
    }
}

impl Edit {
    fn apply_to(&self, releases: &mut Vec<Value>) {
        match self {
            Self::List(release) => releases.insert(0, Value::Object(release.clone())),
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
