//! Which release answers a request, and why: a pure, total function of policy and request.
//!
//! The rules are numbered as the README and `skew-guard explain` number them; the first that applies
//! decides.

use std::fmt;
use std::rc::Rc;

use crate::config::UnknownVersion;
use crate::pin::{Bucket, Pin};
use crate::policy::{Gone, Policy, Release};
use crate::preview::{self, Preview};
use crate::request::{Class, Grpc, Request};
use crate::scope::is_below;
use crate::source::{Carrier, Reading, Source};
use crate::version::Version;

/// What is done with one request within the scope.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The rule that decided.
    pub rule: Rule,
    /// What is counted.
    pub outcome: Outcome,
    /// What kind of request it is.
    pub class: Class,
    /// The release that shall answer; absent: the mesh chooses, and no route header is written.
    pub release: Option<Rc<Release>>,
    /// The version that the client said it has.
    pub client: Option<Client>,
    /// The filter's own answer; absent: the request goes on.
    pub answer: Option<OwnAnswer>,
    /// What shared and private caches may do with the answer.
    pub caching: Caching,
    /// Whether `if-none-match` and `if-modified-since` are removed: releases often share an ETag, and
    /// a 304 would keep the old page.
    pub unconditional: bool,
    /// The visitor's pin as a navigation found it, where there is a pin cookie to keep.
    pub visitor: Option<Visitor>,
    /// What is done where Envoy cannot reach the release; absent: Envoy's answer stands.
    pub if_gone: Option<IfGone>,
}

/// What is done where Envoy finds no pod, or no cluster, of the release that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfGone {
    /// The reload answer.
    Reload {
        /// The origin whose scripts may read it, where another than the page's own asked.
        origin: Option<String>,
        /// The dialect of gRPC to say it in.
        grpc: Option<Grpc>,
    },
    /// The page for a person who sent a form.
    ReloadPage,
    /// 404 without store.
    NoAsset,
    /// Envoy's answer stands, and the visitor is pinned no more.
    ExpirePin,
}

/// A version that a client said, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The version.
    pub version: Version,
    /// Where it stood.
    pub carrier: Carrier,
}

/// The rules, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A CORS preflight is never refused.
    Preflight = 3,
    /// The path is never pinned.
    UnpinnedPath = 4,
    /// The preview key was presented.
    Preview = 5,
    /// A navigation is assigned to current; anything else that carries no version is, too.
    Current = 6,
    /// The version is denied, or below the oldest that is served.
    Refused = 7,
    /// A release is named by the version.
    Named = 8,
    /// A release accepts the version.
    Accepted = 9,
    /// No release serves the version.
    NotServed = 10,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::Preflight => {
                "a CORS preflight follows the URL's version, else current, and is never refused"
            }
            Self::UnpinnedPath => "the path is one of unpinnedPaths",
            Self::Preview => "the preview key opens releases that are not public",
            Self::Current => "a navigation, or a request without a usable version, goes to current",
            Self::Refused => "the version is denied or below minVersion",
            Self::Named => "a release has this version",
            Self::Accepted => "a release accepts this version",
            Self::NotServed => "no release serves this version",
        };
        write!(f, "rule {}: {sentence}", *self as u8)
    }
}

/// What a decision is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Routed to the release of its client version.
    Pinned,
    /// Routed to a release that accepts its client version.
    Compatible,
    /// Assigned to current, though it carries a version.
    Current,
    /// Assigned to current, or left to the mesh, because it carries no version.
    Unversioned,
    /// As unversioned, but a source held something that is not a version.
    Invalid,
    /// Assigned to current, or left to the mesh, because no release knows its version.
    Unknown,
    /// No release can answer it.
    Gone,
    /// Routed by a preview key.
    Preview,
    /// A speculative load that would have changed the pin cookie, sent back to be made in earnest.
    Declined,
    /// Passed through, because no good configuration is known.
    Unconfigured,
}

impl Outcome {
    /// All outcomes, in the order of [`Outcome::index`].
    pub const ALL: [Self; 10] = [
        Self::Pinned,
        Self::Compatible,
        Self::Current,
        Self::Unversioned,
        Self::Invalid,
        Self::Unknown,
        Self::Gone,
        Self::Preview,
        Self::Declined,
        Self::Unconfigured,
    ];

    /// The outcome as a metric's tag has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Compatible => "compatible",
            Self::Current => "current",
            Self::Unversioned => "unversioned",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
            Self::Gone => "gone",
            Self::Preview => "preview",
            Self::Declined => "declined",
            Self::Unconfigured => "unconfigured",
        }
    }

    /// The place of the outcome in [`Outcome::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// An answer that the filter gives itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnAnswer {
    /// "Reload", in a way that a script understands.
    Reload(Gone),
    /// "Reload", in a way that a person understands: to a form post.
    ReloadPage(Gone),
    /// 404 without store: the file of a release that is gone.
    NoAsset(Gone),
    /// A speculative load is declined.
    Declined,
    /// The preview cookie is set or cleared, and the browser sent to the URL without the key.
    Preview(preview::Redirect),
    /// The preview link names a version that no release has.
    NoSuchPreview(Version),
}

/// What caches may do with an answer, where the upstream's word does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// The upstream knows.
    AsUpstreamSays,
    /// Something decided that is no part of a cache's key: for this visitor alone.
    Private,
    /// The answer may not be what the URL names: for nobody.
    NoStore,
    /// As [`Caching::NoStore`], unless the pod says that it has the version of the request.
    NoStoreUnlessItsVersion,
}

/// A visitor's pin as a navigation found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// The bucket that the cookie has, or that was drawn now.
    pub bucket: Option<Bucket>,
    /// Whether the bucket was drawn now.
    pub is_new: bool,
    /// The version that the cookie has.
    pub version: Option<Version>,
    /// Whether the visitor has a pin cookie.
    pub has_cookie: bool,
    /// Whether the browser only loads ahead.
    pub is_speculative: bool,
}

impl Visitor {
    /// Whether the cookie has to be written when a release of this version answers.
    #[must_use]
    pub fn changes_to(&self, version: &Version) -> bool {
        self.is_new || self.version.as_ref() != Some(version)
    }
}

/// What is done with a request; `None` where it is none of ours.
#[must_use]
pub fn decide(policy: &Policy, request: &Request<'_>) -> Option<Decision> {
    policy
        .scope
        .holds(request)
        .then(|| Judge { policy, request }.decide())
}

struct Judge<'a> {
    policy: &'a Policy,
    request: &'a Request<'a>,
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

impl Judge<'_> {
    fn decide(&self) -> Decision {
        let mut found = self.search(&self.policy.leading_headers, Found::default(), |_| true);
        match found.client.take() {
            Some(client) => self.with_header(client),
            None => self.without_header(found),
        }
    }

    /// Rule 2: a browser sends no header of ours with a preflight or a navigation, so nothing more has
    /// to be read to know that it is neither.
    fn with_header(&self, client: Client) -> Decision {
        if self.is_unpinned_path() {
            return self.assigned(Rule::UnpinnedPath, Outcome::Current, Class::Api, None);
        }
        self.by_version(client, None)
    }

    fn without_header(&self, found: Found) -> Decision {
        if self.request.is_preflight() {
            return self.preflight();
        }
        let class = self.request.class();
        if self.is_unpinned_path() {
            return self.assigned(Rule::UnpinnedPath, Outcome::Current, class, None);
        }
        let found = self.search(&self.policy.further_sources, found, |source| {
            self.counts(source, class)
        });
        if let Some(decision) = self.by_preview(class, found.client.as_ref()) {
            return decision;
        }
        let outcome = found.outcome_at_current();
        match found.client {
            Some(client) if class != Class::Navigation || self.is_pinned_navigation() => {
                self.by_version(client, Some(class))
            }
            client => self.assigned(Rule::Current, outcome, class, client),
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
        match serving {
            Some((outcome, release)) => {
                self.routed(Rule::Preflight, outcome, Class::Api, release, found.client)
            }
            None => self.assigned(Rule::Preflight, outcome, Class::Api, None),
        }
    }

    /// Rule 5, but for a request that names a staged version: rule 8 opens that.
    fn by_preview(&self, class: Class, client: Option<&Client>) -> Option<Decision> {
        let config = self.policy.preview.as_ref()?;
        if class == Class::Navigation
            && let Some(link) = preview::Link::read(config, self.request)
        {
            return Some(self.follow(link));
        }
        if class != Class::Navigation && client.is_some() {
            return None;
        }
        let preview = Preview::presented(config, self.request)?;
        let version = preview
            .version
            .or_else(|| client.map(|client| client.version.clone()))?;
        let release = self.previewable(&version)?;
        let client = Client {
            version,
            carrier: Carrier::Cookie,
        };
        Some(self.previewed(class, release, client))
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
        self.answered(
            Rule::Preview,
            Outcome::Preview,
            Class::Navigation,
            None,
            answer,
        )
    }

    /// The release of this version that a tester may see, staged or not.
    fn previewable(&self, version: &Version) -> Option<&Rc<Release>> {
        self.policy.named(version).filter(|release| {
            self.policy.refuses(version).is_none()
                && (release.is_staged() || release.is_served(|| self.request.now()))
        })
    }

    /// Rules 7 to 10. The class is read only where it matters.
    fn by_version(&self, client: Client, class: Option<Class>) -> Decision {
        let version = &client.version;
        if let Some(why) = self.policy.refuses(version) {
            return self.gone(Rule::Refused, why, client, class);
        }
        if let Some(release) = self.named(version) {
            return self.routed(
                Rule::Named,
                Outcome::Pinned,
                class.unwrap_or(Class::Api),
                release,
                Some(client),
            );
        }
        let listed = self.policy.named(version);
        if let Some(release) =
            listed.filter(|release| release.is_staged() && self.has_preview_key())
        {
            return self.previewed(class.unwrap_or(Class::Api), release, client);
        }
        let class = class.unwrap_or_else(|| self.class_beside_header());
        if !matches!(class, Class::Asset | Class::Framed)
            && let Some(release) = self.accepting(version)
        {
            return self.routed(
                Rule::Accepted,
                Outcome::Compatible,
                class,
                release,
                Some(client),
            );
        }
        let has_drained = listed.is_some_and(|release| release.is_draining());
        if has_drained || self.policy.is_retired(version) {
            return self.gone(Rule::NotServed, Gone::Retired, client, Some(class));
        }
        self.unknown(client, class)
    }

    fn unknown(&self, client: Client, class: Class) -> Decision {
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
            self.gone(Rule::NotServed, Gone::Unknown, client, Some(class))
        } else {
            self.assigned(Rule::NotServed, Outcome::Unknown, class, Some(client))
        }
    }

    /// A page is replaced by a current one; everything else is told to reload.
    fn gone(&self, rule: Rule, why: Gone, client: Client, class: Option<Class>) -> Decision {
        let class = class.unwrap_or_else(|| self.class_beside_header());
        if class.is_document() {
            return self.assigned(rule, Outcome::Gone, class, Some(client));
        }
        let answer = match class {
            Class::Asset => OwnAnswer::NoAsset(why),
            _ if self.request.is_form_post() => OwnAnswer::ReloadPage(why),
            _ => OwnAnswer::Reload(why),
        };
        self.answered(rule, Outcome::Gone, class, Some(client), answer)
    }

    fn routed(
        &self,
        rule: Rule,
        outcome: Outcome,
        class: Class,
        release: &Rc<Release>,
        client: Option<Client>,
    ) -> Decision {
        let carrier = client.as_ref().map(|client| client.carrier);
        let visitor = self.visitor(class);
        let decision = Decision {
            rule,
            outcome,
            class,
            release: Some(Rc::clone(release)),
            client,
            answer: None,
            caching: match carrier {
                Some(Carrier::Cookie) => Caching::Private,
                _ => Caching::AsUpstreamSays,
            },
            unconditional: false,
            if_gone: match rule {
                // A preflight is never told anything: the request that follows is.
                Rule::Preflight => None,
                _ => self.if_gone(class, release, visitor.as_ref(), carrier),
            },
            visitor,
        };
        decision.or_declined()
    }

    fn previewed(&self, class: Class, release: &Rc<Release>, client: Client) -> Decision {
        Decision {
            rule: Rule::Preview,
            outcome: Outcome::Preview,
            class,
            release: Some(Rc::clone(release)),
            client: Some(client),
            answer: None,
            caching: Caching::NoStore,
            unconditional: class.is_document(),
            visitor: None,
            if_gone: None,
        }
    }

    fn assigned(
        &self,
        rule: Rule,
        outcome: Outcome,
        class: Class,
        client: Option<Client>,
    ) -> Decision {
        let visitor = self.visitor(class);
        let release = self.current_for(visitor.as_ref());
        let decision = Decision {
            rule,
            outcome,
            class,
            caching: self.caching_at_current(rule, client.as_ref(), release.as_deref()),
            release,
            client,
            answer: None,
            unconditional: class.is_document(),
            if_gone: visitor
                .as_ref()
                .filter(|visitor| visitor.has_cookie)
                .map(|_| IfGone::ExpirePin),
            visitor,
        };
        decision.or_declined()
    }

    fn answered(
        &self,
        rule: Rule,
        outcome: Outcome,
        class: Class,
        client: Option<Client>,
        answer: OwnAnswer,
    ) -> Decision {
        Decision {
            rule,
            outcome,
            class,
            release: None,
            client,
            answer: Some(answer),
            caching: Caching::NoStore,
            unconditional: false,
            visitor: None,
            if_gone: None,
        }
    }

    /// What is done if the release cannot be reached. Only where a reload helps: else Envoy's answer
    /// stands, because that is an outage and not skew, and a reload would loop or hide it.
    fn if_gone(
        &self,
        class: Class,
        release: &Release,
        visitor: Option<&Visitor>,
        carrier: Option<Carrier>,
    ) -> Option<IfGone> {
        match class {
            Class::Navigation => visitor
                .filter(|visitor| visitor.has_cookie)
                .map(|_| IfGone::ExpirePin),
            _ if !self.policy.can_be_left(release) => None,
            Class::Framed => None,
            Class::Asset => Some(IfGone::NoAsset),
            // A form cannot carry a header of ours.
            _ if carrier != Some(Carrier::Header) && self.request.is_form_post() => {
                Some(IfGone::ReloadPage)
            }
            _ => Some(IfGone::Reload {
                origin: self.policy.allowed_origin(self.request),
                grpc: self.request.grpc(),
            }),
        }
    }

    /// The release of current that this visitor gets; the heaviest for who has no bucket.
    fn current_for(&self, visitor: Option<&Visitor>) -> Option<Rc<Release>> {
        let current = self.policy.current.as_ref()?;
        let chosen = current.weights.as_ref().and_then(|weights| {
            let bucket = match visitor {
                Some(visitor) => visitor.bucket,
                None => self.pin().and_then(|pin| pin.bucket),
            };
            bucket?.choose(weights)
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
    fn visitor(&self, class: Class) -> Option<Visitor> {
        if class != Class::Navigation || self.policy.pin_cookie.is_none() {
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
        self.policy
            .releases
            .iter()
            .find(|release| release.accepts(version) && release.is_served(|| self.request.now()))
    }

    fn has_preview_key(&self) -> bool {
        self.policy
            .preview
            .as_ref()
            .is_some_and(|config| Preview::presented(config, self.request).is_some())
    }

    fn is_unpinned_path(&self) -> bool {
        let unpinned = &self.policy.unpinned_paths;
        !unpinned.is_empty() && is_below(unpinned, self.request.path())
    }

    fn is_pinned_navigation(&self) -> bool {
        let pinned = &self.policy.pinned_navigation;
        !pinned.is_empty() && is_below(pinned, self.request.path())
    }

    /// The class of a request that carries a version header: a browser's script made it, whatever Fetch
    /// Metadata is missing.
    fn class_beside_header(&self) -> Class {
        match self.request.class() {
            Class::Other => Class::Api,
            class => class,
        }
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
    fn counts(&self, source: &Source, class: Class) -> bool {
        match source.carrier() {
            Carrier::Url => !(class.is_document() && self.request.is_cross_site()),
            Carrier::Cookie => !self.is_made_by_service_worker(),
            Carrier::Header => true,
        }
    }

    fn is_made_by_service_worker(&self) -> bool {
        self.request.is_service_worker_script()
            || (!self.policy.unpinned_paths.is_empty()
                && self
                    .request
                    .referring_path()
                    .is_some_and(|path| is_below(&self.policy.unpinned_paths, &path)))
    }
}

impl Decision {
    /// A load ahead of a click must not change the visitor's pin: it is sent back, so that the browser
    /// asks again when the click comes.
    fn or_declined(self) -> Self {
        let changes_pin = self
            .visitor
            .as_ref()
            .zip(self.release.as_ref())
            .is_some_and(|(visitor, release)| {
                visitor.is_speculative && visitor.changes_to(&release.version)
            });
        if !changes_pin {
            return self;
        }
        Self {
            outcome: Outcome::Declined,
            answer: Some(OwnAnswer::Declined),
            ..self
        }
    }
}
