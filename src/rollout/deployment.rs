//! A whole deployment, and a whole way back: from whatever state an earlier run was left in, the next
//! safe step.
//!
//! Nothing is remembered between steps but what the cluster itself says, so that a run that was killed
//! is gone on with by asking again.

use super::{Edit, Life, Refusal, Side, Stage, Wish, assess, life};
use crate::config::State;
use crate::version::Version;

/// What is known of a cluster before a step.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// The newest list that was given out.
    pub newest: &'a Side,
    /// The lists before it that a gateway may still have, the oldest first: the last one that every
    /// gateway had for sure, and those that were given out since.
    pub earlier: &'a [Side],
    /// Whether the newest list was given out whole: the upgrade neither failed nor was broken off.
    pub is_whole: bool,
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

/// How far a release is to be brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Only testers reach it.
    Preview,
    /// It is in `current`, alone or with the share that is wished.
    Current,
    /// Its pods take the place of the others', without `current`.
    Rolling,
}

/// What has to be done next.
#[derive(Clone, Debug)]
pub enum Next {
    /// Give out the newest list again: an upgrade to it did not come to its end.
    Again,
    /// Give out the list again that was given out whole at last, which is a safe way out of one that was
    /// not: its place among the earlier ones.
    Before(usize),
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
    /// The release. Its stage is chosen here.
    pub wish: &'a Wish,
    /// How far it is to be brought.
    pub aim: Aim,
    /// The newest list with the settings that the team wishes, where these are others.
    pub settings: Option<&'a Side>,
}

impl Deployment<'_> {
    /// The next step.
    ///
    /// # Errors
    /// Where the deployment makes no sense from here, or no step is safe.
    pub fn next(
        &self,
        standing: &Standing<'_>,
        pods: Pods,
        has_deleted: bool,
    ) -> Result<Next, Refusal> {
        if let Some(settings) = self.settings {
            match standing.check(settings) {
                Ok(()) => return Ok(Next::Settings),
                Err(refusal) if standing.is_whole && standing.is_in_force => return Err(refusal),
                Err(_) => {}
            }
        }
        if let Some(next) = standing.settle()? {
            return Ok(next);
        }
        if let Some(next) = tidy(standing, has_deleted)? {
            return Ok(next);
        }
        let stage = match self.aim {
            Aim::Preview => Stage::Staged,
            Aim::Rolling if standing.newest.config.current.is_some() => {
                return Err(Refusal::Senseless(
                    "there is a current, and with it every release has pods of its own; a rolling update is for a list without current".to_owned(),
                ));
            }
            Aim::Current if standing.newest.config.current.is_none() => {
                return Err(Refusal::Senseless(
                    "there is no current: visitors go to all pods, and their roll-out is the step. Say --rolling".to_owned(),
                ));
            }
            Aim::Current | Aim::Rolling => Stage::Live,
        };
        if let Some(next) = self.listing(standing, stage)? {
            return Ok(next);
        }
        match self.aim {
            Aim::Preview if pods < Pods::Ready => Ok(self.deploying(pods)),
            Aim::Preview => Ok(Next::Done),
            Aim::Current => self.put_into_current(standing, pods),
            Aim::Rolling if pods < Pods::Answering => Ok(self.deploying(pods)),
            Aim::Rolling => self.retire_predecessors(standing),
        }
    }

    /// The change that lists the release, where it is not.
    fn listing(&self, standing: &Standing<'_>, stage: Stage) -> Result<Option<Next>, Refusal> {
        let state = standing.state_of(&self.wish.version);
        let is_listed = match (stage, state) {
            (Stage::Staged, state) => state == Some(State::Staged),
            (_, Some(State::Live)) => true,
            // Life says what there is to do instead.
            (_, Some(State::Draining | State::Retired)) => {
                self.life(standing, None)?;
                false
            }
            (_, None | Some(State::Staged)) => false,
        };
        if is_listed {
            return Ok(None);
        }
        let edits = self.life(standing, Some(stage))?;
        Ok((!edits.is_empty()).then_some(Next::Change(edits)))
    }

    fn put_into_current(&self, standing: &Standing<'_>, pods: Pods) -> Result<Next, Refusal> {
        let edits = self.life(standing, Some(Stage::Current))?;
        if edits.is_empty() {
            return Ok(Next::Done);
        }
        // Of a release that has visitors already nothing has to be applied.
        let has_visitors = standing.is_in_current(&self.wish.version);
        let seen = if has_visitors {
            pods.max(Pods::Applied)
        } else {
            pods
        };
        if seen < Pods::Answering {
            Ok(self.deploying(seen))
        } else {
            Ok(Next::Change(edits))
        }
    }

    fn deploying(&self, pods: Pods) -> Next {
        match pods {
            Pods::Unseen => Next::Apply,
            Pods::Applied => Next::AwaitPods,
            Pods::Ready | Pods::Answering => Next::Probe,
        }
    }

    /// The pods of all others are gone.
    fn retire_predecessors(&self, standing: &Standing<'_>) -> Result<Next, Refusal> {
        let releases = standing.newest.config.releases.iter();
        let others: Vec<_> = releases
            .filter(|release| release.version != self.wish.version)
            .filter(|release| matches!(release.state, State::Live | State::Draining))
            .map(|release| life::retired(&release.version))
            .collect();
        if others.is_empty() {
            return Ok(Next::Done);
        }
        let edits = Life::new(standing.newest, standing.now).checked(others)?;
        Ok(Next::Change(edits))
    }

    fn life(&self, standing: &Standing<'_>, stage: Option<Stage>) -> Result<Vec<Edit>, Refusal> {
        let wish = Wish {
            stage,
            ..self.wish.clone()
        };
        Life::new(standing.newest, standing.now).release(&wish)
    }
}

/// Retires what has drained, and has what belonged to it deleted.
///
/// # Errors
/// Where no step is safe.
pub fn tidy_up(standing: &Standing<'_>, has_deleted: bool) -> Result<Next, Refusal> {
    if let Some(next) = standing.settle()? {
        return Ok(next);
    }
    Ok(tidy(standing, has_deleted)?.unwrap_or(Next::Done))
}

fn tidy(standing: &Standing<'_>, has_deleted: bool) -> Result<Option<Next>, Refusal> {
    let life = Life::new(standing.newest, standing.now);
    let drained: Vec<_> = life.retire_drained().collect();
    if !drained.is_empty() {
        return Ok(Some(Next::Change(life.checked(drained)?)));
    }
    Ok((!has_deleted).then_some(Next::Delete))
}

/// A way back.
#[derive(Clone, Debug)]
pub struct WayBack<'a> {
    /// The bad release; by default the newest that is public.
    pub bad: Option<&'a Version>,
    /// The release to go back to; by default the newest that is older and has pods.
    pub to: Option<&'a Version>,
}

impl WayBack<'_> {
    /// The next step: as few as are safe, whatever state a deployment was left in.
    ///
    /// # Errors
    /// Where there is nothing to go back to, or no step is safe.
    pub fn next(&self, standing: &Standing<'_>) -> Result<Next, Refusal> {
        let edits = Life::new(standing.newest, standing.now).rollback(self.bad, self.to)?;
        if edits.is_empty() {
            return Ok(standing.settle()?.unwrap_or(Next::Done));
        }
        // It does not wait for gateways to learn what is taken back, where that need not be.
        match standing.check(&standing.newest.after(&edits).map_err(Refusal::Wrong)?) {
            Ok(()) => Ok(Next::Change(edits)),
            Err(refusal) => standing.settle()?.ok_or(refusal),
        }
    }
}

impl Standing<'_> {
    /// What has to come before a step that relies on every gateway having the newest list.
    fn settle(&self) -> Result<Option<Next>, Refusal> {
        match (self.is_whole, self.is_in_force) {
            (true, true) => Ok(None),
            (true, false) => Ok(Some(Next::Wait)),
            (false, _) => self.out_of_half().map(Some),
        }
    }

    /// Gateways have all of the newest list, parts of it, or nothing: forward where that is safe from
    /// the earlier ones, else back.
    fn out_of_half(&self) -> Result<Next, Refusal> {
        let forward = self.check(self.newest);
        let Err(refusal) = forward else {
            return Ok(Next::Again);
        };
        match self.earlier.iter().enumerate().next_back() {
            Some((place, before)) if self.check(before).is_ok() => Ok(Next::Before(place)),
            _ => Err(refusal),
        }
    }

    /// Whether a list is safe to be given out while gateways may have any of those before it.
    ///
    /// # Errors
    /// What goes wrong.
    pub fn check(&self, after: &Side) -> Result<(), Refusal> {
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
