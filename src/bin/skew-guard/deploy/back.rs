//! `skew-guard rollback --helm-release`: the way back, in the cluster.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;
use skew_guard::config::State;
use skew_guard::rollout::{Next, Refusal, Side, Standing, WayBack};
use skew_guard::version::Version;

use super::lease::Manners;
use super::manifests::{Intent, Manifests};
use super::options::Options;
use super::report::Report;
use super::rolling::Rolling;
use super::run::{Chooser, Found, Run};
use super::service::Service;
use super::{answered, plan};
use crate::Output;
use crate::answer::{Answer, Verdict};

/// A way back in the cluster.
#[derive(Debug)]
pub struct Back<'a> {
    pub helm_release: &'a str,
    pub options: &'a Options,
    pub bad: Option<&'a Version>,
    pub to: Option<&'a Version>,
    /// The manifests of the release to go back to, where its pods are rolled back.
    pub apply: Option<&'a PathBuf>,
    pub dry_run: bool,
}

#[derive(Debug)]
struct Choice<'a> {
    way: WayBack<'a>,
    manifests: Option<Manifests>,
    /// Without `current`: whether the pods were rolled back.
    has_rolled: bool,
}

impl Choice<'_> {
    /// Whether the list says that pods are on their way back: the newest public release drains, and an older one is live.
    fn returns_to(found: &Found) -> Option<&Version> {
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

impl Chooser for Choice<'_> {
    fn next(
        &mut self,
        standing: &Standing<'_>,
        settings: Option<&Side>,
        found: &Found,
    ) -> Result<Result<Next, Refusal>> {
        if let Some(settings) = settings
            && standing.check(settings).is_ok()
        {
            return Ok(Ok(Next::Settings));
        }
        if let Some(target) = Self::returns_to(found)
            && !self.has_rolled
        {
            if !standing.is_in_force {
                return Ok(Ok(Next::Wait));
            }
            if self.manifests.is_none() {
                return Ok(Err(Refusal::Senseless(format!(
                    "{target} is listed again. There is no current, so its pods come next: say --apply with its manifests, or roll the Deployments back by hand, and run this again with --pods-are-back"
                ))));
            }
            return Ok(Ok(Next::Apply));
        }
        Ok(self.way.next(standing))
    }

    fn carry_out(&self, run: &mut Run<'_>, next: &Next, found: &Found) -> Result<()> {
        let (Next::Apply, Some(manifests)) = (next, &self.manifests) else {
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
        Rolling {
            kubectl: &run.kubectl,
            manifests,
            intent,
            report: run.report,
            patience: run.patience(),
        }
        .run()
    }

    fn made(&mut self, next: &Next) {
        self.has_rolled |= matches!(next, Next::Apply);
    }
}

impl Back<'_> {
    /// Runs the command.
    pub fn run(&self, pods_are_back: bool, output: Output) -> Result<Answer> {
        answered(self.outcome(pods_are_back, output))
    }

    fn outcome(&self, pods_are_back: bool, output: Output) -> Result<Answer> {
        let report = Report::to(output);
        let mut run = Run::new(self.options, self.helm_release, &report)?;
        let manifests = self.apply.map(|place| Manifests::read(&run.kubectl, place));
        let mut choice = Choice {
            way: WayBack {
                bad: self.bad,
                to: self.to,
            },
            manifests: manifests.transpose()?,
            has_rolled: pods_are_back,
        };
        if self.dry_run {
            return Ok(plan(&run.rehearse(&mut choice)?));
        }
        run.take_lease("rollback", Manners::Urgent)?;
        let found = run.all(&mut choice)?;
        let text = summary(&run, &found);
        Ok(Answer {
            verdict: Verdict::Good,
            json: json!({"event": "ended", "text": text, "revision": found.newest.revision, "changed": run.upgrades > 0}),
            text,
        })
    }
}

fn summary(run: &Run<'_>, found: &Found) -> String {
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
