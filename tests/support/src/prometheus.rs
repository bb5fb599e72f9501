//! A real Prometheus and its `promtool`, from Debian's package, which `make` unpacks under `target/prometheus`.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::{cargo, http, ports};

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    http: Client,
    _process: Process,
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

/// A series that a query over time returns.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Series {
    /// Its labels; `__name__` among them where it has one.
    #[serde(rename = "metric")]
    pub labels: BTreeMap<String, String>,
    /// Its values, each with its time in seconds since 1970.
    #[serde(deserialize_with = "numbers")]
    pub values: Vec<(f64, f64)>,
}

impl Sample {
    /// The value of a label; "" where it has none, as in Prometheus.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl Prometheus {
    /// Starts one with this configuration (`prometheus.yml`) and waits until it is ready. The configuration must name
    /// files by their absolute paths.
    pub async fn start(configuration: &Value) -> Result<Self> {
        let directory = TempDir::with_prefix("skew-guard-prometheus-")?;
        let file = directory.path().join("prometheus.yml");
        // JSON is YAML too.
        fs::write(&file, configuration.to_string())?;
        let address = ports::free()?;
        let mut command = Command::new(program("prometheus")?);
        command
            .current_dir(directory.path())
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"));
        let mut process = Process::start("prometheus", command)?;
        let http = http::client()?;
        process
            .serving(async || {
                let answer = http.get(format!("http://{address}/-/ready")).send().await?;
                Ok(answer.status().is_success())
            })
            .await?;
        Ok(Self {
            address,
            http,
            _process: process,
            _directory: directory,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a query returns now, as an instant vector.
    pub async fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        #[derive(Deserialize)]
        struct Point {
            metric: BTreeMap<String, String>,
            value: (f64, String),
        }
        let points: Vec<Point> = self.result("query", &[("query", expression)]).await?;
        points
            .into_iter()
            .map(|point| {
                Ok(Sample {
                    labels: point.metric,
                    value: point.value.1.parse()?,
                })
            })
            .collect()
    }

    /// What a query returns between two times, in seconds since 1970, at this interval of seconds.
    pub async fn query_range(
        &self,
        expression: &str,
        (start, end): (f64, f64),
        step: f64,
    ) -> Result<Vec<Series>> {
        let [start, end, step] = [start, end, step].map(|seconds| format!("{seconds:.3}"));
        let parameters = [
            ("query", expression),
            ("start", &start),
            ("end", &end),
            ("step", &step),
        ];
        self.result("query_range", &parameters).await
    }

    /// The `data` of an answer of its API (<https://prometheus.io/docs/prometheus/latest/querying/api/>).
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let answer = self.http.get(url).query(parameters).send().await?;
        let mut answer: Value = answer.json().await?;
        ensure!(
            answer
                .get("status")
                .is_some_and(|status| status == "success"),
            "{path} {parameters:?}: {answer}"
        );
        Ok(answer.get_mut("data").map(Value::take).unwrap_or_default())
    }

    async fn result<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T> {
        let mut data = self.get(path, parameters).await?;
        let result = data.get_mut("result").map(Value::take).unwrap_or_default();
        serde_json::from_value(result).with_context(|| format!("{path} {parameters:?}: {data}"))
    }
}

/// Runs `promtool` from the root of the repository; returns its output, or an error with all of it.
pub fn promtool(arguments: &[&str]) -> Result<String> {
    let output = Command::new(program("promtool")?)
        .current_dir(cargo::workspace())
        .args(arguments)
        .output()?;
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    if !output.status.success() {
        bail!("promtool {arguments:?}:\n{}{}", said[0], said[1]);
    }
    Ok(said.concat())
}

fn program(name: &str) -> Result<PathBuf> {
    let path = cargo::target().join("prometheus/usr/bin").join(name);
    ensure!(
        path.is_file(),
        "no {}; `make test-observability` unpacks it",
        path.display()
    );
    Ok(path)
}

/// Prometheus writes a sample's value as text, because JSON has neither NaN nor infinity.
fn numbers<'de, D: serde::Deserializer<'de>>(values: D) -> Result<Vec<(f64, f64)>, D::Error> {
    let values = Vec::<(f64, String)>::deserialize(values)?;
    values
        .into_iter()
        .map(|(time, value)| Ok((time, value.parse().map_err(serde::de::Error::custom)?)))
        .collect()
}
