//! What `skew-guard explain` says about a request of the page.

use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::controller::Controller;

/// A call of the page.
#[derive(Debug, Deserialize)]
pub struct Question {
    path: String,
    version: String,
}

/// The command, and what it printed.
#[derive(Debug, Serialize)]
pub struct Explanation {
    command: String,
    text: String,
    revision: u64,
}

impl Controller {
    /// Runs the tool on the configuration in force.
    pub async fn explain(&self, question: &Question) -> Result<Explanation> {
        let (configuration, revision) = self.gateway.configuration().await;
        let mut file = NamedTempFile::with_suffix(".json")?;
        file.write_all(configuration.to_string().as_bytes())?;
        let header = format!("x-bundle-version: {}", question.version);
        let mut tool = Command::new(&self.tool);
        tool.arg("explain")
            .arg(file.path())
            .args(["--as", "fetch"])
            .arg(format!("--path={}", question.path))
            .arg(format!("--header={header}"));
        let said = tokio::task::spawn_blocking(move || tool.output())
            .await?
            .context("running skew-guard explain")?;
        ensure!(
            said.status.success(),
            "skew-guard explain: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        Ok(Explanation {
            command: format!(
                "skew-guard explain config.json --as fetch --path {} --header '{header}'",
                question.path
            ),
            text: String::from_utf8_lossy(&said.stdout).into_owned(),
            revision,
        })
    }
}
