//! Which release answers a request, and why: a pure, total function of policy and request.
//!
//! The rules are numbered as the README and `skew-guard explain` number them; the first that applies
//! decides.

use std::rc::Rc;

use super::{
    Caching, Client, Course, Decision, Forward, GoneReply, IfGone, Outcome, OwnAnswer, Rule,
    Visitor,
};
use crate::config::UnknownVersion;
use crate::pin::{Bucket, Pin};
use crate::policy::{Gone, Policy, Release};
use crate::preview::{self, Preview};
use crate::request::{Class, Request};
use crate::scope::is_below;
use crate::source::{Carrier, Source};
use crate::version::{Reading, Version};

/// What is done with a request; `None` where it is none of ours.
#[must_use]
pub fn decide(policy: &Policy, request: &Request<'_>) -> Option<Decision> {
    policy.scope.holds(request).then(|| {
        let class = request.class();
        Judge {
            policy,
            request,
            class,
        }
        .decide()
    })
}

struct Judge<'a> {
    policy: &'a Policy,
    request: &'a Request<'a>,
    class: Class,
}

/// What the sources held.
#[derive(Default)]
struct Found {
    client: Option<Client>,
    held_something_else: bool,
}

impl Found {
    fn outcome_at_current(&self) -> Outcome {
        match self.client {
            Some(_) => Outcome::Current,
            None if self.held_something_else => Outcome::Invalid,
            None => Outcome::Unversioned,
        }
    }
}

/// The rules.
impl Judge<'_> {
    fn decide(self) -> Decision {
        let mut found = self.search(&self.policy.leading_headers, Found::default(), |_| true);
        match found.client.take() {
            Some(client) => self.beside_header().with_header(client),
            None => self.without_header(found),
        }
    }

    /// Rule 2: a browser sends no header of ours with a preflight or a navigation, so that it is neither.
    fn with_header(&self, client: Client) -> Decision {
        if self.is_unpinned_path() {
            return self.assigned(Rule::UnpinnedPath, Outcome::Current, None);
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

    fn without_header(&self, found: Found) -> Decision {
        if self.request.is_preflight() {
            return self.preflight();
        }
        if self.is_unpinned_path() {
            return self.assigned(Rule::UnpinnedPath, Outcome::Current, None);
        }
        let found = self.search(&self.policy.further_sources, found, |source| {
            self.counts(source)
        });
        if let Some(decision) = self.by_preview(found.client.as_ref()) {
            return decision;
        }
        let outcome = found.outcome_at_current();
        match found.client {
            Some(client) if self.class != Class::Navigation || self.is_pinned_navigation() => {
                self.by_version(client)
            }
            client => self.assigned(Rule::Current, outcome, client),
        }
    }

    /// Rule 3. A version that cannot be had is not refused here: the request that follows is told.
    fn preflight(&self) -> Decision {
        let found = self.search(
            &self.policy.further_sources,
            Found::default(),
            Source::is_in_url,
        );
        let outcome = found.outcome_at_current();
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
            _ => self.assigned(Rule::Preflight, outcome, None),
        }
    }

    /// Rule 5, but for a request that names a staged version: rule 8 opens that.
    fn by_preview(&self, client: Option<&Client>) -> Option<Decision> {
        let access = self.policy.preview.as_ref()?;
        let is_navigation = self.class == Class::Navigation;
        if is_navigation && let Some(link) = preview::Link::read(access, self.request) {
            return Some(self.follow(link));
        }
        if !is_navigation && client.is_some() {
            return None;
        }
        let preview = Preview::presented(access, self.request)?;
        let version = preview
            .version
            .or_else(|| client.map(|client| client.version.clone()))?;
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
                OwnAnswer::NoSuchPreview(version)
            }
            preview::Link::Open(_, redirect) | preview::Link::Off(redirect) => {
                OwnAnswer::Preview(redirect)
            }
        };
        self.decided(
            Rule::Preview,
            Outcome::Preview,
            None,
            Course::Answer(answer),
        )
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
        if let Some(release) = self.named(version) {
            return self.routed(Rule::Named, Outcome::Pinned, release, client);
        }
        let listed = self.policy.named(version);
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
            return self.gone(Rule::NotServed, Gone::Retired, client);
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
            self.gone(Rule::NotServed, Gone::Unknown, client)
        } else {
            self.assigned(Rule::NotServed, Outcome::Unknown, Some(client))
        }
    }

    /// A page is replaced by a current one; everything else is told to reload.
    fn gone(&self, rule: Rule, why: Gone, client: Client) -> Decision {
        if self.class.is_document() {
            return self.assigned(rule, Outcome::Gone, Some(client));
        }
        let reply = self.gone_reply(self.request.is_form_post());
        let course = Course::Answer(OwnAnswer::Gone { why, reply });
        self.decided(rule, Outcome::Gone, Some(client), course)
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
            },
        }
    }
}

/// What becomes of the request.
impl Judge<'_> {
    fn decided(
        &self,
        rule: Rule,
        outcome: Outcome,
        client: Option<Client>,
        course: Course,
    ) -> Decision {
        Decision {
            rule,
            outcome,
            class: self.class,
            client,
            course,
        }
    }

    fn forwarded(
        &self,
        rule: Rule,
        outcome: Outcome,
        client: Option<Client>,
        forward: Forward,
    ) -> Decision {
        if changes_pin_too_early(&forward) {
            let declined = Course::Answer(OwnAnswer::Declined);
            return self.decided(rule, Outcome::Declined, client, declined);
        }
        self.decided(rule, outcome, client, Course::Forward(forward))
    }

    fn routed(
        &self,
        rule: Rule,
        outcome: Outcome,
        release: &Rc<Release>,
        client: Client,
    ) -> Decision {
        let visitor = self.visitor();
        let forward = Forward {
            release: Some(Rc::clone(release)),
            caching: match client.carrier {
                Carrier::Cookie => Caching::Private,
                Carrier::Header | Carrier::Url => Caching::AsUpstreamSays,
            },
            unconditional: false,
            has_origin: self.request.origin().is_some(),
            if_gone: match rule {
                // A preflight is never told anything: the request that follows is.
                Rule::Preflight => None,
                _ => self.if_gone(release, visitor.as_ref(), client.carrier),
            },
            visitor,
        };
        self.forwarded(rule, outcome, Some(client), forward)
    }

    fn previewed(&self, release: &Rc<Release>, client: Client) -> Decision {
        let forward = Forward {
            release: Some(Rc::clone(release)),
            caching: Caching::NoStore,
            unconditional: self.class.is_document(),
            has_origin: self.request.origin().is_some(),
            visitor: None,
            if_gone: None,
        };
        self.forwarded(Rule::Preview, Outcome::Preview, Some(client), forward)
    }

    fn assigned(&self, rule: Rule, outcome: Outcome, client: Option<Client>) -> Decision {
        let visitor = self.visitor();
        let release = self.current_for(visitor.as_ref());
        let forward = Forward {
            caching: self.caching_at_current(rule, client.as_ref(), release.as_deref()),
            release,
            unconditional: self.class.is_document(),
            has_origin: self.request.origin().is_some(),
            if_gone: visitor
                .as_ref()
                .filter(|visitor| visitor.has_cookie)
                .map(|_| IfGone::ExpirePin),
            visitor,
        };
        self.forwarded(rule, outcome, client, forward)
    }

    /// What is done if the release cannot be reached. Only where a reload helps: else Envoy's answer
    /// stands, because that is an outage and not skew, and a reload would loop or hide it.
    fn if_gone(
        &self,
        release: &Release,
        visitor: Option<&Visitor>,
        carrier: Carrier,
    ) -> Option<IfGone> {
        if self.class == Class::Navigation {
            return visitor
                .filter(|visitor| visitor.has_cookie)
                .map(|_| IfGone::ExpirePin);
        }
        if self.class == Class::Framed || !self.policy.can_be_left(release) {
            return None;
        }
        // A form cannot carry a header of ours.
        let is_form_post = carrier != Carrier::Header && self.request.is_form_post();
        Some(IfGone::Reply(self.gone_reply(is_form_post)))
    }

    /// The release of current that this visitor gets; the heaviest for who has no bucket.
    fn current_for(&self, visitor: Option<&Visitor>) -> Option<Rc<Release>> {
        let current = self.policy.current.as_ref()?;
        let chosen = current.weights.as_ref().and_then(|weights| {
            let bucket = match visitor {
                Some(visitor) => visitor.bucket,
                None => self.pin().and_then(|pin| pin.bucket),
            };
            let shares = weights
                .iter()
                .map(|(release, weight)| (&release.version, *weight, release));
            bucket?.choose(shares)
        });
        Some(Rc::clone(chosen.unwrap_or(&current.heaviest)))
    }

    fn caching_at_current(
        &self,
        rule: Rule,
        client: Option<&Client>,
        release: Option<&Release>,
    ) -> Caching {
        // A navigation is not meant to follow a version; only a URL that names one could be a cache's key.
        let named = client.filter(|client| rule != Rule::Current || client.carrier == Carrier::Url);
        match (named, release) {
            (Some(_), None) => Caching::NoStoreUnlessItsVersion,
            (Some(client), Some(release))
                if release.version != client.version && !release.accepts(&client.version) =>
            {
                Caching::NoStore
            }
            _ if self.has_weights() => Caching::Private,
            _ => Caching::AsUpstreamSays,
        }
    }

    /// The visitor behind a navigation, where there is a pin cookie to keep.
    fn visitor(&self) -> Option<Visitor> {
        if self.class != Class::Navigation || self.policy.pin_cookie.is_none() {
            return None;
        }
        let pin = self.pin();
        let kept = pin.as_ref().and_then(|pin| pin.bucket);
        let drawn = (kept.is_none() && self.has_weights()).then(|| Bucket(self.request.draw()));
        Some(Visitor {
            bucket: kept.or(drawn),
            is_new: drawn.is_some(),
            has_cookie: pin.is_some(),
            version: pin.and_then(|pin| match pin.version {
                Reading::Usable(version) => Some(version),
                Reading::Absent | Reading::Invalid => None,
            }),
            is_speculative: self.request.is_speculative(),
        })
    }
}

/// A load ahead of a click must not change the visitor's pin: it is sent back, so that the browser asks
/// again when the click comes.
fn changes_pin_too_early(forward: &Forward) -> bool {
    forward
        .visitor
        .as_ref()
        .zip(forward.release.as_ref())
        .is_some_and(|(visitor, release)| {
            visitor.is_speculative && visitor.changes_to(&release.version)
        })
}

/// What the rules ask of policy and request.
impl Judge<'_> {
    fn pin(&self) -> Option<Pin> {
        let cookie = self.policy.pin_cookie.as_ref()?;
        Pin::read(self.request, &cookie.name)
    }

    fn has_weights(&self) -> bool {
        self.policy
            .current
            .as_ref()
            .is_some_and(|current| current.weights.is_some())
    }

    fn named(&self, version: &Version) -> Option<&Rc<Release>> {
        self.policy
            .named(version)
            .filter(|release| release.is_served(|| self.request.now()))
    }

    fn accepting(&self, version: &Version) -> Option<&Rc<Release>> {
        self.policy.accepting(version, || self.request.now())
    }

    fn has_preview_key(&self) -> bool {
        self.policy
            .preview
            .as_ref()
            .is_some_and(|access| Preview::presented(access, self.request).is_some())
    }

    fn is_unpinned_path(&self) -> bool {
        is_below(&self.policy.unpinned_paths, self.request.path())
    }

    fn is_pinned_navigation(&self) -> bool {
        is_below(&self.policy.pinned_navigation, self.request.path())
    }

    fn allowed_origin(&self) -> Option<String> {
        self.policy.allowed_origin(self.request.origin()?)
    }

    fn search(
        &self,
        sources: &[Source],
        mut found: Found,
        counts: impl Fn(&Source) -> bool,
    ) -> Found {
        for source in sources {
            match source.read(self.request) {
                Reading::Usable(version) if counts(source) => {
                    found.client = Some(Client {
                        version,
                        carrier: source.carrier(),
                    });
                    break;
                }
                Reading::Invalid => found.held_something_else = true,
                Reading::Usable(_) | Reading::Absent => {}
            }
        }
        found
    }

    /// Whether a version that stands in this source may pin. A link on another site must not choose a
    /// version for a page; a cookie must not choose one for a service worker, which would never see an
    /// update.
    fn counts(&self, source: &Source) -> bool {
        match source.carrier() {
            Carrier::Url => !(self.class.is_document() && self.request.is_cross_site()),
            Carrier::Cookie => !self.is_made_by_service_worker(),
            Carrier::Header => true,
        }
    }

    fn is_made_by_service_worker(&self) -> bool {
        self.request.is_service_worker_script()
            || self
                .request
                .referring_path()
                .is_some_and(|path| is_below(&self.policy.unpinned_paths, path))
    }
}
