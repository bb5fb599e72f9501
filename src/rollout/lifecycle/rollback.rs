//! The step back.

use serde_json::json;

use super::{Edits, Lifecycle, Refusal, live, retired};
use crate::config::{CurrentConfig, ReleaseConfig, State};
use crate::rollout::Edit;
use crate::version::Version;

impl<'a> Lifecycle<'a> {
    /// The changes that roll back: the bad release, by default the newest public one, is no longer
    /// given to anybody. None if that has been done.
    ///
    /// # Errors
    /// If there is nothing to go back to.
    pub fn rollback(&self, bad: Option<&Version>, to: Option<&Version>) -> Result<Edits, Refusal> {
        let bad = match bad {
            Some(version) => self.listed(version).ok_or_else(|| {
                Refusal::NotApplicable(format!("{version} is not on the list of releases"))
            })?,
            None => self
                .releases()
                .iter()
                .find(|release| release.state != State::Staged)
                .ok_or_else(|| Refusal::NotApplicable("no release is public".to_owned()))?,
        };
        if bad.state == State::Retired {
            return match to {
                Some(to) if !self.is_at_target(to) => Err(Refusal::NotApplicable(format!(
                    "{} is retired: it has already been rolled back, and not to {to}. To go back further, name the bad release with --bad",
                    bad.version
                ))),
                _ => Ok(Vec::new()),
            };
        }
        if self.loaded.config.current.is_none() {
            return self.checked(self.roll_back_pods(bad, to)?);
        }
        let edits = self.roll_back_current(bad, to)?;
        // A release that some gateway may not keep has to be listed first.
        match self.checked(edits.clone()) {
            Err(Refusal::Unsafe(hazards)) => {
                let first: Edits = edits
                    .into_iter()
                    .filter(|edit| {
                        matches!(
                            edit,
                            Edit::State {
                                state: State::Live,
                                ..
                            }
                        )
                    })
                    .collect();
                if first.is_empty() {
                    return Err(Refusal::Unsafe(hazards));
                }
                self.checked(first)
            }
            checked => checked,
        }
    }

    /// `current` back, and the bad release to retired, at once.
    fn roll_back_current(
        &self,
        bad: &ReleaseConfig,
        to: Option<&Version>,
    ) -> Result<Edits, Refusal> {
        let retired = retired(&bad.version);
        if !self.is_in_current(&bad.version) {
            self.expect_target(to, bad, "is not in current")?;
            return Ok(vec![retired]);
        }
        let left: Vec<_> = self
            .loaded
            .config
            .current
            .iter()
            .flat_map(CurrentConfig::shares)
            .filter(|(version, weight)| **version != bad.version && *weight > 0)
            .collect();
        let current = match (to, left.as_slice()) {
            (None, [(only, _)]) => json!(only.as_str()),
            (None, [_, _, ..]) => left
                .iter()
                .map(|(version, weight)| json!({"version": version.as_str(), "weight": weight}))
                .collect(),
            _ => {
                let target = self.target(bad, to)?;
                let mut edits = vec![Edit::Current(json!(target.version.as_str())), retired];
                if target.state != State::Live {
                    edits.push(live(&target.version));
                }
                return Ok(edits);
            }
        };
        Ok(vec![Edit::Current(current), retired])
    }

    /// Without `current` the pods are rolled back: the old version is listed again before its first
    /// pod, and the bad one retired after its last.
    fn roll_back_pods(&self, bad: &ReleaseConfig, to: Option<&Version>) -> Result<Edits, Refusal> {
        if bad.state == State::Draining {
            self.expect_target(to, bad, "is draining")?;
            return Ok(vec![retired(&bad.version)]);
        }
        let target = self.target(bad, to)?;
        let mut edits = vec![Edit::State {
            version: bad.version.clone(),
            state: State::Draining,
            until: None,
        }];
        if target.state != State::Live {
            edits.push(live(&target.version));
        }
        Ok(edits)
    }

    /// Checks that retiring the bad release, and nothing else, is what was asked for.
    fn expect_target(
        &self,
        to: Option<&Version>,
        bad: &ReleaseConfig,
        is: &str,
    ) -> Result<(), Refusal> {
        match to {
            Some(to) if !self.is_at_target(to) => Err(Refusal::NotApplicable(format!(
                "{bad} {is}: rolling it back means retiring it, and sends nobody to {to}. Leave out --to, or name the release that is bad with --bad",
                bad = bad.version
            ))),
            _ => Ok(()),
        }
    }

    /// Whether visitors, or pods, are already sent to a release.
    fn is_at_target(&self, version: &Version) -> bool {
        match self.loaded.config.current {
            Some(_) => self.is_in_current(version),
            None => self
                .listed(version)
                .is_some_and(|release| release.state == State::Live),
        }
    }

    /// The release to go back to: the newest that is older than the bad one and serves, or, where pods
    /// are rolled back, may serve again.
    fn target(
        &self,
        bad: &ReleaseConfig,
        to: Option<&Version>,
    ) -> Result<&'a ReleaseConfig, Refusal> {
        if let Some(version) = to {
            return self
                .listed(version)
                .filter(|release| release.version != bad.version)
                .ok_or_else(|| {
                    Refusal::NotApplicable(format!("{version} is not another release on the list"))
                });
        }
        let has_pods = |release: &ReleaseConfig| match release.state {
            State::Live => true,
            State::Draining => release.until.is_none_or(|until| self.now < until),
            State::Retired => self.loaded.config.current.is_none(),
            State::Staged => false,
        };
        self.releases()
            .iter()
            .skip_while(|release| release.version != bad.version)
            .skip(1)
            .find(|release| has_pods(release))
            .ok_or_else(|| {
                Refusal::NotApplicable(format!(
                    "no release older than {} has pods to go back to. Deploy one, and name it with --to",
                    bad.version
                ))
            })
    }
}
