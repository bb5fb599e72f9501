//! The command-line tool, installed as the README says and run with the README's files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use skew_guard::config::Config;
use skew_guard_lab::bootstrap::Bootstrap;
use skew_guard_lab::envoy::{self, Envoy};
use skew_guard_lab::markdown::Document;
use skew_guard_lab::{http, module};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::commands::{cargo, output_of};
use crate::configuration;
use crate::pages::{CHART, README};

/// The admin interface that the documents mention.
const GATEWAYS: [&str; 2] = ["http://127.0.0.1:9901", "http://GATEWAY-POD:15020"];

/// Runs the command that installs the tool; only profile and place differ, so that it is built once for all tests.
pub fn installed_by(line: &str) -> Result<PathBuf> {
    static INSTALLED: LazyLock<Mutex<Option<TempDir>>> = LazyLock::new(Mutex::default);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if installed.is_none() {
        let place = TempDir::with_prefix("skew-guard-tool-")?;
        let arguments = line
            .strip_prefix("cargo ")
            .context("a command of cargo's")?;
        let mut install = cargo(&arguments.split(' ').collect::<Vec<_>>());
        install
            .args(["--quiet", "--debug", "--root"])
            .arg(place.path());
        output_of(&mut install)?;
        *installed = Some(place);
    }
    let place = installed.as_ref().context("the tool is installed")?;
    let tool = place.path().join("bin/skew-guard");
    ensure!(tool.is_file(), "`{line}` installs no skew-guard");
    Ok(tool)
}

/// Runs the commands of a release's life, in the README's order.
pub fn leads_a_release(lines: &[&str]) -> Result<()> {
    let workspace = Workspace::with_the_readmes_configuration()?;
    for line in lines {
        let said = workspace.run(line)?;
        workspace
            .holds_to(line, &said)
            .with_context(|| format!("`{line}` said:\n{said}"))?;
    }
    Ok(())
}

/// Runs the commands of a pipeline, with the chart's values and manifests.
pub fn runs_in_a_pipeline(lines: &[&str]) -> Result<()> {
    let workspace = Workspace::with_the_charts_files()?;
    if lines.iter().any(|line| line.contains("rollback")) {
        workspace.roll_out("2.0.0")?;
    }
    lines
        .iter()
        .try_for_each(|line| workspace.run(line).map(drop))
}

/// A folder with the files that the commands name, and a gateway to query.
pub struct Workspace {
    folder: TempDir,
    tool: PathBuf,
}

impl Workspace {
    fn new() -> Result<Self> {
        let readme = Document::read(README)?;
        let install = readme
            .fences
            .iter()
            .find(|fence| fence.text.starts_with("cargo install"))
            .context("how the tool is installed")?;
        Ok(Self {
            folder: TempDir::with_prefix("skew-guard-desk-")?,
            tool: installed_by(install.text.trim())?,
        })
    }

    /// `previous.json` is what `config.json` was before the first command.
    pub fn with_the_readmes_configuration() -> Result<Self> {
        let workspace = Self::new()?;
        for file in ["config.json", "previous.json"] {
            fs::write(workspace.path(file), configuration::shown()?)?;
        }
        Ok(workspace)
    }

    fn with_the_charts_files() -> Result<Self> {
        let workspace = Self::new()?;
        let istio = Document::read(CHART)?;
        let values = istio.fences.iter().find(|fence| fence.language == "yaml");
        let values = &values.context("values of the chart")?.text;
        fs::write(workspace.path("shop.yaml"), values)?;
        for file in ["old.yaml", "new.yaml"] {
            fs::copy("istio/plain/skew-guard.yaml", workspace.path(file))?;
        }
        Ok(workspace)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Makes a release current, so that there is one to roll back.
    fn roll_out(&self, version: &str) -> Result<()> {
        let current = format!("current: \"{version}\"");
        while !fs::read_to_string(self.path("shop.yaml"))?.contains(&current) {
            self.run(&format!("skew-guard release shop.yaml {version}"))?;
        }
        Ok(())
    }

    /// Runs a line as the shell would in this folder.
    fn run(&self, line: &str) -> Result<String> {
        match revision_of(line)?.map(Gateway::of_revision).transpose()? {
            Some(gateway) => self.run_at(line, &gateway),
            None => self.run_as_it_is(line),
        }
    }

    /// Runs a line with this gateway instead of the document's.
    pub fn run_at(&self, line: &str, gateway: &Gateway) -> Result<String> {
        self.run_as_it_is(&gateway.named_in(line))
    }

    fn run_as_it_is(&self, line: &str) -> Result<String> {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.folder.path());
        shell.env("PATH", path_with(self.tool.parent().context("a folder")?)?);
        output_of(&mut shell)
    }

    /// Checks what the README says about each command.
    fn holds_to(&self, line: &str, said: &str) -> Result<()> {
        let command = line.split(' ').nth(1).unwrap_or_default();
        match command {
            "release" => ensure!(self.state_of("2.1.0")? == "live", "2.1.0 is not live"),
            "check" | "diff" => {}
            "wait" => ensure!(
                revision_of(line)? == self.config()?["revision"].as_u64(),
                "the file does not have the revision that is waited for"
            ),
            "explain" => {
                ensure!(said.contains("rule 8"), "not the rule");
                ensure!(said.contains("v1-4-2"), "not what happens");
            }
            "rollback" => {
                // 2.1.0 was listed by the first command, and is not current yet.
                ensure!(self.config()?["current"] == "2.0.0", "current has moved");
                ensure!(
                    self.state_of("2.1.0")? == "retired",
                    "the bad release is not retired"
                );
            }
            other => bail!("nothing is known about {other}"),
        }
        let config = fs::read(self.path("config.json"))?;
        Config::load(&config)
            .map(drop)
            .map_err(|problems| anyhow!("{problems}"))
    }

    fn config(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(
            self.path("config.json"),
        )?)?)
    }

    fn state_of(&self, version: &str) -> Result<String> {
        let config = self.config()?;
        let mut releases = config["releases"].as_array().context("releases")?.iter();
        let release = releases.find(|release| release["version"] == version);
        let state = &release.with_context(|| format!("a release {version}"))?["state"];
        Ok(state.as_str().unwrap_or("live").to_owned())
    }
}

/// The number after `--revision`; if the document leaves it open, any will do.
fn revision_of(line: &str) -> Result<Option<u64>> {
    let Some((_, revision)) = line.split_once("--revision ") else {
        return Ok(None);
    };
    let revision = revision.split(' ').next().unwrap_or_default();
    Ok(Some(revision.parse().or_else(|_| match revision {
        "REVISION" => Ok(OPEN_REVISION),
        other => Err(anyhow!("{other} is not a revision")),
    })?))
}

const OPEN_REVISION: u64 = 7;

/// A real gateway with a configuration with that revision in force.
pub struct Gateway {
    runtime: Runtime,
    envoy: Envoy,
}

impl Gateway {
    pub fn of_revision(revision: u64) -> Result<Self> {
        let mut configuration: Value = serde_json::from_str(&configuration::shown()?)?;
        configuration["revision"] = json!(revision);
        let bootstrap = Bootstrap::read("envoy/envoy.yaml")?
            .with_module(&module::path()?)
            .with_configuration(&configuration)
            .on_free_ports();
        let runtime = Runtime::new()?;
        let binary = envoy::installed()?;
        let envoy = runtime.block_on(Envoy::start(&binary, bootstrap.value()))?;
        Ok(Self { runtime, envoy })
    }

    /// Requests a path of the shop.
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<()> {
        let host = ("host", b"shop.example.com".as_slice());
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        let headers: Vec<_> = headers.chain([host]).collect();
        self.runtime.block_on(async {
            let address = self.envoy.listener("gateway").await?;
            http::get(address, path, &headers).await.map(drop)
        })
    }

    /// The line with this gateway's address instead of the document's.
    fn named_in(&self, line: &str) -> String {
        let here = format!("http://{}", self.envoy.admin());
        let line = line.replace("REVISION", &OPEN_REVISION.to_string());
        GATEWAYS
            .iter()
            .fold(line, |line, gateway| line.replace(gateway, &here))
    }
}

fn path_with(folder: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(folders)?)
}
