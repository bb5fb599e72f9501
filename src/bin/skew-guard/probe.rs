//! `skew-guard probe`: whether every gateway leads to the pods of a release, asked before it becomes current.

mod request;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::json;
use skew_guard::config::{Config, State};

use crate::answer::{Answer, Verdict};
use crate::cluster::{Access, Connections, Gateways, Installation, Kubectl, Listener};
use crate::fan_out;

use request::Request;

/// Some gateways may not know yet of pods that have just become ready.
const ROUND_INTERVAL: Duration = Duration::from_secs(2);

/// Ask every gateway for a release, to see whether its routes and pods are there
///
/// Sends one GET with the release's version for each versioned service that has it (the service's probePath in
/// the chart's values) through each port of each gateway pod that serves one of the hosts, with the right Host and
/// SNI, by kubectl port-forward. Each must be answered with 2xx, without x-client-update: required, and,
/// where upstreamVersion is configured, by a pod of that version. Asks again until that is so, and exits
/// with 1 if it is not within the time limit. Certificates are not verified: the connection goes through
/// the API server.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  skew-guard probe 2.1.0 --helm-release shop --namespace shop")]
pub struct Probe {
    /// The version of the release, which must be live or draining
    version: String,
    /// The Helm release of the chart
    #[arg(long, value_name = "NAME")]
    helm_release: String,
    /// How long to ask
    #[arg(long, default_value = "1m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    gateways: Gateways,
    #[command(flatten)]
    access: Access,
}

/// How a probe has ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Each request of the last round, and why its answer was not good.
    requests: Vec<(String, Result<(), String>)>,
    /// The gateways that a person said not to ask.
    skipped: Vec<String>,
    /// Why nothing could be asked.
    problem: Option<String>,
}

impl Outcome {
    /// Whether every answer was good, of at least one.
    pub fn is_good(&self) -> bool {
        self.problem.is_none() && self.requests.iter().all(|(_, answer)| answer.is_ok())
    }

    /// What was not good.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        let bad = self.requests.iter().filter_map(|(request, answer)| {
            let why = answer.as_ref().err()?;
            Some(format!("{request} {why}"))
        });
        self.problem.iter().cloned().chain(bad)
    }
}

impl Probe {
    /// Runs the command, and tells `progress` what it waits for.
    pub fn run(&self, progress: &mut dyn FnMut(String)) -> Result<Answer> {
        let kubectl = Kubectl::find(&self.access)?;
        let installation = Installation::of(&kubectl, &kubectl.namespace()?, &self.helm_release)?;
        let installed = InstalledGateways {
            kubectl: &kubectl,
            installation: &installation,
            gateways: &self.gateways,
        };
        let outcome = until_answered(installed, &self.version, self.timeout, progress)?;
        Ok(self.answer(&outcome))
    }

    fn answer(&self, outcome: &Outcome) -> Answer {
        let (version, is_good) = (&self.version, outcome.is_good());
        let first = if is_good {
            let count = outcome.requests.len();
            format!("{version} answers through every gateway, {count} requests")
        } else {
            let timeout = humantime::format_duration(self.timeout);
            format!("{version} does not answer through every gateway after {timeout}:")
        };
        let skipped = outcome.skipped.iter();
        let skipped = skipped.map(|gateway| format!("{gateway} skipped, as you said"));
        let below = outcome.complaints().chain(skipped);
        let lines = below.map(|line| format!("  {line}"));
        let requests: Vec<_> = outcome
            .requests
            .iter()
            .map(|(request, answer)| json!({"request": request, "problem": answer.as_ref().err()}))
            .collect();
        Answer {
            verdict: Verdict::of(is_good),
            text: std::iter::once(first)
                .chain(lines)
                .collect::<Vec<_>>()
                .join("\n"),
            json: json!({
                "version": version,
                "answered": is_good,
                "requests": requests,
                "skipped": outcome.skipped,
                "problem": outcome.problem,
            }),
        }
    }
}

/// The gateways of an installation.
#[derive(Clone, Copy, Debug)]
pub struct InstalledGateways<'a> {
    pub kubectl: &'a Kubectl,
    pub installation: &'a Installation,
    pub gateways: &'a Gateways,
}

/// Asks every gateway for a release until all answers are good or the time is over.
pub fn until_answered(
    installed: InstalledGateways<'_>,
    version: &str,
    timeout: Duration,
    progress: &mut dyn FnMut(String),
) -> Result<Outcome> {
    let config = listing(installed.installation, version)?;
    let requests: Vec<_> = installed
        .installation
        .probe_paths_of(version)
        .map(|path| Request::of(&config, version, path))
        .collect::<Result<_>>()?;
    ensure!(
        !requests.is_empty(),
        "no versioned service of the chart has {version}"
    );
    let connections = Connections::through(installed.kubectl.clone());
    let started = Instant::now();
    let mut told = Vec::new();
    loop {
        let outcome = round(installed, &connections, &requests)?;
        let complaints: Vec<_> = outcome.complaints().collect();
        for complaint in complaints
            .iter()
            .filter(|complaint| !told.contains(*complaint))
        {
            progress(complaint.clone());
        }
        if outcome.is_good() || timeout.saturating_sub(started.elapsed()) < ROUND_INTERVAL {
            return Ok(outcome);
        }
        told = complaints;
        thread::sleep(ROUND_INTERVAL);
    }
}

/// The configuration of a plugin that leads clients of this version to its release.
fn listing(installation: &Installation, version: &str) -> Result<Config> {
    let loaded = installation
        .loaded()
        .map_err(|problems| anyhow!("the plugin's configuration is wrong: {problems}"))?;
    let config = loaded.config;
    let mut releases = config.releases.iter();
    let release = releases
        .find(|release| release.version.as_str() == version)
        .with_context(|| {
            let helm_release = &installation.helm_release;
            format!("{version} is not a release of {helm_release}; list it first")
        })?;
    match release.state {
        State::Live | State::Draining => Ok(config),
        State::Staged => bail!("{version} is staged: only testers with the preview key reach it"),
        State::Retired => bail!("{version} is retired: nobody is sent to it"),
    }
}

/// Each request through each listener.
fn round(
    installed: InstalledGateways<'_>,
    connections: &Connections,
    requests: &[Request],
) -> Result<Outcome> {
    let InstalledGateways {
        kubectl,
        installation,
        gateways,
    } = installed;
    let listed = match gateways.list(kubectl, installation) {
        Ok(listed) => listed,
        Err(problem) if problem.is_transient() => {
            return Ok(Outcome::unasked(problem.to_string()));
        }
        Err(problem) => return Err(problem.into()),
    };
    let (skipped, asked): (Vec<_>, Vec<_>) = listed
        .into_iter()
        .filter(|gateway| !gateway.is_leaving)
        .partition(|gateway| gateways.skips(gateway));
    let listeners = Listener::all(kubectl, installation, &asked)?;
    connections.keep(&asked);
    let idle = asked.iter().find(|gateway| {
        !listeners
            .iter()
            .any(|listener| listener.gateway == **gateway)
    });
    let problem = match idle {
        _ if asked.is_empty() => Some(format!("there are no {}", gateways.in_words(installation))),
        Some(gateway) => Some(format!(
            "{gateway} serves none of the hosts: no Gateway that the routes name selects it and has a port for {}",
            installation.hosts.join(", ")
        )),
        None => None,
    };
    Ok(Outcome {
        requests: ask_all(connections, &listeners, requests),
        skipped: skipped.iter().map(ToString::to_string).collect(),
        problem,
    })
}

/// A listener is asked for one after the other: its port is opened once.
fn ask_all(
    connections: &Connections,
    listeners: &[Listener],
    requests: &[Request],
) -> Vec<(String, Result<(), String>)> {
    let asked = fan_out::all(listeners, |listener| {
        let answers = requests.iter().map(|request| {
            let name = format!("{listener}{}", request.path());
            (name, ask(connections, listener, request))
        });
        answers.collect::<Vec<_>>()
    });
    let answers = asked.into_iter().zip(listeners).map(|(answers, listener)| {
        let failed = || Err("the request failed".to_owned());
        answers.unwrap_or_else(|| vec![(listener.to_string(), failed())])
    });
    answers.flatten().collect()
}

fn ask(connections: &Connections, listener: &Listener, request: &Request) -> Result<(), String> {
    let address = connections
        .port(&listener.gateway, listener.port)
        .map_err(|problem| format!("cannot be asked: {problem}"))?;
    request.send(listener, address)
}

impl Outcome {
    fn unasked(problem: String) -> Self {
        Self {
            problem: Some(problem),
            ..Self::default()
        }
    }
}
