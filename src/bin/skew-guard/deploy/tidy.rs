//! `skew-guard tidy`.

use anyhow::Result;
use serde_json::json;
use skew_guard::rollout::{LoadedConfig, NextStep, ObservedState, Refusal, tidy_up};

use super::lease::Takeover;
use super::options::Options;
use super::report::Report;
use super::run::{HelmState, Run, Workflow};
use super::{answered, plan};
use crate::Output;
use crate::answer::{Answer, Verdict};

/// Retire what has drained, and delete its Deployments
///
/// Retires the releases whose `until` has passed, waits until every gateway has learned it, and then
/// deletes the Deployments of retired releases that `skew-guard deploy` applied, and no others.
/// Every deploy begins with this; if you deploy rarely, run it in a CronJob.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard tidy --helm-release shop --namespace shop
  skew-guard tidy --helm-release shop --namespace shop --dry-run")]
pub struct Tidy {
    /// The chart's Helm release, whose list is tidied up
    #[arg(long, value_name = "NAME")]
    helm_release: String,
    #[command(flatten)]
    options: Options,
    /// Show the steps, and take none
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Default)]
struct TidyWorkflow {
    has_deleted: bool,
}

impl Workflow for TidyWorkflow {
    fn next(
        &mut self,
        observed: &ObservedState<'_>,
        settings: Option<&LoadedConfig>,
        _: &HelmState,
    ) -> Result<Result<NextStep, Refusal>> {
        Ok(match settings {
            Some(settings) => observed.check(settings).map(|()| NextStep::Settings),
            None => tidy_up(observed, self.has_deleted),
        })
    }

    fn carry_out(&self, _: &mut Run<'_>, _: &NextStep, _: &HelmState) -> Result<()> {
        Ok(())
    }

    fn made(&mut self, next: &NextStep) {
        self.has_deleted |= matches!(next, NextStep::Delete);
    }
}

impl Tidy {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<Answer> {
        answered(self.outcome(output))
    }

    fn outcome(&self, output: Output) -> Result<Answer> {
        let report = Report::to(output);
        let mut run = Run::new(&self.options, &self.helm_release, &report)?;
        if self.dry_run {
            let steps = run.plan_steps(&mut TidyWorkflow::default())?;
            return Ok(plan(&steps, None));
        }
        run.take_lease("tidy", Takeover::WhenExpired)?;
        let found = run.all(&mut TidyWorkflow::default())?;
        let text = format!(
            "nothing is left to tidy up (revision {})",
            found.newest.revision
        );
        Ok(Answer {
            verdict: Verdict::Good,
            json: json!({"event": "ended", "text": text, "revision": found.newest.revision}),
            text,
        })
    }
}
