//! What goes wrong because of a changed setting other than a release's state: who accepts whom, what
//! stays with a page, what is read first, and which cookie remembers it.

use super::{Assessor, Effect, Kind, Place, example, listed, one_sided, request, sent, sources};
use crate::config::{ReleaseConfig, State};
use crate::decision::{Action, Forward};
use crate::pin::PinCookie;
use crate::rollout::LoadedConfig;
use crate::rollout::hazard::Hazard;
use crate::scope::{PathPrefix, is_below};
use crate::source::{Carrier, Source};
use crate::table::Table;
use crate::version::Version;

/// A page load, in the words of Fetch Metadata.
const NAVIGATION: (&str, &str) = ("navigate", "document");

impl Assessor<'_> {
    /// Clients of versions that another release answers.
    pub(super) fn check_accepted_clients(&mut self) {
        let patterns = self.old.config.releases.iter();
        let versions: Vec<_> = patterns
            .flat_map(|release| &release.accepts)
            .filter_map(example)
            .collect();
        let Some(place) = self.places().into_iter().next() else {
            return;
        };
        for version in &versions {
            for source in self.common_sources() {
                self.check_accepted(&place, &source, version);
            }
        }
    }

    fn check_accepted(&mut self, place: &Place, source: &Source, version: &Version) {
        let now = self.now();
        let call = request(place, Kind::Call, source, version, now);
        let Some(before) = release_of(self.old, &call).filter(|before| before != version) else {
            return;
        };
        if self.effect(self.old, &call, version, Kind::Call) != Effect::Served {
            return;
        }
        let is_still_served = self.is_served(self.new, &before);
        match self.effect(self.new, &call, version, Kind::Call) {
            Effect::Served => self.check_moved(version, before, release_of(self.new, &call)),
            // A state, denied or minVersion says when it ends.
            _ if !is_still_served || self.is_ended(version) => {}
            Effect::Unpinned(_) => {}
            Effect::Gone => self.report_dropped(version, before, None),
            Effect::Skewed(by) => self.report_dropped(version, before, Some(by)),
        }
    }

    fn check_moved(&mut self, version: &Version, from: Version, to: Option<Version>) {
        let Some(to) = to.filter(|to| *to != from) else {
            return;
        };
        let has_pods = self.pods.iter().any(|release| release.version == to);
        if !has_pods {
            self.assessment.report(Hazard::AcceptedTooEarly {
                version: version.clone(),
                from,
                to,
            });
            return;
        }
        let note = format!(
            "API calls of {version} go from {from} to {to}, which both accept it; while gateways disagree they go to both"
        );
        if !self.assessment.notes.contains(&note) {
            self.assessment.notes.push(note);
        }
    }

    fn report_dropped(&mut self, version: &Version, by: Version, left_to: Option<Option<Version>>) {
        self.assessment.report(Hazard::AcceptsDropped {
            version: version.clone(),
            by,
            left_to,
        });
    }

    /// Whether the new configuration says that a version is gone.
    fn is_ended(&self, version: &Version) -> bool {
        listed(self.new, version).is_some() || self.new.policy.refuses(version).is_some()
    }

    /// The path of `unpinnedPaths` because of which a request is no longer pinned.
    pub(super) fn newly_unpinned(&self, request: &Table) -> Option<PathPrefix> {
        let (old, new) = (&self.old.config, &self.new.config);
        new.unpinned_paths
            .iter()
            .filter(|prefix| !old.unpinned_paths.contains(prefix))
            .find(|prefix| is_below(std::slice::from_ref(*prefix), request.path()))
            .cloned()
    }

    /// Page loads that stayed with their release.
    pub(super) fn check_pinned_navigations(&mut self) {
        let (old, new) = (&self.old.config, &self.new.config);
        let paths: Vec<_> = one_sided(&old.pinned_navigation, &new.pinned_navigation)
            .cloned()
            .collect();
        let hosts: Vec<_> = self.places().into_iter().map(|place| place.host).collect();
        let Some(host) = hosts.into_iter().next() else {
            return;
        };
        for path in paths {
            let place = Place {
                host: host.clone(),
                path: path.to_string(),
            };
            for source in self.common_sources() {
                // A navigation has none of the application's headers.
                if source.carrier() != Carrier::Header && !matches!(source, Source::Path(_)) {
                    self.check_navigation(&place, &path, &source);
                }
            }
        }
    }

    fn check_navigation(&mut self, place: &Place, path: &PathPrefix, source: &Source) {
        for version in self.served_in_both() {
            let load = sent(place, NAVIGATION, &[(source, &version)], self.now());
            let before = release_of(self.old, &load);
            let after = release_of(self.new, &load);
            if before.as_ref() == Some(&version) && after.as_ref() != Some(&version) {
                self.assessment.report(Hazard::NavigationUnpinned {
                    path: path.clone(),
                    version,
                    by: after,
                });
            }
        }
    }

    /// Requests that say two versions: which of them counts.
    pub(super) fn compare_order_of_sources(&mut self) {
        let served = self.served_in_both();
        let (Some(one), Some(other)) = (served.first(), served.get(1)) else {
            return;
        };
        let Some(place) = self.places().into_iter().next() else {
            return;
        };
        for first in self.common_sources() {
            for second in sources(self.new) {
                if first == second || !can_stand_together(&first, &second) {
                    continue;
                }
                if self.is_overtaken(&place, (&first, one), (&second, other)) {
                    self.assessment.report(Hazard::SourcesReordered {
                        before: first.clone(),
                        after: second,
                    });
                }
            }
        }
    }

    /// Whether a request that says these two versions goes by the first one under the old
    /// configuration, and by the second under the new.
    fn is_overtaken(
        &self,
        place: &Place,
        first: (&Source, &Version),
        second: (&Source, &Version),
    ) -> bool {
        [("cors", "empty"), ("no-cors", "script")]
            .into_iter()
            .any(|kind| {
                let request = sent(place, kind, &[first, second], self.now());
                release_of(self.old, &request).as_ref() == Some(first.1)
                    && release_of(self.new, &request).as_ref() == Some(second.1)
            })
    }

    /// A browser keeps one cookie for each name, domain and path, and sends all that fit, the older
    /// first ([RFC 6265, 5.4](https://www.rfc-editor.org/rfc/rfc6265#section-5.4)).
    pub(super) fn compare_cookies(&mut self) {
        let (old, new) = (&self.old.config.pin_cookie, &self.new.config.pin_cookie);
        let (Some(old), Some(new)) = (old, new) else {
            return;
        };
        if old.name == new.name && place_of(old) != place_of(new) {
            self.assessment.report(Hazard::PinCookieMoved {
                name: new.name.clone(),
            });
        }
    }

    fn common_sources(&self) -> Vec<Source> {
        let kept = sources(self.new);
        let mut common = sources(self.old);
        common.retain(|source| kept.contains(source));
        common
    }

    /// The versions that both configurations serve now.
    fn served_in_both(&self) -> Vec<Version> {
        let releases = self.old.config.releases.iter();
        releases
            .map(|release| &release.version)
            .filter(|version| {
                self.is_served(self.old, version) && self.is_served(self.new, version)
            })
            .cloned()
            .collect()
    }

    fn is_served(&self, loaded: &LoadedConfig, version: &Version) -> bool {
        let is_up = |release: &ReleaseConfig| match release.state {
            State::Live => true,
            State::Draining => release.until.is_none_or(|until| self.now() < until),
            State::Staged | State::Retired => false,
        };
        listed(loaded, version).is_some_and(is_up) && loaded.policy.refuses(version).is_none()
    }

    fn now(&self) -> u64 {
        self.moments.first().copied().unwrap_or_default()
    }
}

/// The version of the release that a gateway sends a request to.
fn release_of(loaded: &LoadedConfig, request: &Table) -> Option<Version> {
    if !loaded.config.enforce {
        return None;
    }
    match request.decided_by(&loaded.policy)?.action {
        Action::Forward(Forward { release, .. }) => Some(release?.version.clone()),
        Action::Reply(_) => None,
    }
}

/// Whether a request can carry both: it has one path.
fn can_stand_together(one: &Source, other: &Source) -> bool {
    !matches!((one, other), (Source::Path(_), Source::Path(_)))
}

fn place_of(cookie: &PinCookie) -> (Option<String>, &str) {
    let domain = cookie.domain.as_ref().map(|name| name.to_ascii_lowercase());
    (domain, &cookie.path)
}
