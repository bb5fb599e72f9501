//! `--dry-run`: the steps that a run would make.

use anyhow::Result;
use skew_guard::rollout::NextStep;

use super::super::list::List;
use super::{HelmState, Run, Upgraded, Workflow};

impl Run<'_> {
    /// The steps that would be made, if every one of them ended well.
    pub fn plan_steps(&mut self, workflow: &mut dyn Workflow) -> Result<Vec<String>> {
        let mut steps = Vec::new();
        let mut found = self.plan_list(&mut steps)?;
        workflow.prepare(self, &found)?;
        let mut is_in_force = false;
        loop {
            let (next, upgraded) = self.choose(workflow, &found, is_in_force)?;
            if let Some(upgraded) = upgraded {
                is_in_force = false;
                found = planned(&found, upgraded, &mut steps);
            }
            match &next {
                NextStep::Done => return Ok(steps),
                NextStep::Wait => {
                    is_in_force = true;
                    let revision = found.newest.revision;
                    steps.push(format!("wait until every gateway has revision {revision}"));
                }
                NextStep::Delete => steps.extend(self.plan_deletion(&found.newest)?),
                NextStep::Apply => steps.push("apply the manifests".to_owned()),
                NextStep::AwaitPods => {
                    steps.push(
                        "wait until the pods are ready in every versioned service".to_owned(),
                    );
                }
                NextStep::Probe => steps.push("ask the pods through every gateway".to_owned()),
                NextStep::Change(_)
                | NextStep::Settings
                | NextStep::Retry
                | NextStep::Restore(_) => {}
            }
            workflow.made(&next);
        }
    }

    /// The Helm release as it is, or with the list that a person wants back.
    fn plan_list(&mut self, steps: &mut Vec<String>) -> Result<HelmState> {
        if let Some(revision) = self.options.list_of
            && let Some((found, upgraded)) = self.list_of(revision)?
        {
            return Ok(planned(&found, upgraded, steps));
        }
        self.look()
    }

    fn plan_deletion(&self, list: &List) -> Result<Vec<String>> {
        let retired = self.retired_deployments(list)?;
        Ok(retired
            .into_iter()
            .map(|(namespace, name)| format!("delete Deployment {name} in namespace {namespace}"))
            .collect())
    }
}

/// The Helm release after an upgrade.
fn planned(found: &HelmState, upgraded: Upgraded, steps: &mut Vec<String>) -> HelmState {
    let revision = found.newest.revision + 1;
    let Upgraded { list, what } = upgraded;
    steps.push(format!("helm upgrade to revision {revision}: {what}"));
    HelmState {
        newest: List { revision, ..list },
        earlier: Vec::new(),
        is_complete: true,
    }
}
