//! Running Helm.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use semver::Version;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tempfile::NamedTempFile;

use super::conflict::is_conflict;
use crate::cluster::Access;
use crate::time_limit;

/// The oldest Helm that the chart is for.
const OLDEST: Version = Version::new(3, 18, 0);

/// How this tool's upgrades are described in Helm's history.
const OURS: &str = "skew-guard: ";

/// No call is given less, however short a step may wait: Helm that is ended in the middle leaves a revision pending.
const MINIMUM_LIMIT: Duration = Duration::from_secs(60);

/// The user's Helm, pointed at one release.
#[derive(Clone, Debug)]
pub struct Helm {
    access: Access,
    name: String,
    namespace: String,
    /// How long one call may take.
    limit: Duration,
}

/// A revision of the Helm release.
#[derive(Clone, Debug, Deserialize)]
pub struct Revision {
    #[serde(rename = "revision")]
    pub number: u64,
    pub status: Status,
    /// Name and version.
    pub chart: String,
    #[serde(default)]
    description: String,
}

/// What became of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Deployed,
    Superseded,
    Failed,
    PendingInstall,
    PendingUpgrade,
    PendingRollback,
    #[serde(other)]
    Other,
}

impl Status {
    /// Whether Helm takes the release for being worked on.
    pub fn is_pending(self) -> bool {
        matches!(
            self,
            Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback
        )
    }

    /// Whether all of it was applied.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Deployed | Self::Superseded)
    }
}

impl Revision {
    /// Whether this tool made it.
    pub fn is_ours(&self) -> bool {
        self.description.starts_with(OURS)
    }
}

/// Why an upgrade was not made.
#[derive(Debug)]
pub enum UpgradeError {
    /// Someone else made one in the meantime.
    Conflict(String),
    /// Anything else, in Helm's words.
    Failed(anyhow::Error),
}

/// What one upgrade does.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade<'a> {
    /// A folder, an archive, or a reference.
    pub chart: &'a str,
    /// Its version, where the reference does not say it.
    pub chart_version: Option<&'a str>,
    pub values: &'a Value,
    /// The revision that it is to make.
    pub revision: u64,
    /// In a few words, for Helm's history.
    pub what: &'a str,
}

impl Helm {
    /// Finds Helm and makes sure that it is new enough. The cluster is not asked yet.
    pub fn find(access: &Access, name: &str, namespace: &str, timeout: Duration) -> Result<Self> {
        for name in ["HELM_KUBECONTEXT", "HELM_KUBEAPISERVER"] {
            let is_overruled = name == "HELM_KUBECONTEXT" && access.context.is_some();
            let is_set = std::env::var_os(name).is_some_and(|value| !value.is_empty());
            ensure!(
                is_overruled || !is_set,
                "{name} is set: helm would change the list in that cluster, and kubectl, which does not know it, would ask another one. Unset it, and say --context"
            );
        }
        let helm = Self {
            access: access.clone(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            limit: timeout.max(MINIMUM_LIMIT),
        };
        let printed = helm.run(["version", "--template", "{{.Version}}"])?;
        let version = version_of(printed.trim())
            .with_context(|| format!("helm says that its version is \"{}\"", printed.trim()))?;
        ensure!(
            version >= OLDEST,
            "helm is {version}; {OLDEST} or later is needed"
        );
        Ok(helm)
    }

    /// What the release is called, in messages.
    pub fn title(&self) -> String {
        format!("Helm release {}", self.name)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The revisions that Helm keeps, the oldest first; none where there is no such release.
    pub fn history(&self) -> Result<Vec<Revision>> {
        let history = self.run(["history", &self.name, "--max=64", "--output=json"]);
        match history {
            Err(error) if error.to_string().contains("release: not found") => Ok(Vec::new()),
            history => parsed(&history?, "history"),
        }
    }

    /// The values that its users passed at that revision.
    pub fn values(&self, revision: u64) -> Result<Value> {
        let revision = format!("--revision={revision}");
        let values = self.run(["get", "values", &self.name, &revision, "--output=json"])?;
        let values: Option<Map<String, Value>> = parsed(&values, "get values")?;
        Ok(Value::Object(values.unwrap_or_default()))
    }

    /// The same with what the chart itself has.
    pub fn all_values(&self, revision: u64) -> Result<Value> {
        let revision = format!("--revision={revision}");
        let values = self.run([
            "get",
            "values",
            &self.name,
            &revision,
            "--all",
            "--output=json",
        ])?;
        parsed(&values, "get values")
    }

    /// The manifests that a chart makes of these values. The cluster is not asked.
    pub fn template(
        &self,
        chart: &str,
        chart_version: Option<&str>,
        values: &Value,
    ) -> Result<String> {
        let file = written(values)?;
        let arguments = [
            "template",
            &self.name,
            chart,
            "--values",
            path_of(file.path())?,
        ];
        self.run(arguments.into_iter().chain(of_version(chart_version)))
    }

    /// Makes an upgrade, whose values are all that is given.
    pub fn upgrade(&self, upgrade: &Upgrade<'_>) -> Result<(), UpgradeError> {
        self.try_upgrade(upgrade).map_err(|error| {
            let said = format!("{error:#}");
            if is_conflict(&said) {
                UpgradeError::Conflict(said)
            } else {
                UpgradeError::Failed(error)
            }
        })
    }

    fn try_upgrade(&self, upgrade: &Upgrade<'_>) -> Result<()> {
        let mut values = upgrade.values.clone();
        if let Some(values) = values.as_object_mut() {
            values.insert("expectedRevision".to_owned(), upgrade.revision.into());
        }
        let file = written(&values)?;
        let path = path_of(file.path())?;
        let description = format!("{OURS}{}", upgrade.what);
        let arguments = [
            "upgrade",
            &self.name,
            upgrade.chart,
            "--reset-values",
            "--values",
            path,
            "--description",
            &description,
            "--output=json",
        ];
        let version = of_version(upgrade.chart_version);
        self.run(arguments.into_iter().chain(version))?;
        Ok(())
    }

    fn run<'s>(&self, arguments: impl IntoIterator<Item = &'s str>) -> Result<String> {
        let mut arguments = arguments.into_iter().peekable();
        let what = arguments.peek().copied().unwrap_or_default();
        let mut command = Command::new("helm");
        command.args(arguments).args(self.connection());
        let output = time_limit::output(&mut command, self.limit);
        let output = output.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => anyhow::anyhow!(
                "helm, which makes the upgrades, is not on the PATH: https://helm.sh/docs/intro/install/"
            ),
            _ => anyhow::anyhow!("helm cannot be run: {error}"),
        })?;
        let output = output.with_context(|| {
            let limit = humantime::format_duration(self.limit);
            format!("helm {what} had not ended after {limit}, and was stopped: does the cluster answer? (--timeout)")
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("helm: {}", said.trim().trim_start_matches("Error: "));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn connection(&self) -> Vec<OsString> {
        let mut arguments = vec![
            OsString::from("--namespace"),
            OsString::from(&self.namespace),
        ];
        if let Some(file) = &self.access.kubeconfig {
            arguments.extend([OsString::from("--kubeconfig"), file.into()]);
        }
        if let Some(context) = &self.access.context {
            arguments.extend([OsString::from("--kube-context"), context.into()]);
        }
        arguments
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(said) => f.write_str(said),
            Self::Failed(error) => write!(f, "{error:#}"),
        }
    }
}

/// A Helm that was built from its sources says `v4.3`.
fn version_of(printed: &str) -> Option<Version> {
    let version = printed.trim_start_matches('v');
    let parsed = Version::parse(version).or_else(|_| Version::parse(&format!("{version}.0")));
    parsed.ok()
}

/// A file that Helm reads values from.
fn written(values: &Value) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::with_suffix(".json")?;
    file.write_all(values.to_string().as_bytes())?;
    Ok(file)
}

/// The chart's version, as arguments.
fn of_version(version: Option<&str>) -> impl Iterator<Item = &str> {
    let version = version.into_iter();
    version.flat_map(|version| ["--version", version])
}

fn path_of(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

fn parsed<T: DeserializeOwned>(answer: &str, what: &str) -> Result<T> {
    serde_json::from_str(answer)
        .with_context(|| format!("cannot understand the answer of `helm {what}`"))
}
