//! A whole deployment, and a whole way back: from whatever state an earlier run was left in, the next
//! safe step.
//!
//! Nothing is remembered between steps except what the cluster itself says, so a run that was killed
//! is continued by asking again.

use super::{Edit, Lifecycle, LoadedConfig, Refusal, ReleaseSpec, Step, assess, lifecycle};
use crate::config::State;
use crate::version::Version;

/// What was seen of a cluster before a step.
#[derive(Clone, Debug)]
pub struct ObservedState<'a> {
    /// The newest list that was rolled out.
    pub newest: &'a LoadedConfig,
    /// The lists before it that a gateway may still have, the oldest first: the last one that every
    /// gateway had for sure, and those that were given out since.
    pub earlier: &'a [LoadedConfig],
    /// Whether the newest list was rolled out completely: the upgrade neither failed nor was
    /// interrupted.
    pub is_complete: bool,
    /// Whether every gateway was seen to have the newest list.
    pub is_in_force: bool,
    /// In seconds since 1970.
    pub now: u64,
}

/// What was seen of the pods of the release that is deployed, each of which includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pods {
    /// Nothing yet.
    Unseen,
    /// Their manifests were applied.
    Applied,
    /// They are ready in every versioned service.
    Ready,
    /// They answer through every gateway.
    Answering,
}

/// How far a release is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Only testers reach it.
    Preview,
    /// It is in `current`, alone or with the share that was asked for.
    Current,
    /// Its pods take the place of the others', without `current`.
    Rolling,
}

/// What has to be done next.
#[derive(Clone, Debug)]
pub enum NextStep {
    /// Give out the newest list again: an upgrade to it did not come to its end.
    Retry,
    /// Give out the list again that was given out whole at last, which is a safe way out of one that was
    /// not: its place among the earlier ones.
    Restore(usize),
    /// Give out the newest list with the settings of the team.
    Settings,
    /// Wait until every gateway has the newest list.
    Wait,
    /// Change the list, and give it out.
    Change(Vec<Edit>),
    /// Delete what belongs to releases that are retired.
    Delete,
    /// Apply the manifests of the release.
    Apply,
    /// Wait until its pods are ready.
    AwaitPods,
    /// Ask its pods through every gateway.
    Probe,
    /// Nothing is left to do.
    Done,
}

/// A deployment of one release.
#[derive(Clone, Debug)]
pub struct Deployment<'a> {
    /// The release. Its step is chosen here.
    pub spec: &'a ReleaseSpec,
    /// How far it is to go.
    pub goal: Goal,
    /// The newest list with the settings of the team, where these are others.
    pub settings: Option<&'a LoadedConfig>,
}

impl Deployment<'_> {
    /// The next step.
    ///
    /// # Errors
    /// If the deployment makes no sense from here, or no step is safe.
    pub fn next(
        &self,
        observed: &ObservedState<'_>,
        pods: Pods,
        has_deleted: bool,
    ) -> Result<NextStep, Refusal> {
        if let Some(settings) = self.settings {
            match observed.check(settings) {
                Ok(()) => return Ok(NextStep::Settings),
                Err(refusal) if observed.is_complete && observed.is_in_force => {
                    return Err(refusal);
                }
                Err(_) => {}
            }
        }
        if let Some(next) = observed.settle()? {
            return Ok(next);
        }
        if let Some(next) = tidy(observed, has_deleted)? {
            return Ok(next);
        }
        let step = match self.goal {
            Goal::Preview => Step::Staged,
            Goal::Rolling if observed.newest.config.current.is_some() => {
                return Err(Refusal::NotApplicable(
                    "there is a current, and with it every release has separate pods; a rolling update is for a list without current".to_owned(),
                ));
            }
            Goal::Current if observed.newest.config.current.is_none() => {
                return Err(Refusal::NotApplicable(
                    "there is no current: visitors go to all pods, and their roll-out is the step. Say --rolling".to_owned(),
                ));
            }
            Goal::Current | Goal::Rolling => Step::Live,
        };
        if let Some(next) = self.listing(observed, step)? {
            return Ok(next);
        }
        match self.goal {
            Goal::Preview if pods < Pods::Ready => Ok(self.deploying(pods)),
            Goal::Preview => Ok(NextStep::Done),
            Goal::Current => self.put_into_current(observed, pods),
            Goal::Rolling if pods < Pods::Answering => Ok(self.deploying(pods)),
            Goal::Rolling => self.retire_predecessors(observed),
        }
    }

    /// The change that lists the release, where it is not.
    fn listing(
        &self,
        observed: &ObservedState<'_>,
        step: Step,
    ) -> Result<Option<NextStep>, Refusal> {
        let state = observed.state_of(&self.spec.version);
        let is_listed = match (step, state) {
            (Step::Staged, state) => state == Some(State::Staged),
            (_, Some(State::Live)) => true,
            // Life says what there is to do instead.
            (_, Some(State::Draining | State::Retired)) => {
                self.edits_for(observed, None)?;
                false
            }
            (_, None | Some(State::Staged)) => false,
        };
        if is_listed {
            return Ok(None);
        }
        let edits = self.edits_for(observed, Some(step))?;
        Ok((!edits.is_empty()).then_some(NextStep::Change(edits)))
    }

    fn put_into_current(
        &self,
        observed: &ObservedState<'_>,
        pods: Pods,
    ) -> Result<NextStep, Refusal> {
        let edits = self.edits_for(observed, Some(Step::Current))?;
        if edits.is_empty() {
            return Ok(NextStep::Done);
        }
        // Nothing has to be applied for a release that already has visitors.
        let has_visitors = observed.is_in_current(&self.spec.version);
        let seen = if has_visitors {
            pods.max(Pods::Applied)
        } else {
            pods
        };
        if seen < Pods::Answering {
            Ok(self.deploying(seen))
        } else {
            Ok(NextStep::Change(edits))
        }
    }

    fn deploying(&self, pods: Pods) -> NextStep {
        match pods {
            Pods::Unseen => NextStep::Apply,
            Pods::Applied => NextStep::AwaitPods,
            Pods::Ready | Pods::Answering => NextStep::Probe,
        }
    }

    /// The pods of all others are gone.
    fn retire_predecessors(&self, observed: &ObservedState<'_>) -> Result<NextStep, Refusal> {
        let releases = observed.newest.config.releases.iter();
        let others: Vec<_> = releases
            .filter(|release| release.version != self.spec.version)
            .filter(|release| matches!(release.state, State::Live | State::Draining))
            .map(|release| lifecycle::retired(&release.version))
            .collect();
        if others.is_empty() {
            return Ok(NextStep::Done);
        }
        let edits = Lifecycle::new(observed.newest, observed.now).checked(others)?;
        Ok(NextStep::Change(edits))
    }

    fn edits_for(
        &self,
        observed: &ObservedState<'_>,
        step: Option<Step>,
    ) -> Result<Vec<Edit>, Refusal> {
        let spec = ReleaseSpec {
            step,
            ..self.spec.clone()
        };
        Lifecycle::new(observed.newest, observed.now).release(&spec)
    }
}

/// Retires what has drained, and has what belonged to it deleted.
///
/// # Errors
/// If no step is safe.
pub fn tidy_up(observed: &ObservedState<'_>, has_deleted: bool) -> Result<NextStep, Refusal> {
    if let Some(next) = observed.settle()? {
        return Ok(next);
    }
    Ok(tidy(observed, has_deleted)?.unwrap_or(NextStep::Done))
}

fn tidy(observed: &ObservedState<'_>, has_deleted: bool) -> Result<Option<NextStep>, Refusal> {
    let lifecycle = Lifecycle::new(observed.newest, observed.now);
    let drained: Vec<_> = lifecycle.retire_drained().collect();
    if !drained.is_empty() {
        return Ok(Some(NextStep::Change(lifecycle.checked(drained)?)));
    }
    Ok((!has_deleted).then_some(NextStep::Delete))
}

/// A way back.
#[derive(Clone, Debug)]
pub struct Rollback<'a> {
    /// The bad release; by default the newest that is public.
    pub bad: Option<&'a Version>,
    /// The release to go back to; by default the newest that is older and has pods.
    pub to: Option<&'a Version>,
}

impl Rollback<'_> {
    /// The next step: as few as are safe, whatever state a deployment was left in.
    ///
    /// # Errors
    /// If there is nothing to go back to, or no step is safe.
    pub fn next(&self, observed: &ObservedState<'_>) -> Result<NextStep, Refusal> {
        let edits = Lifecycle::new(observed.newest, observed.now).rollback(self.bad, self.to)?;
        if edits.is_empty() {
            return Ok(observed.settle()?.unwrap_or(NextStep::Done));
        }
        // It does not wait for gateways to learn what is taken back, where that need not be.
        match observed.check(&observed.newest.after(&edits).map_err(Refusal::Invalid)?) {
            Ok(()) => Ok(NextStep::Change(edits)),
            Err(refusal) => observed.settle()?.ok_or(refusal),
        }
    }
}

impl ObservedState<'_> {
    /// What has to come before a step that relies on every gateway having the newest list.
    fn settle(&self) -> Result<Option<NextStep>, Refusal> {
        match (self.is_complete, self.is_in_force) {
            (true, true) => Ok(None),
            (true, false) => Ok(Some(NextStep::Wait)),
            (false, _) => self.recover().map(Some),
        }
    }

    /// Gateways have all of the newest list, parts of it, or nothing: forward where that is safe from
    /// the earlier ones, else back.
    fn recover(&self) -> Result<NextStep, Refusal> {
        let forward = self.check(self.newest);
        let Err(refusal) = forward else {
            return Ok(NextStep::Retry);
        };
        match self.earlier.iter().enumerate().next_back() {
            Some((place, before)) if self.check(before).is_ok() => Ok(NextStep::Restore(place)),
            _ => Err(refusal),
        }
    }

    /// Whether a list is safe to be given out while gateways may have any of those before it.
    ///
    /// # Errors
    /// What goes wrong.
    pub fn check(&self, after: &LoadedConfig) -> Result<(), Refusal> {
        let known = self.earlier.iter().filter(|_| !self.is_in_force);
        let mut hazards = Vec::new();
        for before in known.chain([self.newest]) {
            for hazard in assess(before, after, self.now).hazards {
                if !hazards.contains(&hazard) {
                    hazards.push(hazard);
                }
            }
        }
        if hazards.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Unsafe(hazards))
        }
    }

    fn state_of(&self, version: &Version) -> Option<State> {
        let mut releases = self.newest.config.releases.iter();
        releases
            .find(|release| release.version == *version)
            .map(|release| release.state)
    }

    fn is_in_current(&self, version: &Version) -> bool {
        let current = self.newest.config.current.as_ref();
        let share = current.and_then(|current| current.share_of(version));
        share.is_some_and(|(share, _)| share > 0)
    }
}
