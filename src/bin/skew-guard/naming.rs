//! How a new release is written into a list: like the one before it.

use anyhow::{Result, anyhow};
use serde_json::{Map, Value, json};
use skew_guard::rollout::LoadedConfig;
use skew_guard::version::Version;

use crate::document::Document;
use crate::version_substitution::{Ambiguity, substitute_version};
use crate::yaml::Node;

/// What is given for a new release; the rest is made as it was for the others.
#[derive(Clone, Debug, clap::Args)]
pub struct Naming {
    /// Its route; by default made like those of the other releases
    #[arg(long)]
    pub route: Option<String>,
    /// A label of its pods for the chart, 'name=value'; by default made like those of the others
    #[arg(long = "label", value_parser = parse_label)]
    pub labels: Vec<(String, String)>,
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "a label is written 'name=value'".to_owned())
}

/// The release that serves as the model for a new one: the newest that is not retired. None if the
/// version is already listed.
pub fn model(document: &Document, loaded: &LoadedConfig, version: &Version) -> Option<Node> {
    let mut listed = loaded.config.releases.iter();
    if listed.any(|release| release.version == *version) {
        return None;
    }
    let configuration = document.node()?;
    let releases = configuration.get("releases")?;
    let is_retired = |release: &&Node| release.get("state").and_then(Node::text) == Some("retired");
    let mut releases = releases.items().iter();
    releases.find(|release| !is_retired(release)).cloned()
}

impl Naming {
    /// The route of a release, where routes are written.
    pub fn route(&self, version: &Version, model: Option<&Node>) -> Result<Option<String>> {
        let route = model.and_then(|model| model.get("route"));
        match (&self.route, route.and_then(Node::text)) {
            (Some(route), _) => Ok(Some(route.clone())),
            (None, None) => Ok(None),
            (None, Some(route)) => {
                derived("route", route, version, model, "--route ROUTE").map(Some)
            }
        }
    }

    /// The labels of its pods, where labels are written.
    pub fn labels(&self, version: &Version, model: Option<&Node>) -> Result<Map<String, Value>> {
        if !self.labels.is_empty() {
            let given = self.labels.iter();
            return Ok(given
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect());
        }
        let labels = model.and_then(|model| model.get("labels"));
        labels
            .map_or(&[][..], Node::entries)
            .iter()
            .map(|(name, value)| {
                let (what, option) = (format!("label {name}"), format!("--label {name}=VALUE"));
                let value = value.text().unwrap_or_default();
                Ok((
                    name.clone(),
                    json!(derived(&what, value, version, model, &option)?),
                ))
            })
            .collect()
    }
}

/// A text of another release, adapted for this one: with its version instead of the other's.
fn derived(
    what: &str,
    text: &str,
    version: &Version,
    model: Option<&Node>,
    option: &str,
) -> Result<String> {
    let other = model.and_then(|model| model.get("version"));
    let other = other.and_then(Node::text).unwrap_or_default();
    substitute_version(text, other, version.as_str()).map_err(|ambiguity| {
        let why = match ambiguity {
            Ambiguity::Absent => "does not contain its version as a word",
            Ambiguity::Several => "contains its version more than once",
        };
        anyhow!("cannot tell from {other} how to make the {what}: \"{text}\" {why}; give {option}")
    })
}
