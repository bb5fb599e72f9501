//! From one configuration to the next: what goes wrong while some gateways have one and some the
//! other, which steps in between are safe, and which step a release takes next.
//!
//! Only the command-line tool needs this; none of it is in the module.

use serde_json::Value;

use crate::config::{Config, Problem, Problems};
use crate::policy::Policy;

mod assess;
mod deployment;
mod edit;
mod hazard;
mod lifecycle;
mod path;

pub use assess::{Assessment, HORIZON, assess};
pub use deployment::{Deployment, Goal, NextStep, ObservedState, Pods, Rollback, tidy_up};
pub use edit::{Edit, Reader, apply, written_entry};
pub use hazard::Hazard;
pub use lifecycle::{Lifecycle, Refusal, ReleaseSpec, Step};
pub use path::{changes, safe_path};

/// A configuration, as some gateways have it in force.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// As it was written.
    pub json: Value,
    /// As it was read.
    pub config: Config,
    /// As it decides.
    pub policy: Policy,
}

impl LoadedConfig {
    /// The configuration that these bytes are.
    ///
    /// # Errors
    /// Every problem of the configuration, as the filter would report it.
    pub fn load(bytes: &[u8]) -> Result<Self, Problems> {
        let config = Config::load(bytes)?;
        let json = serde_json::from_slice(bytes).map_err(|error| Problem {
            path: "configuration".to_owned(),
            text: error.to_string(),
        })?;
        let policy = Policy::from(config.clone());
        Ok(Self {
            json,
            config,
            policy,
        })
    }

    /// The configuration after some changes.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn after(&self, edits: &[Edit]) -> Result<Self, Problems> {
        let mut json = self.json.clone();
        apply(edits, &mut json, Reader::Plugin);
        Self::load(json.to_string().as_bytes())
    }
}

/// A time as a configuration writes it: RFC 3339, UTC.
#[must_use]
pub fn written_time(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| {
            time.format(&time::format_description::well_known::Rfc3339)
                .ok()
        })
        .unwrap_or_else(|| format!("{seconds} seconds after 1970"))
}
