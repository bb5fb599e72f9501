//! What every command says that changes the list in the cluster.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cluster::{Access, Gateways};
use crate::documents;

/// How the list of a Helm release is changed.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Values of your own that are laid over those in the cluster, all but `releases` and `current`
    /// (several times for several)
    #[arg(long, value_name = "FILE", requires = "helm_release")]
    pub values: Vec<PathBuf>,
    /// The chart to upgrade with, where it is not the tool's own: a folder, an archive, or oci://…
    #[arg(long, value_name = "CHART", requires = "helm_release")]
    pub chart: Option<String>,
    /// Its version
    #[arg(long, value_name = "VERSION", requires = "chart")]
    pub chart_version: Option<String>,
    /// Go on from the list of that revision of the Helm release, where somebody has put another in its
    /// place past skew-guard
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

    /// The command that takes a step back, for whoever has just made one.
    pub fn rollback_command(&self, helm_release: &str, namespace: &str) -> String {
        let context = self.access.context.iter();
        let context: String = context.map(|name| format!(" --context {name}")).collect();
        format!(
            "skew-guard rollback --helm-release {helm_release} --namespace {namespace}{context}"
        )
    }
}
