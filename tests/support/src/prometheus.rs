//! A real Prometheus: Debian's package `prometheus` has it and its tool.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::{cargo, http, ports};

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    address: SocketAddr,
    http: Client,
    _directory: TempDir,
}

/// A sample that a query returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels; `__name__` among them where it has one.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// The value of a label; "" where it has none, as in Prometheus.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl Prometheus {
    /// Starts one with this configuration (`prometheus.yml`), and waits until it is ready. Files that the configuration
    /// names are looked for from the root of the repository.
    pub async fn start(configuration: &Value) -> Result<Self> {
        let directory = TempDir::with_prefix("skew-guard-prometheus-")?;
        let file = directory.path().join("prometheus.yml");
        // JSON is YAML.
        fs::write(&file, configuration.to_string())?;
        let address = ports::free()?;
        let mut command = Command::new("prometheus");
        command
            .current_dir(cargo::workspace())
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"));
        let mut prometheus = Self {
            process: Process::start("prometheus", command).context(
                "Debian's package prometheus has it: make test-observability installs it",
            )?,
            address,
            http: http::client()?,
            _directory: directory,
        };
        let (client, ready) = (prometheus.http.clone(), format!("http://{address}/-/ready"));
        prometheus
            .process
            .serving(async || {
                let answer = client.get(&ready).send().await;
                Ok(answer.is_ok_and(|answer| answer.status().is_success()))
            })
            .await?;
        Ok(prometheus)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a query returns now, as an instant vector.
    pub async fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let answer = self
            .get("query", &[("query", expression)])
            .await
            .with_context(|| expression.to_owned())?;
        let data: InstantVector = serde_json::from_value(answer)
            .with_context(|| format!("{expression} is no instant vector"))?;
        data.result.into_iter().map(Series::sample).collect()
    }

    /// The `data` of an answer of its API.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let answer = self.http.get(url).query(parameters).send().await?;
        let mut answer: Value = answer.json().await?;
        ensure!(
            answer
                .get("status")
                .is_some_and(|status| status == "success"),
            "{answer}"
        );
        Ok(answer.get_mut("data").map(Value::take).unwrap_or_default())
    }
}

/// <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-vectors>
#[derive(Deserialize)]
struct InstantVector {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Series {
    fn sample(self) -> Result<Sample> {
        Ok(Sample {
            labels: self.metric,
            value: self.value.1.parse()?,
        })
    }
}

/// Runs `promtool` from the root of the repository; what it printed.
pub fn promtool(arguments: &[&str]) -> Result<String> {
    let output = Command::new("promtool")
        .current_dir(cargo::workspace())
        .args(arguments)
        .output()
        .context("Debian's package prometheus has promtool")?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    ensure!(
        output.status.success(),
        "promtool {}:\n{printed}",
        arguments.join(" ")
    );
    Ok(printed)
}
