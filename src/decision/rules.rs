//! Which release answers a request, and why: a pure, total function of policy and request.
//!
//! The rules are numbered as the README and `skew-guard explain` number them; the first that applies
//! decides.

use std::cell::OnceCell;
use std::rc::Rc;

use super::{
    Action, Caching, Client, Decision, Forward, GoneReply, IfGone, LocalReply, Outcome, Rule,
    Visitor,
};
use crate::config::{Conditional, UnknownVersion};
use crate::pin::{Bucket, Pin, SameSite};
use crate::policy::{GoneReason, Policy, Release};
use crate::preview::{self, Preview};
use crate::request::{Class, Request, query};
use crate::scope::is_below;
use crate::source::{Carrier, Source};
use crate::version::{Reading, Version};

/// What is done with a request; `None` where it is none of ours.
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
    /// What counts.
    client: Option<Client>,
    /// A version in the URL that does not count, and yet is part of every cache's key.
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

/// The class, which a path that holds a version tells where Fetch Metadata is missing. A page and what has
/// no extension may be anything.
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

    /// The version in an asset's path, which goes before all others: a cache that ignores `Vary` would
    /// keep under this path what another version chose.
    fn in_path_of_asset(&self) -> Option<Client> {
        if self.class != Class::Asset {
            return None;
        }
        self.search(self.policy.path_sources(), Found::default(), |_| true)
            .client
    }

    /// Rule 2: a browser sends no header of ours with a preflight or a navigation, so that it is neither,
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

    /// Rule 3. A version that cannot be had is not refused here: the request that follows is told.
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

    /// Rule 5, but for a request that names a staged version: rule 8 opens that.
    fn by_preview(&self, client: Option<&Client>) -> Option<Decision> {
        let access = self.policy.preview.as_ref()?;
        let is_navigation = self.class == Class::Navigation;
        if is_navigation && let Some(link) = preview::Link::read(access, self.request) {
            return Some(self.follow(link));
        }
        // What the request says itself goes before the preview's cookie, but not the pin's: else a page of
        // the preview would have the scripts of the visitor's pin.
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

    /// A page is replaced by a current one; everything else is told to reload.
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

/// What becomes of the request.
impl Evaluation<'_> {
    fn decided(
        &self,
        rule: Rule,
        outcome: Outcome,
        client: Option<Client>,
        action: Action,
    ) -> Decision {
        Decision {
            rule,
            outcome,
            class: self.class,
            client,
            action,
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
            let declined = Action::Reply(LocalReply::Declined);
            return self.decided(rule, Outcome::Declined, client, declined);
        }
        self.decided(rule, outcome, client, Action::Forward(forward))
    }

    fn routed(
        &self,
        rule: Rule,
        outcome: Outcome,
        release: &Rc<Release>,
        client: Client,
    ) -> Decision {
        let visitor = self.visitor();
        let is_by_url = client.carrier == Carrier::Url && !self.class.is_document();
        let forward = Forward {
            release: Some(Rc::clone(release)),
            caching: self.caching_of_routed(&client),
            removed: self.conditions(is_by_url),
            has_origin: self.request.origin().is_some(),
            if_gone: match rule {
                Rule::Preflight => self.if_preflight_is_gone(release),
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
            removed: self.conditions(false),
            has_origin: self.request.origin().is_some(),
            visitor: None,
            if_gone: None,
        };
        self.forwarded(Rule::Preview, Outcome::Preview, Some(client), forward)
    }

    /// To current; `ignored` is a version in the URL that was not followed.
    fn assigned(
        &self,
        rule: Rule,
        outcome: Outcome,
        client: Option<Client>,
        ignored: Option<Version>,
    ) -> Decision {
        let visitor = self.visitor();
        let release = self.current_for(visitor.as_ref());
        let caching = self.caching_at_current(rule, client.as_ref(), release.as_deref());
        let is_page_of_another = ignored.is_some_and(|version| {
            release
                .as_ref()
                .is_none_or(|release| release.version != version)
        });
        // A call that says nothing is routed by its URL alone, but a page may have been loaded anew since.
        let is_by_url = client.is_none()
            && outcome != Outcome::Uncovered
            && matches!(self.class, Class::Api | Class::Other)
            && rule == Rule::Current
            && !self.has_weights();
        let forward = Forward {
            caching: if is_page_of_another {
                Caching::NoStore
            } else if rule == Rule::Current && self.policy.has_cookie_source() {
                // Who brings a cookie may get another release under this URL.
                private_at_least(caching)
            } else {
                self.limited(caching)
            },
            release,
            removed: self.conditions(is_by_url),
            has_origin: self.request.origin().is_some(),
            if_gone: self.if_current_is_gone(visitor.as_ref()),
            visitor,
        };
        self.forwarded(rule, outcome, client, forward)
    }

    /// The conditions that do not go on. Where the URL chose the release, what the client has under this
    /// URL is of that release too.
    fn conditions(&self, is_by_url: bool) -> Vec<&'static str> {
        if is_by_url || self.policy.conditional == Conditional::Keep {
            Vec::new()
        } else {
            self.request.conditions()
        }
    }

    /// With a pin cookie a page is of what the cookie says, which is no part of a cache's key.
    fn limited(&self, caching: Caching) -> Caching {
        if self.class.is_document() && self.policy.pin_cookie.is_some() {
            private_at_least(caching)
        } else {
            caching
        }
    }

    /// What caches may do with an answer of the client's own release.
    fn caching_of_routed(&self, client: &Client) -> Caching {
        match client.carrier {
            Carrier::Cookie => Caching::Private,
            Carrier::Url => self.limited(Caching::AsUpstreamSays),
            // A cache that ignores `Vary` would keep it under a URL that names another version.
            Carrier::Header if self.url_names_another(&client.version) => Caching::NoStore,
            Carrier::Header => self.limited(Caching::AsUpstreamSays),
        }
    }

    fn url_names_another(&self, version: &Version) -> bool {
        let sources = self.policy.further_sources.iter();
        let found = self.search(
            sources.filter(|source| source.is_in_url()),
            Found::default(),
            |_| true,
        );
        found
            .client
            .is_some_and(|client| client.version != *version)
    }

    /// A preflight is never refused, or the browser would not make the request that is told to reload.
    fn if_preflight_is_gone(&self, release: &Release) -> Option<IfGone> {
        let origin = self.allowed_origin()?;
        let (method, headers) = self.request.announced();
        self.policy
            .can_be_left(release)
            .then_some(IfGone::Reply(GoneReply::Preflight {
                origin,
                method,
                headers,
            }))
    }

    /// What is done if the release cannot be reached. Only where a reload helps: else Envoy's answer
    /// stands, because that is an outage and not skew, and a reload would loop or hide it.
    fn if_gone(
        &self,
        release: &Release,
        visitor: Option<&Visitor>,
        carrier: Carrier,
    ) -> Option<IfGone> {
        if !self.policy.can_be_left(release) {
            return self.if_current_is_gone(visitor);
        }
        match self.class {
            Class::Navigation => self.if_page_is_gone(visitor),
            Class::Framed => Some(IfGone::Reply(GoneReply::Frame)),
            _ => {
                // A form cannot carry a header of ours.
                let is_form_post = carrier != Carrier::Header && self.request.is_form_post();
                Some(IfGone::Reply(self.gone_reply(is_form_post)))
            }
        }
    }

    /// A pinned page's release is left by the cookie that goes, or by a URL without the version. One in
    /// the path cannot be left off: nobody knows the path of the same page of another release.
    fn if_page_is_gone(&self, visitor: Option<&Visitor>) -> Option<IfGone> {
        let queries: Vec<_> = self.policy.query_sources().collect();
        let names_version = queries
            .iter()
            .any(|name| query::values(self.request.query(), name).next().is_some());
        let location = (names_version && self.request.reads())
            .then(|| self.request.location_without(&queries));
        let expires_pin = visitor.is_some_and(|visitor| visitor.has_cookie);
        (location.is_some() || expires_pin).then_some(IfGone::Leave {
            location,
            expires_pin,
        })
    }

    /// A visitor whose page cannot be had is pinned no more, bucket included: the next release drawn may
    /// be one that is there.
    fn if_current_is_gone(&self, visitor: Option<&Visitor>) -> Option<IfGone> {
        let is_pinned =
            self.class == Class::Navigation && visitor.is_some_and(|visitor| visitor.has_cookie);
        is_pinned.then_some(IfGone::Leave {
            location: None,
            expires_pin: true,
        })
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

    /// The visitor behind a request for a page, where there is a pin cookie to keep: a navigation, a form
    /// that is answered by a page, and a frame that gets its first cookie.
    fn visitor(&self) -> Option<Visitor> {
        let cookie = self.policy.pin_cookie.as_ref()?;
        let is_page = match self.class {
            Class::Navigation => true,
            Class::Framed => {
                // Lax cookies are not sent to frames on other sites, and one that comes is the page's.
                cookie.same_site == SameSite::None
                    && self.pin().is_none()
                    && !self.request.is_speculative()
            }
            Class::Api | Class::Other => self.request.is_form_post(),
            Class::Asset => false,
        };
        if !is_page {
            return None;
        }
        let pin = self.pin();
        let kept = pin.and_then(|pin| pin.bucket);
        // Nobody moves but at a navigation.
        let draws = kept.is_none() && self.has_weights() && self.class == Class::Navigation;
        let drawn = draws.then(|| Bucket(self.request.draw()));
        Some(Visitor {
            bucket: kept.or(drawn),
            is_new: drawn.is_some(),
            has_cookie: pin.is_some(),
            version: pin.and_then(|pin| match &pin.version {
                Reading::Usable(version) => Some(version.clone()),
                Reading::Absent | Reading::Invalid => None,
            }),
            is_speculative: self.request.is_speculative(),
        })
    }
}

fn private_at_least(caching: Caching) -> Caching {
    match caching {
        Caching::AsUpstreamSays => Caching::Private,
        caching => caching,
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
impl Evaluation<'_> {
    /// The visitor's pin. Where the cookie was once written with another domain or path, the browser has
    /// several of the name, and the one that names a served release counts, else the first.
    fn pin(&self) -> Option<&Pin> {
        self.pin
            .get_or_init(|| {
                let cookie = self.policy.pin_cookie.as_ref()?;
                let mut pins: Vec<_> = Pin::all(self.request, &cookie.name).collect();
                let served = pins.iter().position(|pin| self.is_served(&pin.version));
                (!pins.is_empty()).then(|| pins.swap_remove(served.unwrap_or_default()))
            })
            .as_ref()
    }

    fn is_served(&self, reading: &Reading) -> bool {
        matches!(reading, Reading::Usable(version) if self.named(version).is_some())
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

    /// Whether a navigation stays on the client's version: below `pinnedNavigation`, and where its path is
    /// that of a versioned file, which no other release has.
    fn stays(&self, client: &Client) -> bool {
        let is_versioned_file = || {
            let path = self.search(self.policy.path_sources(), Found::default(), |_| true);
            self.request.names_file() && path.client.as_ref() == Some(client)
        };
        is_below(&self.policy.pinned_navigation, self.request.path()) || is_versioned_file()
    }

    fn allowed_origin(&self) -> Option<String> {
        self.policy.allowed_origin(self.request.origin()?)
    }

    fn search<'s>(
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

    fn read(&self, source: &Source) -> Reading {
        match source {
            Source::Pin(_) => self
                .pin()
                .map_or(Reading::Absent, |pin| pin.version.clone()),
            source => source.read(self.request),
        }
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
