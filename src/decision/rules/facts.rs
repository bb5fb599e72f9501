//! What the rules ask of policy and request: the versions that the sources hold, the visitor's pin, and the releases that
//! are served now.

use std::rc::Rc;

use super::{Evaluation, Found};
use crate::decision::Client;
use crate::pin::Pin;
use crate::policy::Release;
use crate::preview::Preview;
use crate::scope::is_below;
use crate::source::{Carrier, Source};
use crate::version::{Reading, Version};

impl Evaluation<'_> {
    /// The visitor's pin. If the cookie was once set with another domain or path, the browser has
    /// several of that name; the one that names a served release counts, otherwise the first.
    pub(super) fn pin(&self) -> Option<&Pin> {
        self.pin
            .get_or_init(|| {
                let cookie = self.policy.pin_cookie.as_ref()?;
                let mut pins: Vec<_> = Pin::all(self.request, &cookie.name).collect();
                let served = pins.iter().position(|pin| self.is_served(&pin.version));
                (!pins.is_empty()).then(|| pins.swap_remove(served.unwrap_or_default()))
            })
            .as_ref()
    }

    pub(super) fn is_served(&self, reading: &Reading) -> bool {
        matches!(reading, Reading::Usable(version) if self.named(version).is_some())
    }

    pub(super) fn has_weights(&self) -> bool {
        self.policy
            .current
            .as_ref()
            .is_some_and(|current| current.weights.is_some())
    }

    pub(super) fn named(&self, version: &Version) -> Option<&Rc<Release>> {
        self.policy
            .named(version)
            .filter(|release| release.is_served(|| self.request.now()))
    }

    pub(super) fn accepting(&self, version: &Version) -> Option<&Rc<Release>> {
        self.policy.accepting(version, || self.request.now())
    }

    pub(super) fn has_preview_key(&self) -> bool {
        self.policy
            .preview
            .as_ref()
            .is_some_and(|access| Preview::presented(access, self.request).is_some())
    }

    pub(super) fn is_unpinned_path(&self) -> bool {
        is_below(&self.policy.unpinned_paths, self.request.path())
    }

    /// Whether a navigation stays on the client's version: below `pinnedNavigation`, or if its path is
    /// that of a versioned file, which no other release has.
    pub(super) fn stays(&self, client: &Client) -> bool {
        let is_versioned_file = || {
            let path = self.search(self.policy.path_sources(), Found::default(), |_| true);
            self.request.names_file() && path.client.as_ref() == Some(client)
        };
        is_below(&self.policy.pinned_navigation, self.request.path()) || is_versioned_file()
    }

    pub(super) fn allowed_origin(&self) -> Option<String> {
        self.policy.allowed_origin(self.request.origin()?)
    }

    pub(super) fn search<'s>(
        &self,
        sources: impl Iterator<Item = &'s Source>,
        mut found: Found,
        counts: impl Fn(&Source) -> bool,
    ) -> Found {
        for source in sources {
            match self.read(source) {
                Reading::Usable(version) if counts(source) => {
                    found.client = Some(Client {
                        version,
                        carrier: source.carrier(),
                    });
                    break;
                }
                Reading::Usable(version) if source.is_in_url() => found.ignored = Some(version),
                Reading::Invalid => found.held_something_else = true,
                Reading::Usable(_) | Reading::Absent => {}
            }
        }
        found
    }

    pub(super) fn read(&self, source: &Source) -> Reading {
        match source {
            Source::Pin(_) => self
                .pin()
                .map_or(Reading::Absent, |pin| pin.version.clone()),
            source => source.read(self.request),
        }
    }

    /// Whether a version in this source may pin. A link on another site must not choose the version of
    /// a page; a cookie must not choose that of a service worker, which would never see an update.
    pub(super) fn counts(&self, source: &Source) -> bool {
        match source.carrier() {
            Carrier::Url => !(self.class.is_document() && self.request.is_cross_site()),
            Carrier::Cookie => !self.is_made_by_service_worker(),
            Carrier::Header => true,
        }
    }

    pub(super) fn is_made_by_service_worker(&self) -> bool {
        self.request.is_service_worker_script()
            || self
                .request
                .referring_path()
                .is_some_and(|path| is_below(&self.policy.unpinned_paths, path))
    }
}
