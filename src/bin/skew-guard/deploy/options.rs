//! The options of every command that changes the list in the cluster.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cluster::{Access, Gateways};
use crate::documents;

/// How the list of a Helm release is changed.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// A file with your own values, which are laid over those in the cluster, except `releases` and
    /// `current` (repeatable)
    #[arg(long, value_name = "FILE", requires = "helm_release")]
    pub values: Vec<PathBuf>,
    /// The chart to upgrade with, if not the one in the tool: a folder, an archive, or oci://…
    #[arg(long, value_name = "CHART", requires = "helm_release")]
    pub chart: Option<String>,
    /// Its version
    #[arg(long, value_name = "VERSION", requires = "chart")]
    pub chart_version: Option<String>,
    /// Continue from the list of this revision of the Helm release, if someone has replaced it without
    /// skew-guard
    #[arg(long, value_name = "REVISION", requires = "helm_release")]
    pub list_of: Option<u64>,
    /// How long each step may wait
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub gateways: Gateways,
    #[command(flatten)]
    pub access: Access,
}

impl Options {
    /// The team's own values, in the order in which they are laid over each other.
    pub fn own_values(&self) -> Result<Vec<Value>> {
        let mut values = Vec::new();
        for file in &self.values {
            for root in documents::roots(file)? {
                let own = serde_json::from_str(&root.to_json())
                    .with_context(|| file.display().to_string())?;
                values.push(own);
            }
        }
        Ok(values)
    }

    /// The command that rolls back, for whoever has just deployed.
    pub fn rollback_command(&self, helm_release: &str, namespace: &str) -> String {
        let context = self.access.context.iter();
        let context: String = context.map(|name| format!(" --context {name}")).collect();
        format!(
            "skew-guard rollback --helm-release {helm_release} --namespace {namespace}{context}"
        )
    }
}
