//! The configurations that most behaviours start from.

use serde_json::{Value, json};
use skew_guard::config::Config;
use skew_guard::policy::Policy;

/// A list as teams have it: 2.1.0 staged, 2.0.0 current, 1.4.2 draining, 1.3.0 retired; 2.0.0 accepts calls of 1.9.
#[must_use]
pub fn shop() -> Value {
    json!({
        "releases": [
            { "version": "2.1.0", "route": "v2-1-0", "state": "staged" },
            { "version": "2.0.0", "route": "v2-0-0", "accepts": ["1.9.*"] },
            { "version": "1.4.2", "route": "v1-4-2", "state": "draining" },
            { "version": "1.3.0", "state": "retired" },
        ],
        "current": "2.0.0",
    })
}

/// A configuration with these keys added or replaced; `null` removes one.
#[must_use]
pub fn with(mut configuration: Value, changes: Value) -> Value {
    if let (Some(keys), Value::Object(changes)) = (configuration.as_object_mut(), changes) {
        keys.extend(changes);
        keys.retain(|_, value| !value.is_null());
    }
    configuration
}

/// A plain rolling update: the mesh has the pods of both releases, and none is current.
#[must_use]
pub fn mesh() -> Value {
    json!({
        "releases": [
            { "version": "2.0.0", "route": "v2-0-0" },
            { "version": "1.4.2", "route": "v1-4-2" },
        ],
    })
}

/// The policy of a configuration that the test knows to be valid.
#[must_use]
#[track_caller]
pub fn policy(configuration: &str) -> Policy {
    match Config::load(configuration.as_bytes()) {
        Ok(config) => Policy::from(config),
        Err(problems) => panic!("{problems}"),
    }
}
