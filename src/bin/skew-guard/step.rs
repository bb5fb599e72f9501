//! `skew-guard release` and `skew-guard rollback`: the next safe step, and the step back, made in a
//! file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::ValueEnum;
use serde_json::json;
use similar::TextDiff;
use skew_guard::rollout::{Edit, Lifecycle, LoadedConfig, Refusal, ReleaseSpec, Step, changes};
use skew_guard::version::Version;

use crate::answer::{Answer, Prepared, Verdict};
use crate::deploy::{ClusterRollback, Options};
use crate::document::{Document, Form};
use crate::documents;
use crate::edit;
use crate::file::LockedFile;
use crate::naming::{self, Naming};
use crate::yaml::Node;
use crate::{Clock, Output};

/// Take the next safe step of a release, in a file of releases
///
/// Called once, it lists the version as live. Called again, when every gateway has learned that
/// (skew-guard wait) and its pods are ready, it puts it into current and sets its predecessor to
/// draining. When nothing is left to do, it says so and exits with 0. The step that lists a release
/// also retires those that have drained, and every step raises the revision, if there is one. The
/// FILE is a plugin configuration, a manifest that contains one, or the values of the Helm chart;
/// comments and layout stay. An unsafe step is not taken, and exits with 1.
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
    /// The step to take; by default the next one, live or current
    #[arg(long)]
    step: Option<StepName>,
    /// How long predecessors drain after the step that puts it into current: as long as their tabs
    /// may live [default: 24h]
    #[arg(long, value_parser = humantime::parse_duration)]
    drain_for: Option<Duration>,
    /// Give it to only this percentage of the visitors (needs pinCookie)
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: Option<u8>,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    step_options: StepOptions,
}

/// Roll the newest release back, in a file of releases or in the cluster
///
/// Puts current back to the release before and retires the bad one, in one safe step: visitors get
/// the old release, and tabs of the bad one are told to reload. Without current, the pods are
/// rolled back: called before that, it lists the old release again and drains the bad one; called
/// after it, it retires the bad one. If the newest release is already retired, it does nothing.
///
/// With --helm-release it takes the step in the cluster's list, in whatever state a deployment has
/// left it, takes the lease over from one in progress, and waits for every gateway.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard rollback shop.yaml
  skew-guard rollback shop.yaml --to 1.4.2 --dry-run
  skew-guard rollback shop.yaml --bad 2.0.0                   # though 2.1.0 was rolled back already
  skew-guard rollback --helm-release shop --namespace shop
  skew-guard rollback --helm-release shop --namespace shop --apply k8s/1.4.2/   # without current")]
pub struct Rollback {
    /// The file
    #[arg(required_unless_present = "helm_release")]
    file: Option<PathBuf>,
    /// The chart's Helm release, whose list in the cluster is changed
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    helm_release: Option<String>,
    /// The bad release; by default the newest that is not staged
    #[arg(long, value_parser = parse_version)]
    bad: Option<Version>,
    /// The release to go back to; by default the newest that is older and has pods
    #[arg(long, value_parser = parse_version)]
    to: Option<Version>,
    /// Without current: the manifests of the release to go back to, rolled out in the safe order
    #[arg(long, value_name = "PATH", requires = "helm_release")]
    apply: Option<PathBuf>,
    /// Without current: the pods were rolled back by hand
    #[arg(long, requires = "helm_release", conflicts_with = "apply")]
    pods_are_back: bool,
    #[command(flatten)]
    step_options: StepOptions,
    #[command(flatten)]
    options: Options,
}

/// The steps by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StepName {
    /// List it as staged: only testers with the preview key reach it
    Staged,
    /// List it as live: whoever asks for it gets it, nobody else
    Live,
    /// Put it into current, and set its predecessor to draining
    Current,
    /// Set it to retired: its tabs are told to reload
    Retired,
    /// Take it off the list
    Removed,
}

impl From<StepName> for Step {
    fn from(step: StepName) -> Self {
        match step {
            StepName::Staged => Self::Staged,
            StepName::Live => Self::Live,
            StepName::Current => Self::Current,
            StepName::Retired => Self::Retired,
            StepName::Removed => Self::Removed,
        }
    }
}

/// How a step is made.
#[derive(Debug, clap::Args)]
struct StepOptions {
    /// Show the change, and do not make it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    clock: Clock,
}

pub fn parse_version(text: &str) -> Result<Version, String> {
    Version::parse(text.as_bytes()).ok_or_else(|| format!("a version is {}", Version::ALLOWED))
}

impl Release {
    /// Runs the command.
    pub fn run(&self) -> Result<Prepared> {
        let now = self.step_options.clock.seconds();
        let release_file = ReleaseFile::read(&self.file, &self.step_options)?;
        self.check_options(&release_file)?;
        let model = naming::model(&release_file.document, &release_file.loaded, &self.version);
        let drain_for = self.drain_for.unwrap_or(DRAIN_FOR);
        let drain_until = now.saturating_add(drain_for.as_secs());
        ensure!(
            drain_until <= LAST_SECOND,
            "--drain-for ends after the year 9999"
        );
        let spec = ReleaseSpec {
            version: self.version.clone(),
            step: self.step.map(Step::from),
            drain_until,
            percent: self.percent,
            route: self.naming.route(&self.version, model.as_ref())?,
            labels: self.naming.labels(&self.version, model.as_ref())?,
        };
        let edits = Lifecycle::new(&release_file.loaded, now).release(&spec);
        let nothing_left = match self.step {
            None | Some(StepName::Current) if release_file.loaded.config.current.is_some() => {
                format!("{} is current: nothing is left to do", self.version)
            }
            None => format!(
                "{} is listed, and there is no current: only the roll-out of its pods is left. When the last pod of a predecessor is gone: skew-guard release FILE PREDECESSOR --step retired",
                self.version
            ),
            Some(_) => format!("{}: nothing is left to do", self.version),
        };
        release_file.make(edits, &self.step_options, &nothing_left)
    }

    /// Checks that every given option has an effect.
    fn check_options(&self, release_file: &ReleaseFile) -> Result<()> {
        let named = |steps: &[StepName]| self.step.is_none_or(|step| steps.contains(&step));
        let for_current = [
            ("--drain-for", self.drain_for.is_some()),
            ("--percent", self.percent.is_some()),
        ];
        for (option, _) in for_current.iter().filter(|(_, is_given)| *is_given) {
            ensure!(
                named(&[StepName::Current]),
                "{option} is for the step that puts a release into current (--step current), and this is a different one"
            );
            ensure!(
                release_file.loaded.config.current.is_some(),
                "{option} is for the step that puts a release into current, and there is no current in {}",
                release_file.name()
            );
        }
        let shares = self.percent.is_some_and(|percent| percent < 100);
        ensure!(
            self.drain_for.is_none() || !shares,
            "--drain-for is for the step that gives a release to all visitors: with --percent below 100 nothing drains"
        );
        ensure!(
            self.naming.labels.is_empty() || release_file.document.form == Form::Chart,
            "--label is for the values of the chart, and {} is a plugin's configuration, which has no labels",
            release_file.name()
        );
        self.check_unchanged(release_file)
    }

    /// A listed release keeps its route and labels, so others cannot be given.
    fn check_unchanged(&self, release_file: &ReleaseFile) -> Result<()> {
        let Some(listed) = release_file.listed(&self.version) else {
            return Ok(());
        };
        if let Some(route) = &self.naming.route {
            let releases = release_file.loaded.config.releases.iter();
            let mut own = releases.filter(|release| release.version == self.version);
            ensure!(
                own.any(|release| release.route == *route),
                "--route {route}: {} is listed already, with another route; a step leaves it alone",
                self.version
            );
        }
        for (name, value) in &self.naming.labels {
            let label = listed.get("labels").and_then(|labels| labels.get(name));
            ensure!(
                label.and_then(Node::text) == Some(value),
                "--label {name}={value}: {} is listed already, with other labels; a step leaves them alone",
                self.version
            );
        }
        Ok(())
    }
}

impl Rollback {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<Prepared> {
        match (&self.helm_release, &self.file) {
            (Some(helm_release), _) => Ok(self.in_cluster(helm_release, output)?.into()),
            (None, Some(file)) => self.in_file(file),
            (None, None) => bail!("neither a file nor --helm-release"),
        }
    }

    fn in_cluster(&self, helm_release: &str, output: Output) -> Result<Answer> {
        ensure!(
            self.step_options.clock.now.is_none(),
            "--now is for a file: in a cluster, the time is now"
        );
        let rollback = ClusterRollback {
            helm_release,
            options: &self.options,
            bad: self.bad.as_ref(),
            to: self.to.as_ref(),
            apply: self.apply.as_ref(),
            dry_run: self.step_options.dry_run,
        };
        rollback.run(self.pods_are_back, output)
    }

    fn in_file(&self, file: &Path) -> Result<Prepared> {
        let now = self.step_options.clock.seconds();
        let release_file = ReleaseFile::read(file, &self.step_options)?;
        let edits =
            Lifecycle::new(&release_file.loaded, now).rollback(self.bad.as_ref(), self.to.as_ref());
        let nothing_left = match &self.bad {
            Some(bad) => format!("{bad} is retired: nothing is left to do"),
            None => "the newest release is retired: it has already been rolled back, and nothing is left to do. To go back further, name the bad release with --bad".to_owned(),
        };
        release_file.make(edits, &self.step_options, &nothing_left)
    }
}

/// How long predecessors drain by default.
pub const DRAIN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The last second that a configuration can express, in the year 9999.
pub const LAST_SECOND: u64 = 253_402_300_799;

/// A file in which a step is made.
struct ReleaseFile {
    text: String,
    document: Document,
    loaded: LoadedConfig,
    /// Absent if nothing is to be written.
    locked: Option<LockedFile>,
}

impl ReleaseFile {
    fn read(file: &Path, step_options: &StepOptions) -> Result<Self> {
        let locked = (!step_options.dry_run)
            .then(|| LockedFile::take(file))
            .transpose()?;
        let document = documents::read_one(file)?;
        let loaded = document.load_valid()?;
        let text = std::fs::read_to_string(file)?;
        Ok(Self {
            text,
            document,
            loaded,
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

    fn make(
        self,
        edits: Result<Vec<Edit>, Refusal>,
        step_options: &StepOptions,
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
        let answer = self.report(&edits, &edited, step_options)?;
        let draft = self.locked.map(|locked| locked.draft(edited));
        Ok(Prepared {
            answer,
            draft: draft.transpose()?,
        })
    }

    fn report(&self, edits: &[Edit], edited: &str, step_options: &StepOptions) -> Result<Answer> {
        let after = self.after(edits)?;
        let changes = changes(&self.loaded, &after);
        let file = self.document.file.display().to_string();
        let difference = TextDiff::from_lines(self.text.as_str(), edited)
            .unified_diff()
            .header(&file, &file)
            .to_string();
        let mut lines = changes.clone();
        lines.push(if step_options.dry_run {
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
                "changed": !step_options.dry_run,
                "changes": changes,
                "revision": after.config.revision,
                "diff": difference,
            }),
        })
    }

    fn after(&self, edits: &[Edit]) -> Result<LoadedConfig> {
        let after = self.loaded.after(edits);
        after.map_err(|problems| anyhow!("the step would make a wrong configuration:\n{problems}"))
    }
}

fn wait_hint(after: &LoadedConfig) -> String {
    after.config.revision.map_or_else(
        || " (skew-guard wait)".to_owned(),
        |revision| format!(": skew-guard wait --revision {revision} URL…"),
    )
}
