//! The next step of a release's life; in `rollback`, the step back.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{Edit, Hazard, LoadedConfig, assess, written_time};
use crate::config::{CurrentConfig, Problems, ReleaseConfig, State};
use crate::version::Version;

mod rollback;

/// The steps that can be asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// List it as staged: only testers with the preview key reach it.
    Staged,
    /// List it as live: whoever asks for it gets it, nobody else.
    Live,
    /// Put it into current, and set its predecessor to draining.
    Current,
    /// Set it to retired: its tabs are told to reload.
    Retired,
    /// Take it off the list.
    Removed,
}

/// What is to happen to a release.
#[derive(Clone, Debug)]
pub struct ReleaseSpec {
    /// The release.
    pub version: Version,
    /// The step; absent: the next one.
    pub step: Option<Step>,
    /// Until when predecessors drain, in seconds since 1970.
    pub drain_until: u64,
    /// Its share of the visitors in percent; absent: all.
    pub percent: Option<u8>,
    /// Its route, if it has to be listed; absent: its version.
    pub route: Option<String>,
    /// The labels of its pods, for the chart.
    pub labels: Map<String, Value>,
}

/// Why a step is not taken.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It makes no sense from here.
    NotApplicable(String),
    /// The configuration after it would be wrong.
    Invalid(Problems),
    /// It is not safe.
    Unsafe(Vec<Hazard>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotApplicable(why) => f.write_str(why),
            Self::Invalid(problems) => {
                write!(f, "the step would make a wrong configuration:\n{problems}")
            }
            Self::Unsafe(hazards) => {
                f.write_str("the step is not safe while gateways disagree:")?;
                hazards
                    .iter()
                    .try_for_each(|hazard| write!(f, "\n{hazard}"))
            }
        }
    }
}

/// A list of releases at a moment, about to take a step.
#[derive(Clone, Copy, Debug)]
pub struct Lifecycle<'a> {
    loaded: &'a LoadedConfig,
    now: u64,
}

type Edits = Vec<Edit>;

impl<'a> Lifecycle<'a> {
    /// The configuration as it is, now, in seconds since 1970.
    #[must_use]
    pub fn new(loaded: &'a LoadedConfig, now: u64) -> Self {
        Self { loaded, now }
    }

    /// The changes that the named, or the next, step of a release makes; none if nothing is left to
    /// do.
    ///
    /// # Errors
    /// If the step makes no sense from here, or is not safe.
    pub fn release(&self, spec: &ReleaseSpec) -> Result<Edits, Refusal> {
        let step = match spec.step {
            Some(step) => step,
            None => match self.next(spec)? {
                Some(step) => step,
                None => return Ok(Vec::new()),
            },
        };
        let edits = match step {
            Step::Staged => self.stage(spec)?,
            Step::Live => self.list(spec),
            Step::Current => self.put_into_current(spec)?,
            Step::Retired => self.retire(&spec.version)?,
            Step::Removed => self.remove(&spec.version)?,
        };
        self.checked(edits)
    }

    fn next(&self, spec: &ReleaseSpec) -> Result<Option<Step>, Refusal> {
        let version = &spec.version;
        let Some(release) = self.listed(version) else {
            return Ok(Some(Step::Live));
        };
        match release.state {
            State::Staged => Ok(Some(Step::Live)),
            State::Live if self.loaded.config.current.is_some() => Ok(Some(Step::Current)),
            State::Live => Ok(None),
            State::Draining => Err(Refusal::NotApplicable(format!(
                "{version} is draining: a newer release has taken its place. To go back to it: skew-guard rollback"
            ))),
            State::Retired => Err(Refusal::NotApplicable(format!(
                "{version} is retired: its tabs were told to reload. Release it as a new version, or list it again with --step live"
            ))),
        }
    }

    fn stage(&self, spec: &ReleaseSpec) -> Result<Edits, Refusal> {
        match self.listed(&spec.version) {
            None => Ok(vec![Self::listing(spec, Some(State::Staged))]),
            Some(release) if release.state == State::Staged => Ok(Vec::new()),
            Some(release) => Err(Refusal::NotApplicable(format!(
                "{} is {} already; only a release that is not listed can be staged",
                spec.version,
                release.state.name()
            ))),
        }
    }

    fn list(&self, spec: &ReleaseSpec) -> Edits {
        match self.listed(&spec.version) {
            None => {
                let mut edits = vec![Self::listing(spec, None)];
                edits.extend(self.retire_drained());
                edits
            }
            Some(release) if release.state == State::Live => Vec::new(),
            Some(_) => vec![live(&spec.version)],
        }
    }

    fn listing(spec: &ReleaseSpec, state: Option<State>) -> Edit {
        let mut entry = Map::new();
        entry.insert("version".to_owned(), json!(spec.version.as_str()));
        if let Some(route) = &spec.route {
            entry.insert("route".to_owned(), json!(route));
        }
        if let Some(state) = state {
            entry.insert("state".to_owned(), json!(state.name()));
        }
        Edit::List {
            entry,
            labels: spec.labels.clone(),
        }
    }

    /// Releases that have drained already count as retired; this writes it down.
    pub(super) fn retire_drained(&self) -> impl Iterator<Item = Edit> {
        self.releases()
            .iter()
            .filter(|release| {
                release.state == State::Draining
                    && release.until.is_some_and(|until| until <= self.now)
            })
            .map(|release| retired(&release.version))
    }

    fn put_into_current(&self, spec: &ReleaseSpec) -> Result<Edits, Refusal> {
        let version = &spec.version;
        let Some(current) = &self.loaded.config.current else {
            return Err(Refusal::NotApplicable(
                "there is no current to put it into: visitors go to all pods".to_owned(),
            ));
        };
        match self.listed(version) {
            Some(release) if release.state == State::Live => {}
            Some(release) => {
                return Err(Refusal::NotApplicable(format!(
                    "{version} is {}; only a live release goes into current. Make it live first, and wait until every gateway has learned it",
                    release.state.name()
                )));
            }
            None => {
                return Err(Refusal::NotApplicable(format!(
                    "{version} is not listed yet. List it first (without --step), and wait until every gateway has learned it"
                )));
            }
        }
        let shares = current.shares();
        let others: Vec<_> = shares.filter(|(member, _)| *member != version).collect();
        if let Some(percent) = spec.percent.filter(|percent| *percent < 100) {
            return self.set_share(version, u64::from(percent), &others);
        }
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let mut edits = vec![Edit::Current(json!(version.as_str()))];
        edits.extend(others.iter().map(|(member, _)| Edit::State {
            version: (*member).clone(),
            state: State::Draining,
            until: Some(written_time(spec.drain_until)),
        }));
        Ok(edits)
    }

    fn set_share(
        &self,
        version: &Version,
        percent: u64,
        others: &[(&Version, u64)],
    ) -> Result<Edits, Refusal> {
        let total: u64 = others.iter().map(|(_, weight)| weight).sum();
        if total == 0 {
            return Err(Refusal::NotApplicable(format!(
                "{version} is current alone; a share of the visitors needs another release in current"
            )));
        }
        let mut weights = vec![(version, percent * total)];
        weights.extend(
            others
                .iter()
                .map(|(member, weight)| (*member, weight * (100 - percent))),
        );
        let divisor = weights
            .iter()
            .fold(0, |divisor, (_, weight)| {
                greatest_common_divisor(divisor, *weight)
            })
            .max(1);
        // A hundred reads as percent.
        let divisor = if others.len() == 1 { total } else { divisor };
        let current: Value = weights
            .iter()
            .map(|(member, weight)| json!({"version": member.as_str(), "weight": weight / divisor}))
            .collect();
        if self.loaded.json.get("current") == Some(&current) {
            return Ok(Vec::new());
        }
        Ok(vec![Edit::Current(current)])
    }

    fn retire(&self, version: &Version) -> Result<Edits, Refusal> {
        match self.listed(version) {
            None => Err(Refusal::NotApplicable(format!("{version} is not listed"))),
            Some(release) if release.state == State::Retired => Ok(Vec::new()),
            Some(_) if self.is_in_current(version) => Err(Refusal::NotApplicable(format!(
                "{version} is current. To take it back: skew-guard rollback"
            ))),
            Some(_) => Ok(vec![retired(version)]),
        }
    }

    fn remove(&self, version: &Version) -> Result<Edits, Refusal> {
        match self.listed(version) {
            None => Ok(Vec::new()),
            Some(release) if release.state == State::Retired => {
                Ok(vec![Edit::Remove(version.clone())])
            }
            Some(release) => Err(Refusal::NotApplicable(format!(
                "{version} is {}; only a retired release is taken off the list. Retire it first: --step retired",
                release.state.name()
            ))),
        }
    }

    /// The changes, if the configuration after them is right and the step to it is safe. The
    /// revision is raised, if there is one.
    pub(super) fn checked(&self, mut edits: Edits) -> Result<Edits, Refusal> {
        if edits.is_empty() {
            return Ok(edits);
        }
        if let Some(revision) = self.loaded.config.revision {
            edits.push(Edit::Revision(revision.saturating_add(1)));
        }
        let after = self.loaded.after(&edits).map_err(Refusal::Invalid)?;
        let hazards = assess(self.loaded, &after, self.now).hazards;
        if hazards.is_empty() {
            Ok(edits)
        } else {
            Err(Refusal::Unsafe(hazards))
        }
    }

    fn releases(&self) -> &'a [ReleaseConfig] {
        &self.loaded.config.releases
    }

    fn listed(&self, version: &Version) -> Option<&'a ReleaseConfig> {
        self.releases()
            .iter()
            .find(|release| release.version == *version)
    }

    fn is_in_current(&self, version: &Version) -> bool {
        self.loaded
            .config
            .current
            .iter()
            .flat_map(CurrentConfig::shares)
            .any(|(member, _)| member == version)
    }
}

fn live(version: &Version) -> Edit {
    Edit::State {
        version: version.clone(),
        state: State::Live,
        until: None,
    }
}

pub(super) fn retired(version: &Version) -> Edit {
    Edit::State {
        version: version.clone(),
        state: State::Retired,
        until: None,
    }
}

fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 {
        one
    } else {
        greatest_common_divisor(other, one % other)
    }
}
