//! `skew-guard diff`: whether a step is safe while gateways disagree.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard::config::State;
use skew_guard::rollout::{Assessment, Hazard, LoadedConfig, assess, changes, safe_path};

use crate::Clock;
use crate::answer::{Answer, Verdict};
use crate::document::Document;
use crate::documents;

/// Say whether going from one configuration to another is safe while gateways disagree
///
/// Gateways learn a configuration at different moments, so one may hand out a page and another get its
/// requests. Safe means that no such page is answered by another release than its own, and that none
/// is told to reload which every gateway will know in the end. For an unsafe step, it gives the
/// reasons, and the steps that are safe. Exits with 1 if it is not safe.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard diff old.json new.json
  helm get manifest shop > old.yaml
  helm template shop istio --values shop.yaml > new.yaml
  skew-guard diff old.yaml new.yaml")]
pub struct Diff {
    /// The file with the configuration that gateways have
    old: PathBuf,
    /// The file with the one that they should have
    new: PathBuf,
    #[command(flatten)]
    clock: Clock,
}

/// The same configuration, before and after.
struct Pair {
    name: String,
    old: LoadedConfig,
    new: LoadedConfig,
    assessment: Assessment,
    path: Option<Vec<LoadedConfig>>,
}

/// A configuration that only one of the files has.
struct Unpaired {
    name: String,
    /// What goes wrong where it is the old one that has it.
    hazard: Option<Hazard>,
    /// What happens otherwise.
    text: String,
}

impl Diff {
    /// Runs the command.
    pub fn run(&self) -> Result<Answer> {
        let now = self.clock.seconds();
        let (old, new) = (documents::read(&self.old)?, documents::read(&self.new)?);
        let (pairs, unpaired) = match (old.as_slice(), new.as_slice()) {
            ([old], [new]) if !is_renamed(old, new) => (vec![Pair::of(old, new, now)?], Vec::new()),
            (old, new) => (pairs(old, new, now)?, unpaired(old, new, now)?),
        };
        let lines = pairs.iter().flat_map(Pair::lines);
        let lines: Vec<_> = lines
            .chain(unpaired.iter().flat_map(Unpaired::lines))
            .collect();
        let steps = pairs.iter().map(Pair::json);
        let steps: Vec<_> = steps.chain(unpaired.iter().map(Unpaired::json)).collect();
        let is_safe = pairs.iter().all(|pair| pair.assessment.is_safe())
            && unpaired.iter().all(|unpaired| unpaired.hazard.is_none());
        Ok(Answer {
            verdict: Verdict::of(is_safe),
            text: lines.join("\n"),
            json: json!({ "steps": steps }),
        })
    }
}

/// Whether these are two plugins of one kind, and not one plugin written in two ways.
fn is_renamed(old: &Document, new: &Document) -> bool {
    let kind = |name: &str| name.split_once(' ').map(|(kind, _)| kind.to_owned());
    old.name != new.name && kind(&old.name).is_some() && kind(&old.name) == kind(&new.name)
}

fn has_name_of(document: &Document, others: &[Document]) -> bool {
    others.iter().any(|other| other.name == document.name)
}

fn pairs(old: &[Document], new: &[Document], now: u64) -> Result<Vec<Pair>> {
    new.iter()
        .filter_map(|new| Some((old.iter().find(|old| old.name == new.name)?, new)))
        .map(|(old, new)| Pair::of(old, new, now))
        .collect()
}

/// What only one of the files has.
fn unpaired(old: &[Document], new: &[Document], now: u64) -> Result<Vec<Unpaired>> {
    let removed = old.iter().filter(|document| !has_name_of(document, new));
    let added: Vec<_> = new
        .iter()
        .filter(|document| !has_name_of(document, old))
        .collect();
    let renamed_to = added.first().map(|document| document.name.clone());
    let mut unpaired = Vec::new();
    for document in removed {
        unpaired.push(Unpaired::removed(document, renamed_to.clone(), now)?);
    }
    for document in added {
        document.load_valid()?;
        unpaired.push(Unpaired {
            name: document.name.clone(),
            hazard: None,
            text: "is new: what it lists is pinned from now on".to_owned(),
        });
    }
    Ok(unpaired)
}

impl Unpaired {
    fn removed(document: &Document, renamed_to: Option<String>, now: u64) -> Result<Self> {
        let config = document.load_valid()?.config;
        let served = config
            .releases
            .iter()
            .filter(|release| match release.state {
                State::Live => true,
                State::Draining => release.until.is_none_or(|until| now < until),
                State::Staged | State::Retired => false,
            });
        let mixes = config.enforce && served.count() > 1;
        let name = document.name.clone();
        Ok(Self {
            hazard: mixes.then(|| Hazard::PluginRemoved {
                name: name.clone(),
                renamed_to,
            }),
            name,
            text: "is removed: safe once no tab of an older release can be open, because nothing tells it to reload after that".to_owned(),
        })
    }

    fn lines(&self) -> Vec<String> {
        match &self.hazard {
            Some(hazard) => vec![
                self.name.clone(),
                "not safe while gateways disagree:".to_owned(),
                format!("  - {hazard}"),
            ],
            None => vec![format!("{} {}", self.name, self.text)],
        }
    }

    fn json(&self) -> Value {
        let hazards: Vec<_> = self.hazard.iter().map(json_of).collect();
        json!({
            "name": self.name,
            "safe": self.hazard.is_none(),
            "changes": [self.text],
            "hazards": hazards,
            "notes": [],
            "safeSteps": null,
        })
    }
}

fn json_of(hazard: &Hazard) -> Value {
    json!({"hazard": hazard.name(), "text": hazard.to_string()})
}

impl Pair {
    fn of(old: &Document, new: &Document, now: u64) -> Result<Self> {
        let (name, old, new) = (new.name.clone(), old.load_valid()?, new.load_valid()?);
        let assessment = assess(&old, &new, now);
        let path = if assessment.is_safe() {
            None
        } else {
            safe_path(&old, &new, now)
        };
        Ok(Self {
            name,
            old,
            new,
            assessment,
            path,
        })
    }

    /// What each of the safe steps changes.
    fn steps(&self) -> Option<Vec<Vec<String>>> {
        let path = self.path.as_ref()?;
        let before = std::iter::once(&self.old).chain(path);
        Some(
            before
                .zip(path)
                .map(|(before, after)| changes(before, after))
                .collect(),
        )
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.name.is_empty() {
            lines.push(self.name.clone());
        }
        let changes = changes(&self.old, &self.new);
        lines.extend(changes.iter().map(|change| format!("  {change}")));
        match (changes.is_empty(), self.assessment.is_safe()) {
            (true, true) => lines.push("nothing changes".to_owned()),
            (false, true) => lines.push("safe: gateways may learn it in any order".to_owned()),
            (_, false) => lines.extend(self.lines_of_hazards()),
        }
        let notes = self.assessment.notes.iter();
        lines.extend(notes.map(|note| format!("note: {note}")));
        lines
    }

    fn lines_of_hazards(&self) -> Vec<String> {
        let mut lines = vec!["not safe while gateways disagree:".to_owned()];
        let hazards = self.assessment.hazards.iter();
        lines.extend(hazards.map(|hazard| format!("  - {hazard}")));
        let Some(steps) = self.steps() else {
            lines.push(
                "no order of these changes is safe as long as the tabs in question may be open"
                    .to_owned(),
            );
            return lines;
        };
        lines.push(
            "safe, if each waits until every gateway shows the one before (skew-guard wait):"
                .to_owned(),
        );
        let steps = (1..).zip(&steps);
        lines.extend(steps.map(|(number, step)| format!("  {number}. {}", step.join("; "))));
        lines
    }

    fn json(&self) -> Value {
        let hazards: Vec<_> = self.assessment.hazards.iter().map(json_of).collect();
        let safe_steps = self.steps().map(|steps| {
            let after = self.path.iter().flatten().map(|loaded| &loaded.json);
            steps
                .iter()
                .zip(after)
                .map(|(changes, configuration)| json!({"changes": changes, "configuration": configuration}))
                .collect::<Vec<_>>()
        });
        json!({
            "name": self.name,
            "safe": self.assessment.is_safe(),
            "changes": changes(&self.old, &self.new),
            "hazards": hazards,
            "notes": self.assessment.notes,
            "safeSteps": safe_steps,
        })
    }
}
