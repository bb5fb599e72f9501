//! `skew-guard rollback --helm-release`: the way back, in the cluster.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;
use skew_guard::config::State;
use skew_guard::rollout::{Edit, LoadedConfig, NextStep, ObservedState, Refusal, Rollback};
use skew_guard::version::Version;

use super::lease::Takeover;
use super::list::List;
use super::manifests::{Intent, Manifests};
use super::options::Options;
use super::report::Report;
use super::rolling_update::RollingUpdate;
use super::run::{HelmState, Run, Workflow};
use super::service::{Service, lacks_ready_pod};
use super::{answered, plan};
use crate::Output;
use crate::answer::{Answer, Verdict};

/// A way back in the cluster.
#[derive(Debug)]
pub struct ClusterRollback<'a> {
    pub helm_release: &'a str,
    pub options: &'a Options,
    pub bad: Option<&'a Version>,
    pub to: Option<&'a Version>,
    /// The manifests of the release to go back to, where its pods are rolled back.
    pub apply: Option<&'a PathBuf>,
    pub dry_run: bool,
}

#[derive(Debug)]
struct RollbackWorkflow<'a> {
    rollback: Rollback<'a>,
    manifests: Option<Manifests>,
    /// Without `current`: whether the pods were rolled back.
    has_rolled: bool,
    /// Whose pods have to be there before the next step.
    needed: Option<Version>,
    /// Whether they are.
    has_pods: bool,
}

impl RollbackWorkflow<'_> {
    /// Whether the list says that pods are on their way back: the newest public release drains, and an older one is live.
    fn returns_to(found: &HelmState) -> Option<&Version> {
        let config = &found.newest.loaded.config;
        if config.current.is_some() {
            return None;
        }
        let mut public = config
            .releases
            .iter()
            .filter(|release| matches!(release.state, State::Live | State::Draining));
        let newest = public.next()?;
        let target = public.find(|release| release.state == State::Live)?;
        (newest.state == State::Draining).then_some(&target.version)
    }

    /// The release that new visitors would get by these edits, and do not get yet.
    fn gains_visitors(found: &HelmState, edits: &[Edit]) -> Result<Option<Version>> {
        let list = &found.newest;
        let after = List::new(list.revision, list.edited(edits))?;
        let has_share = |loaded: &LoadedConfig, version: &Version| {
            let current = loaded.config.current.as_ref();
            current.is_some_and(|current| current.share_of(version).is_some())
        };
        let mut releases = after.loaded.config.releases.iter();
        let gaining = releases.find(|release| {
            has_share(&after.loaded, &release.version) && !has_share(&list.loaded, &release.version)
        });
        Ok(gaining.map(|release| release.version.clone()))
    }

    fn await_pods(&self, run: &Run<'_>, list: &List) -> Result<()> {
        let target = self.needed.as_ref().context("a release to go back to")?;
        let what = format!("the pods of {target} are still there");
        let doing = run.report.begin("pods", what);
        let services = Service::of(&run.kubectl, list, target, run.namespace())?;
        run.until(&format!("the pods of {target}"), || {
            let lacking = lacks_ready_pod(&run.kubectl, &services, list, target)?;
            Ok(lacking
                .map(|lacking| format!("{lacking}: deploy it, or name another release with --to")))
        })?;
        run.report.end(&doing, json!({}));
        Ok(())
    }
}

impl Workflow for RollbackWorkflow<'_> {
    fn next(
        &mut self,
        observed: &ObservedState<'_>,
        settings: Option<&LoadedConfig>,
        found: &HelmState,
    ) -> Result<Result<NextStep, Refusal>> {
        if let Some(settings) = settings
            && observed.check(settings).is_ok()
        {
            return Ok(Ok(NextStep::Settings));
        }
        if let Some(target) = Self::returns_to(found)
            && !self.has_rolled
        {
            if !observed.is_in_force {
                return Ok(Ok(NextStep::Wait));
            }
            if self.manifests.is_none() {
                return Ok(Err(Refusal::NotApplicable(format!(
                    "{target} is listed again. There is no current, so its pods come next: give its manifests with --apply, or roll the Deployments back by hand and run this again with --pods-are-back"
                ))));
            }
            return Ok(Ok(NextStep::Apply));
        }
        let next = self.rollback.next(observed);
        if let Ok(NextStep::Change(edits)) = &next
            && !self.has_pods
        {
            self.needed = Self::gains_visitors(found, edits)?;
            if self.needed.is_some() {
                return Ok(Ok(NextStep::AwaitPods));
            }
        }
        Ok(next)
    }

    fn carry_out(&self, run: &mut Run<'_>, next: &NextStep, found: &HelmState) -> Result<()> {
        if matches!(next, NextStep::AwaitPods) {
            return self.await_pods(run, &found.newest);
        }
        let (NextStep::Apply, Some(manifests)) = (next, &self.manifests) else {
            return Ok(());
        };
        let target = Self::returns_to(found).context("a release to go back to")?;
        let services = Service::of(&run.kubectl, &found.newest, target, run.namespace())?;
        let intent = Intent {
            helm_release: run.helm.name(),
            namespace: run.namespace(),
            version: target,
            list: &found.newest,
            services: &services,
            is_rolling: true,
        };
        manifests.check(&run.kubectl, &intent)?;
        RollingUpdate {
            run,
            manifests,
            intent,
        }
        .run()
    }

    fn made(&mut self, next: &NextStep) {
        self.has_rolled |= matches!(next, NextStep::Apply);
        self.has_pods |= matches!(next, NextStep::AwaitPods);
    }
}

impl ClusterRollback<'_> {
    /// Runs the command.
    pub fn run(&self, pods_are_back: bool, output: Output) -> Result<Answer> {
        answered(self.outcome(pods_are_back, output))
    }

    fn outcome(&self, pods_are_back: bool, output: Output) -> Result<Answer> {
        let report = Report::to(output);
        let mut run = Run::new(self.options, self.helm_release, &report)?;
        let manifests = self.apply.map(|place| Manifests::read(&run.kubectl, place));
        let mut workflow = RollbackWorkflow {
            rollback: Rollback {
                bad: self.bad,
                to: self.to,
            },
            manifests: manifests.transpose()?,
            has_rolled: pods_are_back,
            needed: None,
            has_pods: false,
        };
        if self.dry_run {
            return Ok(plan(&run.plan_steps(&mut workflow)?, None));
        }
        run.take_lease("rollback", Takeover::Always)?;
        let found = run.all(&mut workflow)?;
        let text = summary(&run, &found);
        Ok(Answer {
            verdict: Verdict::Good,
            json: json!({"event": "ended", "text": text, "revision": found.newest.revision, "changed": run.upgrades > 0}),
            text,
        })
    }
}

fn summary(run: &Run<'_>, found: &HelmState) -> String {
    let revision = found.newest.revision;
    let gateways = run.gateways().in_words();
    if run.upgrades == 0 {
        return format!(
            "the newest release is retired: it has already been rolled back, and nothing is left to do (revision {revision}, {gateways}). To go back further, name the bad release with --bad"
        );
    }
    format!(
        "rolled back: revision {revision}, {gateways}. The bad release's pods may go; the next deploy deletes what deploy applied, and so does skew-guard tidy"
    )
}
