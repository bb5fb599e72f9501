//! `skew-guard check --cluster`: what only the cluster knows.
//!
//! Each part looks at one thing and reports what it found; a part that cannot look reports that, and the others
//! go on.

mod conflicts;
mod coverage;
mod mesh;
mod pods;

use anyhow::Result;
use serde_json::json;

use crate::answer::{Answer, Verdict};
use crate::cluster::image::{self, Pull};
use crate::cluster::{Access, Gateways, Installation, Kubectl, Problem};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It skews or fails now.
    Problem(String),
    /// It will, or may.
    Warning(String),
    /// It could not be seen.
    Unseen(String),
}

impl Finding {
    fn kind(&self) -> &'static str {
        match self {
            Self::Problem(_) => "problem",
            Self::Warning(_) => "warning",
            Self::Unseen(_) => "not seen",
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Problem(text) | Self::Warning(text) | Self::Unseen(text) => text,
        }
    }
}

/// What a part found, or that it could not look.
fn seen(what: &str, found: Result<Vec<Finding>, Problem>) -> Vec<Finding> {
    found.unwrap_or_else(|problem| vec![Finding::Unseen(format!("{what}: {problem}"))])
}

/// Looks at one installation of the chart.
pub fn check(access: &Access, gateways: &Gateways, helm_release: &str) -> Result<Answer> {
    let kubectl = Kubectl::find(access)?;
    let installation = Installation::of(&kubectl, &kubectl.namespace()?, helm_release)?;
    let mut findings = seen(
        "gateways without the plugin",
        coverage::findings(&kubectl, &installation, gateways),
    );
    findings.extend(seen(
        "rules and routes of others",
        conflicts::findings(&kubectl, &installation, &gateways.root_namespace),
    ));
    findings.extend(seen(
        "pods of the releases",
        pods::findings(&kubectl, &installation),
    ));
    findings.extend(seen(
        "Istio",
        mesh::findings(&kubectl, &installation, gateways),
    ));
    findings.extend(images(&kubectl, &installation));
    Ok(answer(&installation, &findings))
}

fn images(kubectl: &Kubectl, installation: &Installation) -> Vec<Finding> {
    let mut findings = Vec::new();
    for plugin in &installation.plugins {
        let name = plugin.full_name();
        let url = &plugin.url;
        match Pull::of(kubectl, plugin) {
            Pull::Possible => {}
            pull @ Pull::Refused(_) => findings.push(Finding::Problem(format!(
                "plugin {name}: {url} {pull}. A gateway that starts now runs without it"
            ))),
            pull @ Pull::Unknown(_) => {
                findings.push(Finding::Unseen(format!("plugin {name}: {url} {pull}")));
            }
        }
        if image::is_tag(url) {
            findings.push(Finding::Warning(format!(
                "plugin {name}: {url} is a tag, which may be moved. Name the image by its digest"
            )));
        }
    }
    findings
}

fn answer(installation: &Installation, findings: &[Finding]) -> Answer {
    let place = format!("{}/{}", installation.namespace, installation.helm_release);
    let lines = findings
        .iter()
        .map(|finding| format!("{place}: {}: {}", finding.kind(), finding.text()));
    let is_good = !findings
        .iter()
        .any(|finding| matches!(finding, Finding::Problem(_)));
    let ok = is_good.then(|| format!("{place}: ok"));
    let json: Vec<_> = findings
        .iter()
        .map(|finding| json!({ "kind": finding.kind(), "text": finding.text() }))
        .collect();
    Answer {
        verdict: Verdict::of(is_good),
        text: lines.chain(ok).collect::<Vec<_>>().join("\n"),
        json: json!({ "installation": place, "findings": json }),
    }
}
