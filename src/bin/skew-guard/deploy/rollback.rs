//! `skew-guard rollback --helm-release`: the way back, in the cluster.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;
use skew_guard::config::State;
use skew_guard::rollout::{NextStep, ObservedState, Refusal, Rollback, Side};
use skew_guard::version::Version;

use super::lease::Takeover;
use super::manifests::{Intent, Manifests};
use super::options::Options;
use super::report::Report;
use super::rolling_update::RollingUpdate;
use super::run::{HelmState, Run, Workflow};
use super::service::Service;
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
}

impl RollbackWorkflow<'_> {
    /// Whether the list says that pods are on their way back: the newest public release drains, and an older one is live.
    fn returns_to(found: &HelmState) -> Option<&Version> {
        let config = &found.newest.side.config;
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
}

impl Workflow for RollbackWorkflow<'_> {
    fn next(
        &mut self,
        observed: &ObservedState<'_>,
        settings: Option<&Side>,
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
                    "{target} is listed again. There is no current, so its pods come next: say --apply with its manifests, or roll the Deployments back by hand, and run this again with --pods-are-back"
                ))));
            }
            return Ok(Ok(NextStep::Apply));
        }
        Ok(self.rollback.next(observed))
    }

    fn carry_out(&self, run: &mut Run<'_>, next: &NextStep, found: &HelmState) -> Result<()> {
        let (NextStep::Apply, Some(manifests)) = (next, &self.manifests) else {
            return Ok(());
        };
        let target = Self::returns_to(found).context("a release to go back to")?;
        let services = Service::all(&run.kubectl, &found.newest, run.namespace())?;
        let intent = Intent {
            helm_release: run.helm.name(),
            namespace: run.namespace(),
            version: target,
            list: &found.newest,
            services: &services,
            is_rolling: true,
        };
        manifests.check(&run.kubectl, &intent)?;
        run.confirm_lease()?;
        RollingUpdate {
            kubectl: &run.kubectl,
            manifests,
            intent,
            report: run.report,
            timeout: run.timeout(),
        }
        .run()
    }

    fn made(&mut self, next: &NextStep) {
        self.has_rolled |= matches!(next, NextStep::Apply);
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
        };
        if self.dry_run {
            return Ok(plan(&run.plan_steps(&mut workflow)?));
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
            "the newest release is retired: it was rolled back already, and nothing is left to do (revision {revision}, {gateways}). To go back further, name the bad release with --bad"
        );
    }
    format!(
        "rolled back: revision {revision}, {gateways}. The bad release's pods may go; the next deploy deletes what deploy applied, and so does skew-guard tidy"
    )
}
