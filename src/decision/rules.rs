//! Which release answers a request, and why: a pure, total function of policy and request.
//!
//! The rules are numbered as the README and `skew-guard explain` number them; the first that applies
//! decides.

use std::cell::OnceCell;
use std::rc::Rc;

use super::{Action, Client, Decision, GoneReply, LocalReply, Outcome, Rule};
use crate::config::UnknownVersion;
use crate::pin::Pin;
use crate::policy::{GoneReason, Policy, Release};
use crate::preview::{self, Preview};
use crate::request::{Class, Request};
use crate::source::{Carrier, Source};
use crate::version::{Reading, Version};

mod facts;
mod forward;

/// What is done with a request; `None` if it is out of scope.
#[must_use]
pub fn decide(policy: &Policy, request: &Request<'_>) -> Option<Decision> {
    policy
        .scope
        .holds(request)
        .then(|| Evaluation::new(policy, request).decide())
}

struct Evaluation<'a> {
    policy: &'a Policy,
    request: &'a Request<'a>,
    class: Class,
    pin: OnceCell<Option<Pin>>,
}

/// What the sources held.
#[derive(Default)]
struct Found {
    /// The version that counts.
    client: Option<Client>,
    /// A version in the URL that does not count but is part of every cache's key.
    ignored: Option<Version>,
    held_something_else: bool,
}

impl<'a> Evaluation<'a> {
    fn new(policy: &'a Policy, request: &'a Request<'a>) -> Self {
        Self {
            policy,
            request,
            class: class_of(policy, request),
            pin: OnceCell::new(),
        }
    }
}

/// The class. Without Fetch Metadata, a path that contains a version tells it; a page, or a path without
/// an extension, may be anything.
fn class_of(policy: &Policy, request: &Request<'_>) -> Class {
    let is_file = || {
        request.reads()
            && !request.accepts_html()
            && request.names_file()
            && policy
                .path_sources()
                .any(|source| source.read(request) != Reading::Absent)
    };
    match request.class() {
        Class::Other if is_file() => Class::Asset,
        class => class,
    }
}

/// The rules.
impl Evaluation<'_> {
    fn decide(self) -> Decision {
        if let Some(client) = self.in_path_of_asset() {
            return self.named_outright(client);
        }
        let mut found = self.search(self.policy.leading_headers.iter(), Found::default(), |_| {
            true
        });
        match found.client.take() {
            Some(client) => self.beside_header().named_outright(client),
            None => self.without_header(found),
        }
    }

    /// The version in an asset's path, which takes precedence: a cache that ignores `Vary` would keep
    /// under this path what another version chose.
    fn in_path_of_asset(&self) -> Option<Client> {
        if self.class != Class::Asset {
            return None;
        }
        self.search(self.policy.path_sources(), Found::default(), |_| true)
            .client
    }

    /// Rule 2: a browser sends no version header with a preflight or a navigation, so this is neither,
    /// and an asset is neither anyway.
    fn named_outright(&self, client: Client) -> Decision {
        if self.is_unpinned_path() {
            return self.assigned(Rule::UnpinnedPath, Outcome::Current, None, None);
        }
        self.by_version(client)
    }

    /// The same for a request that carries a version header: a browser's script made it, whatever Fetch
    /// Metadata is missing.
    fn beside_header(self) -> Self {
        let class = match self.class {
            Class::Other => Class::Api,
            class => class,
        };
        Self { class, ..self }
    }

    fn without_header(self, found: Found) -> Decision {
        if self.request.is_preflight() {
            return self.preflight();
        }
        if self.is_unpinned_path() {
            return self.assigned(Rule::UnpinnedPath, Outcome::Current, None, None);
        }
        let found = self.search(self.policy.further_sources.iter(), found, |source| {
            self.counts(source)
        });
        if let Some(decision) = self.by_preview(found.client.as_ref()) {
            return decision;
        }
        let outcome = self.outcome_at_current(&found);
        match found.client {
            Some(client) if client.carrier == Carrier::Header => {
                self.beside_header().named_outright(client)
            }
            Some(client) if self.class != Class::Navigation || self.stays(&client) => {
                self.by_version(client)
            }
            client => self.assigned(Rule::Current, outcome, client, found.ignored),
        }
    }

    fn outcome_at_current(&self, found: &Found) -> Outcome {
        match found.client {
            Some(_) => Outcome::Current,
            None if found.held_something_else => Outcome::Invalid,
            None if self.class != Class::Navigation && self.request.is_same_origin() => {
                Outcome::Uncovered
            }
            None => Outcome::Unversioned,
        }
    }

    /// Rule 3. A version that is gone is not refused here: the request that follows is told.
    fn preflight(&self) -> Decision {
        let found = self.search(
            self.policy.further_sources.iter(),
            Found::default(),
            Source::is_in_url,
        );
        let outcome = match found.client {
            Some(_) => Outcome::Current,
            None => Outcome::Unversioned,
        };
        let followed = found
            .client
            .as_ref()
            .filter(|client| self.policy.refuses(&client.version).is_none());
        let serving = followed.and_then(|client| {
            self.named(&client.version)
                .map(|release| (Outcome::Pinned, release))
                .or_else(|| {
                    self.accepting(&client.version)
                        .map(|release| (Outcome::Compatible, release))
                })
        });
        match (serving, found.client) {
            (Some((outcome, release)), Some(client)) => {
                self.routed(Rule::Preflight, outcome, release, client)
            }
            _ => self.assigned(Rule::Preflight, outcome, None, None),
        }
    }

    /// Rule 5, except for a request that itself names a staged version: `by_version` opens that.
    fn by_preview(&self, client: Option<&Client>) -> Option<Decision> {
        let access = self.policy.preview.as_ref()?;
        let is_navigation = self.class == Class::Navigation;
        if is_navigation && let Some(link) = preview::Link::read(access, self.request) {
            return Some(self.follow(link));
        }
        // What the request itself says takes precedence over the preview cookie, but the pin cookie does
        // not: otherwise a previewed page would get the scripts of the visitor's pin.
        if !is_navigation && client.is_some_and(|client| client.carrier != Carrier::Cookie) {
            return None;
        }
        let preview = Preview::presented(access, self.request)?;
        let named = client.filter(|_| is_navigation);
        let version = preview
            .version
            .or_else(|| named.map(|client| client.version.clone()))?;
        let release = self.previewable(&version)?;
        let client = Client {
            version,
            carrier: Carrier::Cookie,
        };
        Some(self.previewed(release, client))
    }

    fn follow(&self, link: preview::Link) -> Decision {
        let answer = match link {
            preview::Link::Open(version, _) if self.previewable(&version).is_none() => {
                LocalReply::NoSuchPreview(version)
            }
            preview::Link::Open(_, redirect) | preview::Link::Off(redirect) => {
                LocalReply::Preview(redirect)
            }
        };
        self.decided(Rule::Preview, Outcome::Preview, None, Action::Reply(answer))
    }

    /// The release of this version that a tester may see, staged or not.
    fn previewable(&self, version: &Version) -> Option<&Rc<Release>> {
        self.policy.named(version).filter(|release| {
            self.policy.refuses(version).is_none()
                && (release.is_staged() || release.is_served(|| self.request.now()))
        })
    }

    /// Rules 7 to 10.
    fn by_version(&self, client: Client) -> Decision {
        let version = &client.version;
        if let Some(why) = self.policy.refuses(version) {
            return self.gone(Rule::Refused, why, client);
        }
        let listed = self.policy.named(version);
        if let Some(release) = listed.filter(|release| release.is_served(|| self.request.now())) {
            return self.routed(Rule::Named, Outcome::Pinned, release, client);
        }
        if let Some(release) =
            listed.filter(|release| release.is_staged() && self.has_preview_key())
        {
            return self.previewed(release, client);
        }
        if !matches!(self.class, Class::Asset | Class::Framed)
            && let Some(release) = self.accepting(version)
        {
            return self.routed(Rule::Accepted, Outcome::Compatible, release, client);
        }
        let has_drained = listed.is_some_and(|release| release.is_draining());
        if has_drained || self.policy.is_retired(version) {
            return self.gone(Rule::NotServed, GoneReason::Retired, client);
        }
        self.unknown(client)
    }

    fn unknown(&self, client: Client) -> Decision {
        let is_gone = match self.policy.unknown_version {
            UnknownVersion::Reload => true,
            UnknownVersion::Current => false,
            UnknownVersion::Auto => {
                self.policy.current.is_some()
                    || self
                        .policy
                        .is_older_than_every_live_release(&client.version)
            }
        };
        if is_gone {
            self.gone(Rule::NotServed, GoneReason::Unknown, client)
        } else {
            self.assigned(Rule::NotServed, Outcome::Unknown, Some(client), None)
        }
    }

    /// A page is replaced with the current one; everything else is told to reload.
    fn gone(&self, rule: Rule, why: GoneReason, client: Client) -> Decision {
        if self.class.is_document() {
            return self.assigned(rule, Outcome::Gone, Some(client), None);
        }
        let reply = self.gone_reply(self.request.is_form_post());
        let action = Action::Reply(LocalReply::Gone { why, reply });
        self.decided(rule, Outcome::Gone, Some(client), action)
    }

    fn gone_reply(&self, is_form_post: bool) -> GoneReply {
        match self.class {
            Class::Asset => GoneReply::NotFound {
                origin: self.allowed_origin(),
            },
            _ if is_form_post => GoneReply::Page,
            _ => GoneReply::Reload {
                origin: self.allowed_origin(),
                grpc: self.request.grpc(),
                action_from: self.request.action_page(),
            },
        }
    }
}
