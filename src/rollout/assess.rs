//! Whether a step is safe: the decision itself is asked, for every page that a gateway may give out
//! during the step, and every tab that may be open, what happens to its requests at a gateway with the
//! other configuration.
//!
//! It takes for granted what the steps of a release's life say: the pods of a release are up from
//! when every gateway lists it until no gateway serves it.

use std::collections::BTreeSet;

use super::LoadedConfig;
use super::hazard::{Cause, Hazard};
use crate::config::{CurrentConfig, ReleaseConfig, State};
use crate::decision::{Action, Forward, LocalReply, Rule};
use crate::source::Source;
use crate::table::Table;
use crate::version::Version;

mod notes;
mod samples;
mod settings;

use samples::{
    differing, example, host_within, listed, one_sided, path_within, request, sent, sources,
};

/// How long a step may take, in seconds, until the last gateway has learned it. What a clock changes
/// within that time is a part of the step.
pub const HORIZON: u64 = 60 * 60;

/// The assessment of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessment {
    /// What goes wrong; empty where the step is safe.
    pub hazards: Vec<Hazard>,
    /// What whoever takes it should know.
    pub notes: Vec<String>,
}

impl Assessment {
    /// Whether nothing goes wrong.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.hazards.is_empty()
    }

    fn report(&mut self, hazard: Hazard) {
        if !self.hazards.iter().any(|known| known.covers(&hazard)) {
            self.hazards.push(hazard);
        }
    }
}

/// What may go wrong between two configurations, from now on.
#[must_use]
pub fn assess(old: &LoadedConfig, new: &LoadedConfig, now: u64) -> Assessment {
    let mut assessor = Assessor {
        old,
        new,
        pods: old
            .config
            .releases
            .iter()
            .filter(|release| release.state != State::Retired)
            .collect(),
        moments: moments(old, new, now),
        assessment: Assessment::default(),
    };
    assessor.check_accepted_clients();
    assessor.check_new_pages();
    assessor.check_open_tabs();
    assessor.check_pinned_navigations();
    assessor.compare_order_of_sources();
    assessor.compare_cookies();
    assessor.compare_routes();
    assessor.add_notes();
    assessor.assessment
}

/// The moments of a step at which something may differ: its start, and each `until` within it.
fn moments(old: &LoadedConfig, new: &LoadedConfig, now: u64) -> BTreeSet<u64> {
    let releases = old.config.releases.iter().chain(&new.config.releases);
    releases
        .filter_map(|release| release.until)
        .filter(|until| (now..=now.saturating_add(HORIZON)).contains(until))
        .chain([now])
        .collect()
}

struct Assessor<'a> {
    old: &'a LoadedConfig,
    new: &'a LoadedConfig,
    /// The releases that have pods during the step.
    pods: Vec<&'a ReleaseConfig>,
    moments: BTreeSet<u64>,
    assessment: Assessment,
}

/// What happens to a page's request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Effect {
    /// A release answers that is the page's, or accepts it.
    Served,
    /// The client is told to reload.
    Gone,
    /// Another release answers; any, where none is named.
    Skewed(Option<Version>),
    /// The same, on a path that is never pinned.
    Unpinned(Option<Version>),
}

/// What a page sends beside navigations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Call,
    Script,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Call, Self::Script];
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: String,
    path: String,
}

impl Assessor<'_> {
    /// Pages that only the new configuration gives out: the old one must keep them.
    fn check_new_pages(&mut self) {
        let before = self.pages(self.old);
        let after: Vec<_> = self.pages(self.new).difference(&before).cloned().collect();
        for version in &after {
            for source in sources(self.new) {
                let Some(cause) = self.hazard_under_old(version, &source) else {
                    continue;
                };
                self.assessment.report(Hazard::TooEarly {
                    version: version.clone(),
                    cause,
                    source,
                });
            }
        }
    }

    fn hazard_under_old(&self, version: &Version, source: &Source) -> Option<Cause> {
        self.places().iter().find_map(|place| {
            Kind::ALL.into_iter().find_map(|kind| {
                self.moments.iter().find_map(|&moment| {
                    let request = request(place, kind, source, version, moment);
                    self.cause(&request, version, kind)
                })
            })
        })
    }

    /// How the old configuration treats a new page's request, if it does so wrongly.
    fn cause(&self, request: &Table, version: &Version, kind: Kind) -> Option<Cause> {
        match self.effect(self.old, request, version, kind) {
            Effect::Served => None,
            // A path in unpinnedPaths is meant to be answered by any release.
            Effect::Unpinned(_) if self.is_unpinned(self.new, request) => None,
            Effect::Unpinned(_) => Some(Cause::Unpinned),
            Effect::Gone | Effect::Skewed(_) => Some(self.cause_in_old(version)),
        }
    }

    fn is_unpinned(&self, loaded: &LoadedConfig, request: &Table) -> bool {
        let decision = request.decided_by(&loaded.policy);
        decision.is_some_and(|decision| decision.rule == Rule::UnpinnedPath)
    }

    fn cause_in_old(&self, version: &Version) -> Cause {
        let old = self.old;
        if old.policy.refuses(version).is_some() {
            return Cause::Refused;
        }
        match listed(old, version) {
            None => Cause::Unlisted,
            Some(release) => match release.state {
                State::Staged => Cause::Staged,
                State::Retired => Cause::Retired,
                State::Live => Cause::Unseen,
                State::Draining => {
                    let drains = |moment: &u64| release.until.is_some_and(|until| until <= *moment);
                    if self.moments.iter().any(drains) {
                        Cause::Retired
                    } else {
                        Cause::Unseen
                    }
                }
            },
        }
    }

    /// Tabs that were opened before: the new configuration must answer them correctly or tell them
    /// to reload, and what was gone must stay gone.
    fn check_open_tabs(&mut self) {
        let versions = self.versions_of_tabs();
        let sources = sources(self.old);
        for (index, place) in self.places().iter().enumerate() {
            // What time changes has nothing to do with the place.
            let moments = if index == 0 { usize::MAX } else { 1 };
            let moments: Vec<_> = self.moments.iter().copied().take(moments).collect();
            for version in &versions {
                for source in &sources {
                    let hazard = self.hazard_under_new(version, source, place, &moments);
                    hazard
                        .into_iter()
                        .for_each(|hazard| self.assessment.report(hazard));
                }
            }
        }
    }

    fn hazard_under_new(
        &self,
        version: &Version,
        source: &Source,
        place: &Place,
        moments: &[u64],
    ) -> Option<Hazard> {
        moments
            .iter()
            .flat_map(|&moment| Kind::ALL.map(|kind| (moment, kind)))
            .find_map(|(moment, kind)| {
                let request = request(place, kind, source, version, moment);
                let before = self.effect(self.old, &request, version, kind);
                match self.effect(self.new, &request, version, kind) {
                    Effect::Skewed(by) if !matches!(before, Effect::Skewed(_)) => {
                        Some(self.why_skewed(version, source, &request, place, by))
                    }
                    Effect::Unpinned(by) if before == Effect::Served => {
                        Some(Hazard::PathUnpinned {
                            path: self.newly_unpinned(&request)?,
                            version: version.clone(),
                            by,
                        })
                    }
                    _ => None,
                }
            })
    }

    fn why_skewed(
        &self,
        version: &Version,
        source: &Source,
        request: &Table,
        place: &Place,
        by: Option<Version>,
    ) -> Hazard {
        let version = version.clone();
        if !self.new.config.enforce && self.old.config.enforce {
            return Hazard::NotEnforced { version };
        }
        if !request.is_guarded_by(&self.new.policy) {
            return Hazard::ScopeNarrowed {
                place: format!("{}{}", place.host, place.path),
                version,
            };
        }
        if !sources(self.new).contains(source) {
            return Hazard::SourceDropped {
                source: source.clone(),
                version,
            };
        }
        match (listed(self.old, &version), listed(self.new, &version)) {
            (Some(release), None) => Hazard::Removed {
                version,
                until: release.until,
                by,
            },
            _ => Hazard::Skewed {
                version,
                source: source.clone(),
                by,
            },
        }
    }

    /// The releases whose pages a gateway with this configuration gives out during the step.
    fn pages(&self, loaded: &LoadedConfig) -> BTreeSet<Version> {
        let shares = match &loaded.config.current {
            None => {
                return self
                    .pods
                    .iter()
                    .map(|release| release.version.clone())
                    .collect();
            }
            Some(CurrentConfig::Weighted(shares)) if loaded.config.enforce => shares.as_slice(),
            Some(_) => &[],
        };
        let heaviest = loaded
            .policy
            .current
            .as_ref()
            .map(|current| &current.heaviest.version);
        shares
            .iter()
            .filter(|share| share.weight > 0)
            .map(|share| &share.version)
            .chain(heaviest)
            .cloned()
            .collect()
    }

    /// Every version that a tab may have and that either configuration mentions. Of those that are
    /// retired in both, which are all alike, only a few.
    fn versions_of_tabs(&self) -> BTreeSet<Version> {
        const ALIKE: usize = 3;
        let mut alike = 0;
        let mut versions: BTreeSet<Version> = BTreeSet::new();
        for loaded in [self.old, self.new] {
            for release in &loaded.config.releases {
                let is_alike = self.old.policy.is_retired(&release.version)
                    && self.new.policy.is_retired(&release.version);
                alike += usize::from(is_alike);
                if !is_alike || alike <= ALIKE {
                    versions.insert(release.version.clone());
                }
                versions.extend(release.accepts.iter().filter_map(example));
            }
            versions.extend(loaded.config.denied.iter().take(ALIKE).cloned());
        }
        versions
    }

    fn effect(
        &self,
        loaded: &LoadedConfig,
        request: &Table,
        version: &Version,
        kind: Kind,
    ) -> Effect {
        let Some(decision) = request.decided_by(&loaded.policy) else {
            return self.effect_of_default_route(loaded, version, kind);
        };
        let is_enforced = loaded.config.enforce;
        let is_unpinned = decision.rule == Rule::UnpinnedPath;
        let effect = match decision.action {
            Action::Reply(LocalReply::Gone { .. }) if is_enforced => Effect::Gone,
            Action::Forward(Forward {
                release: Some(release),
                ..
            }) if is_enforced => {
                let is_accepted = kind == Kind::Call && release.accepts(version);
                if release.version == *version || is_accepted {
                    Effect::Served
                } else {
                    Effect::Skewed(Some(release.version.clone()))
                }
            }
            Action::Reply(_) | Action::Forward(_) => {
                self.effect_of_default_route(loaded, version, kind)
            }
        };
        match effect {
            Effect::Skewed(by) if is_unpinned => Effect::Unpinned(by),
            effect => effect,
        }
    }

    /// The default route leads to the release of `current` that is the heaviest, and without one to
    /// all pods.
    fn effect_of_default_route(
        &self,
        loaded: &LoadedConfig,
        version: &Version,
        kind: Kind,
    ) -> Effect {
        let answers = |release: &ReleaseConfig| {
            release.version == *version
                || (kind == Kind::Call
                    && release
                        .accepts
                        .iter()
                        .any(|pattern| pattern.matches(version)))
        };
        match &loaded.policy.current {
            Some(current) => {
                let heaviest = &current.heaviest.version;
                if listed(loaded, heaviest).is_some_and(answers) {
                    Effect::Served
                } else {
                    Effect::Skewed(Some(heaviest.clone()))
                }
            }
            None if self.pods.iter().all(|release| answers(release)) => Effect::Served,
            None => Effect::Skewed(None),
        }
    }

    /// One place that both configurations guard, if there is one, and one for each part of the scope
    /// in which they differ.
    fn places(&self) -> Vec<Place> {
        let (old, new) = (&self.old.config, &self.new.config);
        let hosts = differing(old.hosts.as_deref(), new.hosts.as_deref(), host_within);
        let mut paths = differing(old.paths.as_deref(), new.paths.as_deref(), path_within);
        paths.extend(one_sided(&old.unpinned_paths, &new.unpinned_paths).map(ToString::to_string));
        hosts
            .iter()
            .flat_map(|host| {
                paths.iter().map(|path| Place {
                    host: host.clone(),
                    path: path.clone(),
                })
            })
            .collect()
    }

    fn compare_routes(&mut self) {
        let (old, new) = (self.old, self.new);
        for release in &new.config.releases {
            if release.state == State::Retired {
                continue;
            }
            for before in &self.pods {
                if before.version == release.version {
                    if before.route != release.route && before.state != State::Staged {
                        self.assessment.report(Hazard::RouteChanged {
                            version: release.version.clone(),
                            from: before.route.clone(),
                            to: release.route.clone(),
                        });
                    }
                } else if before.route == release.route {
                    self.assessment.report(Hazard::RouteReused {
                        route: release.route.clone(),
                        from: before.version.clone(),
                        to: release.version.clone(),
                    });
                }
            }
        }
        if old.config.current.is_some() {
            for version in self.pages(old) {
                if listed(new, &version).is_none() {
                    self.assessment
                        .report(Hazard::RemovedWhileCurrent { version });
                }
            }
        }
        let served: BTreeSet<_> = [old, new]
            .into_iter()
            .flat_map(|loaded| &loaded.config.releases)
            .filter(|release| matches!(release.state, State::Live | State::Draining))
            .map(|release| &release.version)
            .collect();
        if old.config.route_header != new.config.route_header && served.len() > 1 {
            self.assessment.report(Hazard::RouteHeaderChanged {
                from: old.config.route_header.clone(),
                to: new.config.route_header.clone(),
            });
        }
    }
}
