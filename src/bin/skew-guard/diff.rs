//! `skew-guard diff`: whether a step is safe while gateways disagree.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use skew_guard::rollout::{Assessment, Side, assess, changes, safe_path};

use crate::Moment;
use crate::answer::{Answer, Verdict};
use crate::documents::{self, Document};

/// Tell whether going from one configuration to another is safe while gateways disagree
///
/// Gateways learn a configuration at different moments, so one may give out a page and another get
/// its requests. Safe means that no such page is answered by another release than its own, and none is
/// told to reload that every gateway will know in the end. Where a step is not safe, the reasons are
/// named, and the steps that are. Exits with 1 where it is not safe.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard diff old.json new.json
  helm get manifest shop > old.yaml
  helm template shop istio --values shop.yaml > new.yaml
  skew-guard diff old.yaml new.yaml")]
pub struct Diff {
    /// The file with the configuration that gateways have
    old: PathBuf,
    /// The file with the one that they shall have
    new: PathBuf,
    #[command(flatten)]
    moment: Moment,
}

/// The same configuration, before and after.
struct Pair {
    name: String,
    old: Side,
    new: Side,
    assessment: Assessment,
    path: Option<Vec<Side>>,
}

impl Diff {
    /// Runs the command.
    pub fn run(&self) -> Result<Answer> {
        let now = self.moment.seconds();
        let pairs = self.pairs(now)?;
        let lines: Vec<_> = pairs.iter().flat_map(Pair::lines).collect();
        let steps: Vec<_> = pairs.iter().map(Pair::json).collect();
        Ok(Answer {
            verdict: Verdict::of(pairs.iter().all(|pair| pair.assessment.is_safe())),
            text: lines.join("\n"),
            json: json!({ "steps": steps }),
        })
    }

    fn pairs(&self, now: u64) -> Result<Vec<Pair>> {
        let (old, new) = (documents::read(&self.old)?, documents::read(&self.new)?);
        if let ([old], [new]) = (old.as_slice(), new.as_slice()) {
            return Ok(vec![Pair::of(old, new, now)?]);
        }
        let pairs: Vec<_> = new
            .iter()
            .filter_map(|new| Some((old.iter().find(|old| old.name == new.name)?, new)))
            .map(|(old, new)| Pair::of(old, new, now))
            .collect::<Result<_>>()?;
        if pairs.is_empty() {
            bail!("no configuration of the one file has the name of one of the other");
        }
        Ok(pairs)
    }
}

impl Pair {
    fn of(old: &Document, new: &Document, now: u64) -> Result<Self> {
        let load = |document: &Document| {
            document
                .load_or_explain()
                .map_err(|error| error.context(document.file.display().to_string()))
        };
        let (name, old, new) = (new.name.clone(), load(old)?, load(new)?);
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
            (true, _) => lines.push("nothing changes".to_owned()),
            (false, true) => lines.push("safe: gateways may learn it in any order".to_owned()),
            (false, false) => lines.extend(self.lines_of_hazards()),
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
            "safe, each when every gateway shows the one before (skew-guard wait):".to_owned(),
        );
        let steps = (1..).zip(&steps);
        lines.extend(steps.map(|(number, step)| format!("  {number}. {}", step.join("; "))));
        lines
    }

    fn json(&self) -> Value {
        let hazards: Vec<_> = self
            .assessment
            .hazards
            .iter()
            .map(|hazard| json!({"hazard": hazard.name(), "text": hazard.to_string()}))
            .collect();
        let safe_steps = self.steps().map(|steps| {
            let after = self.path.iter().flatten().map(|side| &side.json);
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
