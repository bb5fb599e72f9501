//! What becomes of a request once a rule has decided: the release, what caches may do, what is done where Envoy cannot
//! reach it, and the visitor's pin.

use std::rc::Rc;

use super::{Evaluation, Found};
use crate::config::Conditional;
use crate::decision::{
    Action, Caching, Client, Decision, Forward, GoneReply, IfGone, LocalReply, Outcome, Rule,
    Visitor,
};
use crate::pin::{Bucket, SameSite};
use crate::policy::Release;
use crate::request::{Class, query};
use crate::source::Carrier;
use crate::version::{Reading, Version};

impl Evaluation<'_> {
    pub(super) fn decided(
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

    pub(super) fn forwarded(
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

    pub(super) fn routed(
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

    pub(super) fn previewed(&self, release: &Rc<Release>, client: Client) -> Decision {
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
    pub(super) fn assigned(
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
        // A call without a version is routed by its URL alone; but if a page made it, that page may have
        // been reloaded since.
        let is_by_url = client.is_none()
            && outcome != Outcome::Uncovered
            && matches!(self.class, Class::Api | Class::Other)
            && rule == Rule::Current
            && !self.has_weights();
        let forward = Forward {
            caching: if is_page_of_another {
                Caching::NoStore
            } else if rule == Rule::Current && self.policy.has_cookie_source() {
                // A visitor with a cookie may get another release under this URL.
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

    /// The conditional headers to remove. If the URL chose the release, what the client has under this
    /// URL is of that release too.
    pub(super) fn conditions(&self, is_by_url: bool) -> Vec<&'static str> {
        if is_by_url || self.policy.conditional == Conditional::Keep {
            Vec::new()
        } else {
            self.request.conditions()
        }
    }

    /// With a pin cookie, a page depends on the cookie, which is not part of a cache's key.
    pub(super) fn limited(&self, caching: Caching) -> Caching {
        if self.class.is_document() && self.policy.pin_cookie.is_some() {
            private_at_least(caching)
        } else {
            caching
        }
    }

    /// What caches may do with an answer of the client's own release.
    pub(super) fn caching_of_routed(&self, client: &Client) -> Caching {
        match client.carrier {
            Carrier::Cookie => Caching::Private,
            Carrier::Url => self.limited(Caching::AsUpstreamSays),
            // A cache that ignores `Vary` would keep it under a URL that names another version.
            Carrier::Header if self.url_names_another(&client.version) => Caching::NoStore,
            Carrier::Header => self.limited(Caching::AsUpstreamSays),
        }
    }

    pub(super) fn url_names_another(&self, version: &Version) -> bool {
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
    pub(super) fn if_preflight_is_gone(&self, release: &Release) -> Option<IfGone> {
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

    /// What is done if the release cannot be reached, but only if a reload helps. Otherwise Envoy's
    /// answer stands, because that is an outage and not skew, and a reload would loop or hide it.
    pub(super) fn if_gone(
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
                // A form cannot carry a version header.
                let is_form_post = carrier != Carrier::Header && self.request.is_form_post();
                Some(IfGone::Reply(self.gone_reply(is_form_post)))
            }
        }
    }

    /// A pinned page leaves its release when the cookie expires, or by a URL without the version. A
    /// version in the path cannot be dropped: nobody knows the same page's path in another release.
    pub(super) fn if_page_is_gone(&self, visitor: Option<&Visitor>) -> Option<IfGone> {
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

    /// A visitor whose page cannot be reached is no longer pinned, bucket included: the next release
    /// drawn may be one that is up.
    pub(super) fn if_current_is_gone(&self, visitor: Option<&Visitor>) -> Option<IfGone> {
        let is_pinned =
            self.class == Class::Navigation && visitor.is_some_and(|visitor| visitor.has_cookie);
        is_pinned.then_some(IfGone::Leave {
            location: None,
            expires_pin: true,
        })
    }

    /// The release in current that this visitor gets; the heaviest one for visitors without a
    /// bucket.
    pub(super) fn current_for(&self, visitor: Option<&Visitor>) -> Option<Rc<Release>> {
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

    pub(super) fn caching_at_current(
        &self,
        rule: Rule,
        client: Option<&Client>,
        release: Option<&Release>,
    ) -> Caching {
        // A navigation is not meant to follow a version; only one in the URL could be part of a cache's
        // key.
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

    /// The visitor behind a request for a page, if there is a pin cookie to maintain: a navigation, a
    /// form that is answered by a page, or a frame that gets its first cookie.
    pub(super) fn visitor(&self) -> Option<Visitor> {
        let cookie = self.policy.pin_cookie.as_ref()?;
        let is_page = match self.class {
            Class::Navigation => true,
            Class::Framed => {
                // Lax cookies are not sent to frames on other sites, and a cookie that arrives is the
                // page's.
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
        // Visitors move only at a navigation.
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

/// A speculative load must not change the visitor's pin: it is declined, so the browser asks again when
/// the click comes.
fn changes_pin_too_early(forward: &Forward) -> bool {
    forward
        .visitor
        .as_ref()
        .zip(forward.release.as_ref())
        .is_some_and(|(visitor, release)| {
            visitor.is_speculative && visitor.changes_to(&release.version)
        })
}
