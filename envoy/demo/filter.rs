//! The filter, whose configuration is changed while Envoy runs.

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use skew_guard_lab::bootstrap::{Bootstrap, FILTER};
use skew_guard_lab::envoy::Envoy;
use skew_guard_lab::xds::Files;
use skew_guard_lab::{module, wait};

/// The filter as last configured.
pub struct ConfiguredFilter {
    filter: Value,
    configuration: Value,
    revision: u64,
}

impl ConfiguredFilter {
    /// Makes the bootstrap discover its filter in these files, with these keys of the configuration added or
    /// replaced.
    pub fn discovered(
        bootstrap: Bootstrap,
        files: &Files,
        changes: Map<String, Value>,
    ) -> Result<(Bootstrap, Self)> {
        let mut bootstrap = bootstrap.with_module(&module::path()?);
        let configuration = bootstrap.configuration()?;
        let revision = configuration
            .get("revision")
            .and_then(Value::as_u64)
            .context("the configuration has a revision")?;
        let (bootstrap, filter) = bootstrap.discover_filter(files)?;
        let mut guard = Self {
            filter,
            configuration,
            revision,
        };
        guard.write(files, changes)?;
        Ok((bootstrap, guard))
    }

    /// The last configuration written.
    pub fn configuration(&self) -> &Value {
        &self.configuration
    }

    /// The last revision written.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Adds or replaces keys of the configuration, as the next revision, and waits until it is in force.
    pub async fn change(
        &mut self,
        files: &Files,
        envoy: &Envoy,
        mut changes: Map<String, Value>,
    ) -> Result<()> {
        let revision = self.revision + 1;
        changes.insert("revision".into(), revision.into());
        self.write(files, changes)?;
        self.revision = revision;
        wait::until(&format!("revision {revision} in force"), async || {
            let gauges = envoy.stats("skew_guard_config_revision").await?;
            Ok(gauges.values().any(|value| *value == revision))
        })
        .await
    }

    fn write(&mut self, files: &Files, changes: Map<String, Value>) -> Result<()> {
        let keys = self.configuration.as_object_mut();
        keys.context("the configuration is an object")?
            .extend(changes);
        let text = self
            .filter
            .pointer_mut("/config/configuration/value")
            .context("a StringValue")?;
        *text = self.configuration.to_string().into();
        files.extension(FILTER, &self.filter)
    }
}
