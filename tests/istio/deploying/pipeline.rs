//! A team's pipeline: manifests in a folder, and one command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, User};
use skew_guard_lab::load::Load;
use skew_guard_lab::{tool, wait};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::task::JoinHandle;

use crate::shop::{self, Tier};
use crate::testbed::{Testbed, deployment};

/// A deployment has several waits, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(240);

/// The testbed, and the tool that changes it.
pub struct Pipeline<'a> {
    pub testbed: Testbed<'a>,
    cluster: &'a Cluster,
    folder: TempDir,
    tool: PathBuf,
    /// Belongs to somebody other than the administrator.
    kubeconfig: Option<PathBuf>,
}

/// How a run of the tool ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub printed: String,
    pub complained: String,
}

/// A run of the tool that is under way; dropping it kills it.
pub struct Running {
    child: Child,
    out: Lines,
    err: Lines,
}

/// The lines of a stream as they arrive.
struct Lines {
    read: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl<'a> Pipeline<'a> {
    /// A shop with that release, current, and visitors who use it.
    pub async fn open(cluster: &'a Cluster, name: &str, version: &str) -> Result<(Self, Load)> {
        let (testbed, load) = Testbed::open(cluster, name, version).await?;
        Ok((Self::of(cluster, testbed)?, load))
    }

    pub fn of(cluster: &'a Cluster, testbed: Testbed<'a>) -> Result<Self> {
        Ok(Self {
            testbed,
            cluster,
            folder: TempDir::with_prefix("skew-guard-pipeline-")?,
            tool: tool::path()?,
            kubeconfig: None,
        })
    }

    /// Runs the tool as that user from now on.
    pub fn be(&mut self, user: User) {
        self.kubeconfig = Some(self.cluster.kubernetes().kubeconfig_of(user));
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the manifests of a release, a Deployment for each tier, and returns the folder.
    pub fn manifests(&self, version: &str) -> Result<String> {
        self.write(version, |tier| {
            shop::deployment(tier, &deployment(tier, version), version, 2)
        })
    }

    /// The same for plain Deployments, whose names are the same for all releases.
    pub fn plain_manifests(&self, version: &str) -> Result<String> {
        self.write(version, |tier| {
            shop::deployment(tier, tier.name(), version, 3)
        })
    }

    /// Writes the manifests that `manifest` returns for each tier.
    pub fn write(&self, version: &str, manifest: impl Fn(Tier) -> Value) -> Result<String> {
        let place = format!("k8s/{version}");
        let folder = self.folder.path().join(&place);
        fs::create_dir_all(&folder)?;
        for tier in Tier::BOTH {
            let file = folder.join(format!("{}.yaml", tier.name()));
            fs::write(file, manifest(tier).to_string())?;
        }
        Ok(place)
    }

    /// Adds another namespace to the manifests of a release, with a ConfigMap in it.
    pub fn add_settings_elsewhere(&self, version: &str, namespace: &str) -> Result<()> {
        let place =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        let metadata = json!({ "name": "settings", "namespace": namespace });
        let settings = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata });
        let file = self
            .folder
            .path()
            .join(format!("k8s/{version}/elsewhere.yaml"));
        Ok(fs::write(file, format!("{place}\n---\n{settings}\n"))?)
    }

    /// Runs `skew-guard deploy` of a release whose manifests are written, to its end.
    pub async fn deploy(&self, version: &str, more: &[&str]) -> Result<Ended> {
        self.begin_deploy(version, more)?.ended().await
    }

    /// The same, without waiting for its end.
    pub fn begin_deploy(&self, version: &str, more: &[&str]) -> Result<Running> {
        let place = format!("k8s/{version}");
        let arguments = [&["deploy", version, "--apply", &place], more].concat();
        self.begin(&arguments)
    }

    /// Runs the tool for the Helm release, to its end.
    pub async fn run(&self, arguments: &[&str]) -> Result<Ended> {
        self.begin(arguments)?.ended().await
    }

    /// The same, without waiting for its end.
    pub fn begin(&self, arguments: &[&str]) -> Result<Running> {
        let namespace = self.testbed.shop.namespace();
        let option = match arguments.first() {
            Some(&"check") => "--release",
            _ => "--helm-release",
        };
        let release = [option, self.testbed.chart.name(), "--namespace", namespace];
        let mut command = self.cluster.command(&self.tool)?;
        command
            .args(arguments)
            .args(release)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        eprintln!("  $ skew-guard {}", arguments.join(" "));
        let mut child = command.spawn()?;
        let out = Lines::of(child.stdout.take().context("its output")?, false);
        let err = Lines::of(child.stderr.take().context("its errors")?, true);
        Ok(Running { child, out, err })
    }

    /// The list that the cluster holds, `2.0.0 live, 1.4.2 draining`, and what is current.
    pub async fn list(&self) -> Result<(String, Value)> {
        let values = self.values().await?;
        let releases = values["releases"].as_array().context("a list")?;
        let releases: Vec<_> = releases
            .iter()
            .map(|release| {
                let word = |key: &str| release[key].as_str().map(str::to_owned);
                let state = word("state").unwrap_or_else(|| "live".to_owned());
                format!("{} {state}", word("version").unwrap_or_default())
            })
            .collect();
        Ok((releases.join(", "), values["current"].clone()))
    }

    /// The values that the cluster holds.
    pub async fn values(&self) -> Result<Value> {
        let arguments = [
            "get",
            "values",
            self.testbed.chart.name(),
            "--output",
            "json",
        ];
        Ok(serde_json::from_str(
            &self.testbed.chart.helm(&arguments).await?,
        )?)
    }

    /// Fails if the list differs.
    pub async fn expect_list(&self, releases: &str, current: Value) -> Result<()> {
        let list = self.list().await?;
        ensure!(
            list == (releases.to_owned(), current.clone()),
            "{list:?}, not {releases} with current {current}"
        );
        Ok(())
    }

    /// The names of the Deployments in the shop.
    pub async fn deployments(&self) -> Result<Vec<String>> {
        let path = "jsonpath={.items[*].metadata.name}";
        let printed = self
            .testbed
            .shop
            .kubectl(&["get", "deployments", "--output", path])
            .await?;
        Ok(printed.split_whitespace().map(str::to_owned).collect())
    }
}

impl Ended {
    /// Expects success.
    pub fn well(self) -> Result<Self> {
        ensure!(self.code == Some(0), "{self:#?}");
        Ok(self)
    }

    /// Expects failure, with these words.
    pub fn badly(self, words: &str) -> Result<Self> {
        ensure!(self.code == Some(1), "{self:#?}");
        self.says(words)
    }

    /// Expects these words in its output.
    pub fn says(self, words: &str) -> Result<Self> {
        let said = self.printed.contains(words) || self.complained.contains(words);
        ensure!(said, "{words:?} is not in {self:#?}");
        Ok(self)
    }
}

impl Running {
    /// Waits until it has ended.
    pub async fn ended(mut self) -> Result<Ended> {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status.with_context(|| format!("still running:\n{}", self.err.text()))??;
        Ok(Ended {
            code: status.code(),
            printed: self.out.all().await,
            complained: self.err.all().await,
        })
    }

    /// Waits until a line with these words was printed.
    pub async fn said(&mut self, words: &str) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.out.text().contains(words) || self.err.text().contains(words) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!(
                    "ended with {status} and never said {words:?}:\n{}{}",
                    self.err.text(),
                    self.out.text()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("never said {words:?}:\n{}", self.err.text())
    }

    /// How many steps it has begun, if it reports events.
    pub fn steps(&self) -> Vec<String> {
        let events = self.out.lines();
        let begun = events.iter().filter_map(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["event"] == "begun")
                .then(|| event["text"].as_str().unwrap_or_default().to_owned())
        });
        begun.collect()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Kills it without notice.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}

impl Lines {
    fn of(stream: impl AsyncRead + Unpin + Send + 'static, is_shown: bool) -> Self {
        let read = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&read);
        let reader = tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if is_shown {
                    eprintln!("    {line}");
                }
                written
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        });
        Self { read, reader }
    }

    fn lines(&self) -> Vec<String> {
        self.read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// All of them: the writer has ended.
    async fn all(mut self) -> String {
        let _ended = tokio::time::timeout(Duration::from_secs(5), &mut self.reader).await;
        self.text()
    }
}

/// Waits until the Pods of these Deployments are the only ones.
pub async fn until_deployments_are(pipeline: &Pipeline<'_>, names: &[&str]) -> Result<()> {
    wait::until(&format!("only {names:?}"), async || {
        Ok(pipeline.deployments().await? == names)
    })
    .await
}
