//! `skew-guard deploy`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use skew_guard::config::{CurrentConfig, State};
use skew_guard::rollout::{
    Deployment, Goal, Lifecycle, LoadedConfig, NextStep, ObservedState, Pods, Refusal, ReleaseSpec,
    Step,
};
use skew_guard::version::Version;

use super::gateways;
use super::lease::Takeover;
use super::list::List;
use super::manifests::{self, Intent, Manifests};
use super::options::Options;
use super::report::Report;
use super::rolling_update::RollingUpdate;
use super::run::{HelmState, Run, Workflow};
use super::service::Service;
use super::timeout::Stop;
use super::workload::Workload;
use super::{answered, plan};
use crate::answer::{Answer, Verdict};
use crate::naming::{self, Naming};
use crate::step::{LAST_SECOND, parse_version};
use crate::{Output, seconds};

/// Deploy a release: take every step, and wait for each
///
/// Lists the version in the cluster's list, waits until every gateway has learned it, applies its
/// manifests, waits until its pods are ready in every versioned service and answer through every
/// gateway, puts it into current with its predecessor draining, and waits again. It begins with what
/// `skew-guard tidy` does. Run again after an interruption, it continues where it was.
///
/// The list is that of the Helm release. It uses this machine's kubectl and helm, with the rights of
/// whoever runs it. Only one deployment runs at a time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard deploy 2.1.0 --helm-release shop --namespace shop --apply k8s/2.1.0/
  skew-guard deploy 2.1.0 --helm-release shop --namespace shop --apply k8s/2.1.0/ --percent 10
  skew-guard deploy 2.1.0 --helm-release shop --namespace shop --run 'make pods VERSION=2.1.0'
  skew-guard deploy 2.1.0 --helm-release shop --namespace shop --apply k8s/ --rolling
  skew-guard deploy 2.1.0 --helm-release shop --namespace shop --apply k8s/2.1.0/ --dry-run")]
pub struct Deploy {
    /// The version
    #[arg(value_parser = parse_version)]
    version: Version,
    /// The chart's Helm release, on whose list it is put
    #[arg(long, value_name = "NAME")]
    helm_release: String,
    /// Its manifests: a file, a folder of files, or a kustomization
    #[arg(long, value_name = "PATH", conflicts_with = "run")]
    apply: Option<PathBuf>,
    /// A command that deploys its pods, instead of --apply; it gets VERSION, NAMESPACE and
    /// HELM_RELEASE in its environment
    #[arg(long, value_name = "COMMAND")]
    run: Option<String>,
    /// Stop at this percentage of the visitors (needs pinCookie); run again with another one to
    /// continue
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    percent: Option<u8>,
    /// Stop where only testers with the preview key reach it
    #[arg(long, conflicts_with_all = ["percent", "rolling", "drain_for"])]
    preview: bool,
    /// Roll out plain Deployments, which replace their pods, for a list without current
    #[arg(long, requires = "apply", conflicts_with_all = ["percent", "drain_for"])]
    rolling: bool,
    /// How long predecessors drain: as long as their tabs may live
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
    drain_for: Duration,
    /// Show the steps, and take none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    options: Options,
}

impl Deploy {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<Answer> {
        answered(self.outcome(output))
    }

    fn outcome(&self, output: Output) -> Result<Answer> {
        let report = Report::to(output);
        let mut run = Run::new(&self.options, &self.helm_release, &report)?;
        let mut workflow = DeployWorkflow {
            deploy: self,
            manifests: self
                .apply
                .as_ref()
                .map(|place| Manifests::read(&run.kubectl, place))
                .transpose()?,
            pods: Pods::Unseen,
            has_deleted: false,
            has_checked: false,
            has_applied: false,
        };
        if self.dry_run {
            let steps = run.plan_steps(&mut workflow)?;
            return Ok(plan(&steps, workflow.unapplied()));
        }
        run.take_lease(&format!("deploy {}", self.version), Takeover::WhenExpired)?;
        let found = run.all(&mut workflow)?;
        Ok(self.summary(&run, &found, workflow.unapplied()))
    }

    /// From now on.
    fn drain_until(&self) -> Result<u64> {
        let until = seconds(SystemTime::now()).saturating_add(self.drain_for.as_secs());
        ensure!(until <= LAST_SECOND, "--drain-for ends after the year 9999");
        Ok(until)
    }

    fn summary(&self, run: &Run<'_>, found: &HelmState, unapplied: Option<String>) -> Answer {
        let version = &self.version;
        let config = &found.newest.loaded.config;
        let share = match &config.current {
            Some(current @ CurrentConfig::Weighted(_)) => {
                let share = current.share_of(version);
                share.map(|(own, all)| own.saturating_mul(100) / all.max(1))
            }
            _ => None,
        };
        let is = match (self.preview, share) {
            (true, _) => "is staged: testers with the preview key reach it".to_owned(),
            (false, Some(percent)) => format!("has {percent} percent of the visitors"),
            (false, None) if self.rolling => "is rolled out".to_owned(),
            (false, None) => "is current".to_owned(),
        };
        let draining = config
            .releases
            .iter()
            .filter(|release| release.state == State::Draining && release.version != *version);
        let draining: Vec<_> = draining
            .map(|release| match release.until {
                Some(until) => format!(
                    "{} drains until {}",
                    release.version,
                    skew_guard::rollout::written_time(until)
                ),
                None => format!("{} drains", release.version),
            })
            .collect();
        let revision = found.newest.revision;
        let mut lines = vec![format!(
            "{version} {is} (revision {revision}, {})",
            run.gateways().in_words()
        )];
        lines.extend(draining.clone());
        let rollback_command = self
            .options
            .rollback_command(&self.helm_release, run.namespace());
        lines.extend(unapplied.clone());
        lines.push(format!("the way back: {rollback_command}"));
        Answer {
            verdict: Verdict::Good,
            json: json!({
                "event": "ended",
                "version": version.as_str(),
                "revision": revision,
                "changed": run.upgrades > 0,
                "gateways": run.gateways().in_force,
                "skipped": run.gateways().skipped,
                "draining": draining,
                "notApplied": unapplied,
                "wayBack": rollback_command,
                "text": lines.join("\n"),
            }),
            text: lines.join("\n"),
        }
    }
}

/// Chooses the steps of a deployment.
#[derive(Debug)]
struct DeployWorkflow<'a> {
    deploy: &'a Deploy,
    manifests: Option<Manifests>,
    pods: Pods,
    has_deleted: bool,
    has_checked: bool,
    has_applied: bool,
}

impl DeployWorkflow<'_> {
    /// What was to be applied or run, and is not: the pods of a release that already has visitors stay as they are.
    fn unapplied(&self) -> Option<String> {
        let Deploy {
            version,
            apply,
            run,
            ..
        } = self.deploy;
        let what = match (apply, run) {
            _ if self.has_applied => return None,
            (Some(place), _) => format!("{} is not applied", place.display()),
            (None, Some(command)) => format!("`{command}` is not run"),
            (None, None) => return None,
        };
        Some(format!(
            "{what}: {version} already has visitors, and a release keeps its pods. To change them, deploy a new version, or use kubectl"
        ))
    }

    fn spec(&self, list: &List) -> Result<ReleaseSpec> {
        let Deploy {
            version, naming, ..
        } = self.deploy;
        let model = naming::model(&list.document()?, &list.loaded, version);
        Ok(ReleaseSpec {
            version: version.clone(),
            step: None,
            drain_until: self.deploy.drain_until()?,
            percent: self.deploy.percent,
            route: naming.route(version, model.as_ref())?,
            labels: naming.labels(version, model.as_ref())?,
        })
    }

    fn goal(&self) -> Goal {
        match (self.deploy.preview, self.deploy.rolling) {
            (true, _) => Goal::Preview,
            (_, true) => Goal::Rolling,
            _ => Goal::Current,
        }
    }

    /// The list with the release on it, as far as labels are concerned.
    fn listed(&self, list: &List, now: u64) -> Result<List> {
        let spec = ReleaseSpec {
            step: Some(Step::Live),
            ..self.spec(list)?
        };
        match Lifecycle::new(&list.loaded, now).release(&spec) {
            Ok(edits) => List::new(list.revision, list.edited(&edits)),
            Err(_) => Ok(list.clone()),
        }
    }

    fn with_intent<T>(
        &self,
        run: &Run<'_>,
        list: &List,
        then: impl FnOnce(&Intent<'_>) -> Result<T>,
    ) -> Result<T> {
        let list = self.listed(list, seconds(SystemTime::now()))?;
        let version = &self.deploy.version;
        let services = Service::of(&run.kubectl, &list, version, run.namespace())?;
        then(&Intent {
            helm_release: &self.deploy.helm_release,
            namespace: run.namespace(),
            version,
            list: &list,
            services: &services,
            is_rolling: self.deploy.rolling,
        })
    }

    fn check(&self, run: &Run<'_>, list: &List) -> Result<()> {
        let Some(manifests) = &self.manifests else {
            return Ok(());
        };
        self.with_intent(run, list, |intent| manifests.check(&run.kubectl, intent))
    }

    fn apply(&self, run: &Run<'_>, list: &List) -> Result<()> {
        match (&self.manifests, &self.deploy.run) {
            (Some(manifests), _) => self.with_intent(run, list, |intent| {
                manifests.check(&run.kubectl, intent)?;
                if self.deploy.rolling {
                    return RollingUpdate {
                        run,
                        manifests,
                        intent: *intent,
                    }
                    .run();
                }
                run.confirm_lease()?;
                let what = format!("applies {}", manifests.place.display());
                let activity = run.report.begin("apply", what);
                manifests.apply(&run.kubectl, intent)?;
                run.report.end(&activity, json!({}));
                Ok(())
            }),
            (None, Some(command)) => {
                run.confirm_lease()?;
                self.run_command(run, command)
            }
            (None, None) => run.confirm_lease(),
        }
    }

    /// What it prints is no part of the answer.
    fn run_command(&self, run: &Run<'_>, command: &str) -> Result<()> {
        let activity = run.report.begin("run", format!("runs {command}"));
        let ended = Command::new("sh")
            .args(["-c", command])
            .env("VERSION", self.deploy.version.as_str())
            .env("NAMESPACE", run.namespace())
            .env("HELM_RELEASE", &self.deploy.helm_release)
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .context("sh cannot be run")?;
        if !ended.success() {
            bail!(Stop(format!("`{command}` ended with {ended}")));
        }
        run.report.end(&activity, json!({}));
        Ok(())
    }

    fn await_pods(&self, run: &Run<'_>, list: &List) -> Result<()> {
        let version = &self.deploy.version;
        let what = format!("the pods of {version} are ready in every versioned service");
        let activity = run.report.begin("pods", what);
        let services = Service::of(&run.kubectl, list, version, run.namespace())?;
        let labels = list.labels(version);
        let what = format!("the pods of {version}");
        run.until(&what, || {
            for service in &services {
                for deployment in manifests::deployments(&run.kubectl, &service.namespace)? {
                    let own = Workload::of(&deployment).filter(|workload| {
                        workload.has_pods_with(&labels)
                            && service.selects(*workload, &service.namespace)
                    });
                    if let Some(missing) = own.and_then(Workload::missing) {
                        return Ok(Some(missing));
                    }
                }
                if let Some(missing) = service.missing(&run.kubectl, &labels)? {
                    return Ok(Some(missing));
                }
            }
            Ok(None)
        })?;
        run.report.end(&activity, json!({}));
        Ok(())
    }

    fn probe(&self, run: &Run<'_>) -> Result<()> {
        let version = &self.deploy.version;
        let what = format!("the pods of {version} answer through every gateway");
        let activity = run.report.begin("probe", what);
        let what = format!("an answer of {version} through every gateway");
        run.until(&what, || {
            gateways::unanswered(
                &run.kubectl,
                run.namespace(),
                &self.deploy.helm_release,
                &self.deploy.options.gateways,
                version.as_str(),
            )
        })?;
        run.report.end(&activity, json!({}));
        Ok(())
    }
}

impl Workflow for DeployWorkflow<'_> {
    fn next(
        &mut self,
        observed: &ObservedState<'_>,
        settings: Option<&LoadedConfig>,
        found: &HelmState,
    ) -> Result<Result<NextStep, Refusal>> {
        let spec = self.spec(&found.newest)?;
        let deployment = Deployment {
            spec: &spec,
            goal: self.goal(),
            settings,
        };
        Ok(deployment.next(observed, self.pods, self.has_deleted))
    }

    fn prepare(&mut self, run: &Run<'_>, found: &HelmState) -> Result<()> {
        if !self.has_checked {
            self.check(run, &found.newest)?;
            run.check_module(found)?;
            self.has_checked = true;
        }
        Ok(())
    }

    fn carry_out(&self, run: &mut Run<'_>, next: &NextStep, found: &HelmState) -> Result<()> {
        match next {
            NextStep::Apply => self.apply(run, &found.newest),
            NextStep::AwaitPods => self.await_pods(run, &found.newest),
            NextStep::Probe => self.probe(run),
            _ => Ok(()),
        }
    }

    fn made(&mut self, next: &NextStep) {
        match next {
            NextStep::Apply => {
                self.pods = Pods::Applied;
                self.has_applied = true;
            }
            NextStep::AwaitPods => self.pods = Pods::Ready,
            NextStep::Probe => self.pods = Pods::Answering,
            NextStep::Delete => self.has_deleted = true,
            _ => {}
        }
    }
}
