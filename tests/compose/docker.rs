//! A Docker engine with Compose: those of this machine, or the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use skew_guard_lab::process::Process;
use skew_guard_lab::wait;
use tempfile::TempDir;

/// Long enough for an engine to stop its containers.
const GRACE: Duration = Duration::from_secs(60);

/// A Docker engine. If it was started here, it ends when this value is dropped.
pub struct Docker {
    environment: Vec<(&'static str, PathBuf)>,
    // Fields are dropped in this order: the engine must have ended before its folder goes.
    _engine: Option<Process>,
    _state: Option<TempDir>,
}

impl Docker {
    /// The engine of this machine if one is running, otherwise Debian's, started for this test.
    pub async fn find_or_start() -> Result<Self> {
        let mut docker = Self {
            environment: Vec::new(),
            _engine: None,
            _state: None,
        };
        if !docker.succeeds(&["info"]) {
            install_engine()?;
        }
        if !docker.succeeds(&["info"]) {
            docker = Self::start().await?;
        }
        if !docker.succeeds(&["compose", "version"]) {
            docker.environment.push(("DOCKER_CONFIG", build_compose()?));
        }
        Ok(docker)
    }

    /// An engine that keeps everything in its own folder, with no network except those that Compose makes.
    async fn start() -> Result<Self> {
        let state = TempDir::with_prefix("skew-guard-docker-")?;
        let socket = state.path().join("socket");
        let mut command = Command::new("dockerd");
        command
            .arg("--data-root")
            .arg(state.path().join("data"))
            .arg("--exec-root")
            .arg(state.path().join("exec"))
            .arg("--pidfile")
            .arg(state.path().join("pid"))
            .arg("--host")
            .arg(format!("unix://{}", socket.display()))
            .args(["--bridge", "none"]);
        let mut engine = Process::start_with_grace("dockerd", command, GRACE)?;
        let mut docker = Self {
            environment: vec![(
                "DOCKER_HOST",
                PathBuf::from(format!("unix://{}", socket.display())),
            )],
            _engine: None,
            _state: Some(state),
        };
        wait::until("the Docker engine", async || {
            Ok(engine.ended()?.is_some() || docker.succeeds(&["info"]))
        })
        .await?;
        engine.check_running()?;
        docker._engine = Some(engine);
        Ok(docker)
    }

    /// A `docker` command for this engine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .args(arguments)
            .envs(self.environment.iter().cloned());
        command
    }

    /// Runs a `docker` command, which has to succeed.
    pub fn run(&self, arguments: &[&str]) -> Result<()> {
        run(&mut self.command(arguments))
    }

    fn succeeds(&self, arguments: &[&str]) -> bool {
        self.command(arguments)
            .output()
            .is_ok_and(|output| output.status.success())
    }
}

/// The containers of `envoy/docker-compose.yaml`, under the test's own project name; dropping it removes them.
pub struct Project<'a> {
    docker: &'a Docker,
    environment: Vec<(String, String)>,
}

impl<'a> Project<'a> {
    /// Brings them up, and waits as `--wait` does.
    pub fn up(docker: &'a Docker, environment: &[(&str, &str)]) -> Result<Self> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let project = Self {
            docker,
            environment: environment.iter().map(own).collect(),
        };
        if let Err(error) = run(&mut project.compose(&["up", "--build", "--wait"])) {
            let logs = project.compose(&["logs", "--no-color"]).output()?;
            return Err(error.context(String::from_utf8_lossy(&logs.stdout).into_owned()));
        }
        Ok(project)
    }

    /// Takes them down, as a reader does.
    pub fn down(self) -> Result<()> {
        run(&mut self.compose(&["down"]))
    }

    fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = self
            .docker
            .command(&["compose", "--file", "envoy/docker-compose.yaml"]);
        command
            .args(["--project-name", "skew-guard-test"])
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        // After `down` there is nothing left to remove; without it the test has already failed, and says why.
        let _ = self
            .compose(&["down", "--volumes", "--timeout", "1"])
            .output();
    }
}

fn install_engine() -> Result<()> {
    if Command::new("dockerd").arg("--version").output().is_ok() {
        return Ok(());
    }
    run(Command::new("apt-get").arg("update"))?;
    run(Command::new("apt-get").args(["install", "--yes", "--no-install-recommends", "docker.io"]))
        .context("no Docker engine runs, and Debian's could not be installed (that needs root)")
}

/// Compose v2, built from its Go module, as a plugin in the test's own Docker configuration: Debian's Compose is v1.
fn build_compose() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let configuration = root.join("target/tools/docker");
    let plugins = configuration.join("cli-plugins");
    fs::create_dir_all(&plugins)?;
    let mut build = Command::new("go");
    build
        .current_dir(root.join("tests/compose/tools"))
        .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(plugins.join("docker-compose"))
        .arg("github.com/docker/compose/v2/cmd");
    run(&mut build)
        .context("Docker has no Compose v2, and it could not be built from its Go module")?;
    Ok(configuration)
}

/// Runs a command, which has to succeed; the error contains its error output.
fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("running {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
