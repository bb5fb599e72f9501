//! `skew-guard release` and `skew-guard rollback`: the next safe step, and the step back, made in a
//! file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::ValueEnum;
use serde_json::{Map, Value, json};
use similar::TextDiff;
use skew_guard::rollout::{Edit, Life, Reader, Refusal, Side, Stage, Wish, apply, changes};
use skew_guard::version::Version;

use crate::Moment;
use crate::answer::{Answer, Prepared, Verdict};
use crate::document::{Document, Form};
use crate::documents;
use crate::edit;
use crate::file::Locked;
use crate::likeness::{Unclear, made_like};
use crate::yaml::Node;

/// Make the next safe step of a release in a file of releases
///
/// Called once, it lists the version as live; called again, when every gateway has learned that
/// (skew-guard wait) and its pods are ready, it puts it into current and its predecessor to draining.
/// When nothing is left to do it says so and exits with 0. Releases that have drained are retired in
/// the step that lists the next one, and a revision is counted up where there is one. The FILE is a
/// plugin configuration, a manifest that holds one, or the values of the Helm chart; comments and
/// layout stay. A step that is not safe is not made, and exits with 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard release shop.yaml 2.1.0                          # lists it, or puts it into current
  skew-guard release shop.yaml 2.1.0 --dry-run                # shows what would change
  skew-guard release shop.yaml 2.1.0 --step current --percent 10
  skew-guard release shop.yaml 2.0.0 --step retired           # its pods may go then
  skew-guard release shop.yaml 1.3.0 --step removed           # no tab of it can be open any more")]
pub struct Release {
    /// The file
    file: PathBuf,
    /// The version
    #[arg(value_parser = parse_version)]
    version: Version,
    /// The step to make; by default the next one, live or current
    #[arg(long)]
    step: Option<Step>,
    /// How long predecessors drain, from the step that puts it into current: how long their tabs may
    /// live [default: 24h]
    #[arg(long, value_parser = humantime::parse_duration)]
    drain_for: Option<Duration>,
    /// Give it to so many percent of the visitors only (needs pinCookie)
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: Option<u8>,
    /// Its route; by default made as those of the other releases are
    #[arg(long)]
    route: Option<String>,
    /// A label of its pods for the chart, 'name=value'; by default made as those of the others are
    #[arg(long = "label", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    making: Making,
}

/// Take the newest step back in a file of releases
///
/// Puts current back to the release before, and the bad one to retired, in one safe step: visitors
/// get the old release, and tabs of the bad one are told to reload. Without current the pods are
/// rolled back: called before, it lists the old release again and drains the bad one; called after,
/// it retires that. When the newest release is retired already, nothing is done.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard rollback shop.yaml
  skew-guard rollback shop.yaml --to 1.4.2 --dry-run
  skew-guard rollback shop.yaml --bad 2.0.0                   # though 2.1.0 was rolled back already")]
pub struct Rollback {
    /// The file
    file: PathBuf,
    /// The bad release; by default the newest that is not staged
    #[arg(long, value_parser = parse_version)]
    bad: Option<Version>,
    /// The release to go back to; by default the newest that is older and has pods
    #[arg(long, value_parser = parse_version)]
    to: Option<Version>,
    #[command(flatten)]
    making: Making,
}

/// The steps by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// List it as staged: only testers with the preview key reach it
    Staged,
    /// List it as live: whoever asks for it gets it, nobody else
    Live,
    /// Put it into current, and its predecessor to draining
    Current,
    /// Put it to retired: its tabs are told to reload
    Retired,
    /// Take it off the list
    Removed,
}

impl From<Step> for Stage {
    fn from(step: Step) -> Self {
        match step {
            Step::Staged => Self::Staged,
            Step::Live => Self::Live,
            Step::Current => Self::Current,
            Step::Retired => Self::Retired,
            Step::Removed => Self::Removed,
        }
    }
}

/// How a step is made.
#[derive(Debug, clap::Args)]
struct Making {
    /// Show the change, and make none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    moment: Moment,
}

fn parse_version(text: &str) -> Result<Version, String> {
    Version::parse(text.as_bytes()).ok_or_else(|| format!("a version is {}", Version::ALLOWED))
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "a label is written 'name=value'".to_owned())
}

impl Release {
    /// Runs the command.
    pub fn run(&self) -> Result<Prepared> {
        let now = self.making.moment.seconds();
        let subject = Subject::read(&self.file, &self.making)?;
        self.expect_to_apply(&subject)?;
        let model = subject.model_for(&self.version);
        let drain_for = self.drain_for.unwrap_or(DRAIN_FOR);
        let drain_until = now.saturating_add(drain_for.as_secs());
        ensure!(
            drain_until <= LAST_SECOND,
            "--drain-for ends after the year 9999"
        );
        let wish = Wish {
            version: self.version.clone(),
            stage: self.step.map(Stage::from),
            drain_until,
            percent: self.percent,
            route: self.route(model.as_ref())?,
            labels: self.labels(model.as_ref())?,
        };
        let edits = Life::new(&subject.side, now).release(&wish);
        let nothing_left = match self.step {
            None | Some(Step::Current) if subject.side.config.current.is_some() => {
                format!("{} is current: nothing is left to do", self.version)
            }
            None => format!(
                "{} is listed, and there is no current: nothing is left to do but the roll-out of its pods. When the last pod of a predecessor is gone: skew-guard release FILE PREDECESSOR --step retired",
                self.version
            ),
            Some(_) => format!("{}: nothing is left to do", self.version),
        };
        subject.make(edits, &self.making, &nothing_left)
    }

    /// That no option was given for nothing.
    fn expect_to_apply(&self, subject: &Subject) -> Result<()> {
        let named = |steps: &[Step]| self.step.is_none_or(|step| steps.contains(&step));
        let for_current = [
            ("--drain-for", self.drain_for.is_some()),
            ("--percent", self.percent.is_some()),
        ];
        for (option, _) in for_current.iter().filter(|(_, is_given)| *is_given) {
            ensure!(
                named(&[Step::Current]),
                "{option} is for the step that puts a release into current (--step current), and this is another one"
            );
            ensure!(
                subject.side.config.current.is_some(),
                "{option} is for the step that puts a release into current, and there is no current in {}",
                subject.name()
            );
        }
        let shares = self.percent.is_some_and(|percent| percent < 100);
        ensure!(
            self.drain_for.is_none() || !shares,
            "--drain-for is for the step that gives a release to all visitors: with --percent below 100 nothing drains"
        );
        ensure!(
            self.labels.is_empty() || subject.document.form == Form::Chart,
            "--label is for the values of the chart, and {} is a plugin's configuration, which has no labels",
            subject.name()
        );
        self.expect_listed_alike(subject)
    }

    /// A release that is listed keeps its route and labels, so that none others can be meant.
    fn expect_listed_alike(&self, subject: &Subject) -> Result<()> {
        let Some(listed) = subject.listed(&self.version) else {
            return Ok(());
        };
        if let Some(route) = &self.route {
            let releases = subject.side.config.releases.iter();
            let mut own = releases.filter(|release| release.version == self.version);
            ensure!(
                own.any(|release| release.route == *route),
                "--route {route}: {} is listed already, with another route; a step leaves it alone",
                self.version
            );
        }
        for (name, value) in &self.labels {
            let label = listed.get("labels").and_then(|labels| labels.get(name));
            ensure!(
                label.and_then(Node::text) == Some(value),
                "--label {name}={value}: {} is listed already, with other labels; a step leaves them alone",
                self.version
            );
        }
        Ok(())
    }

    /// The route of the release, where it has to be listed and routes are written: made as that of the
    /// newest release.
    fn route(&self, model: Option<&Node>) -> Result<Option<String>> {
        let route = model.and_then(|model| model.get("route"));
        match (&self.route, route.and_then(Node::text)) {
            (Some(route), _) => Ok(Some(route.clone())),
            (None, None) => Ok(None),
            (None, Some(route)) => self.like("route", route, model, "--route ROUTE").map(Some),
        }
    }

    fn labels(&self, model: Option<&Node>) -> Result<Map<String, Value>> {
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
                    json!(self.like(&what, value, model, &option)?),
                ))
            })
            .collect()
    }

    /// A text of another release, made for this one: with its version in the place of the other's.
    fn like(&self, what: &str, text: &str, model: Option<&Node>, option: &str) -> Result<String> {
        let other = model.and_then(|model| model.get("version"));
        let other = other.and_then(Node::text).unwrap_or_default();
        made_like(text, other, self.version.as_str()).map_err(|unclear| {
            let why = match unclear {
                Unclear::Absent => "does not hold its version as a word",
                Unclear::Several => "holds its version more than once",
            };
            anyhow!("how the {what} is made cannot be told from that of {other}: \"{text}\" {why}; give {option}")
        })
    }
}

impl Rollback {
    /// Runs the command.
    pub fn run(&self) -> Result<Prepared> {
        let now = self.making.moment.seconds();
        let subject = Subject::read(&self.file, &self.making)?;
        let edits = Life::new(&subject.side, now).rollback(self.bad.as_ref(), self.to.as_ref());
        let nothing_left = match &self.bad {
            Some(bad) => format!("{bad} is retired: nothing is left to do"),
            None => "the newest release is retired: it was rolled back already, and nothing is left to do. To go back further, name the bad release with --bad".to_owned(),
        };
        subject.make(edits, &self.making, &nothing_left)
    }
}

/// How long predecessors drain where nobody says it.
pub const DRAIN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The last second that a configuration can write: of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// A file in which a step is made.
struct Subject {
    text: String,
    document: Document,
    side: Side,
    /// Absent where nothing is to be written.
    locked: Option<Locked>,
}

impl Subject {
    fn read(file: &Path, making: &Making) -> Result<Self> {
        let locked = (!making.dry_run).then(|| Locked::take(file)).transpose()?;
        let document = documents::read_one(file)?;
        let side = document.load_right()?;
        let text = std::fs::read_to_string(file)?;
        Ok(Self {
            text,
            document,
            side,
            locked,
        })
    }

    fn name(&self) -> std::path::Display<'_> {
        self.document.file.display()
    }

    /// The release as it is written.
    fn listed(&self, version: &Version) -> Option<Node> {
        let configuration = self.document.node()?;
        let releases = configuration.get("releases")?.items();
        let is_it =
            |release: &&Node| release.get("version").and_then(Node::text) == Some(version.as_str());
        releases.iter().find(is_it).cloned()
    }

    /// The release that a new one is written like, where this one is new: the newest that is not
    /// retired.
    fn model_for(&self, version: &Version) -> Option<Node> {
        if self.listed(version).is_some() {
            return None;
        }
        let configuration = self.document.node()?;
        let releases = configuration.get("releases")?;
        let is_retired =
            |release: &&Node| release.get("state").and_then(Node::text) == Some("retired");
        let mut releases = releases.items().iter();
        releases.find(|release| !is_retired(release)).cloned()
    }

    fn make(
        self,
        edits: Result<Vec<Edit>, Refusal>,
        making: &Making,
        nothing_left: &str,
    ) -> Result<Prepared> {
        let edits = match edits {
            Ok(edits) if edits.is_empty() => {
                let answer = Answer {
                    verdict: Verdict::Good,
                    text: nothing_left.to_owned(),
                    json: json!({"changed": false, "text": nothing_left}),
                };
                return Ok(answer.into());
            }
            Ok(edits) => edits,
            Err(refusal) => {
                let text = refusal.to_string();
                let answer = Answer {
                    verdict: Verdict::Bad,
                    json: json!({"changed": false, "refused": text}),
                    text,
                };
                return Ok(answer.into());
            }
        };
        let edited = edit::edited(&self.text, &self.document, &edits)
            .with_context(|| self.document.file.display().to_string())?;
        let answer = self.report(&edits, &edited, making)?;
        let draft = self.locked.map(|locked| locked.draft(edited));
        Ok(Prepared {
            answer,
            draft: draft.transpose()?,
        })
    }

    fn report(&self, edits: &[Edit], edited: &str, making: &Making) -> Result<Answer> {
        let after = self.after(edits)?;
        let changes = changes(&self.side, &after);
        let file = self.document.file.display().to_string();
        let difference = TextDiff::from_lines(self.text.as_str(), edited)
            .unified_diff()
            .header(&file, &file)
            .to_string();
        let mut lines = changes.clone();
        lines.push(if making.dry_run {
            difference.trim_end_matches('\n').to_owned()
        } else {
            format!(
                "Apply it, and wait until every gateway has learned it{}.",
                wait_hint(&after)
            )
        });
        Ok(Answer {
            verdict: Verdict::Good,
            text: lines.join("\n"),
            json: json!({
                "changed": !making.dry_run,
                "changes": changes,
                "revision": after.config.revision,
                "diff": difference,
            }),
        })
    }

    fn after(&self, edits: &[Edit]) -> Result<Side> {
        let mut json = self.side.json.clone();
        apply(edits, &mut json, Reader::Plugin);
        match Side::load(json.to_string().as_bytes()) {
            Ok(side) => Ok(side),
            Err(problems) => bail!("the step would make a wrong configuration:\n{problems}"),
        }
    }
}

fn wait_hint(after: &Side) -> String {
    after.config.revision.map_or_else(
        || " (skew-guard wait)".to_owned(),
        |revision| format!(": skew-guard wait --revision {revision} URL…"),
    )
}
