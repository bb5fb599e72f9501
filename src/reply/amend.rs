//! What the filter changes in an answer of an upstream, or of Envoy in its place.

use crate::decision::{Action, Caching, Decision, Forward, GoneReply, IfGone, Outcome, Visitor};
use crate::headers::Headers;
use crate::pin::PinCookie;
use crate::policy::Policy;
use crate::request::{Class, media_type};
use crate::source::Carrier;
use crate::telemetry::AnswerKind;
use crate::version::Version;

use super::gone::{self, NO_STORE, current_version, owned};
use super::response::Response;
use super::{caching, failure, grpc, set_cookie, skew};

/// One change to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A header gets this value and no other.
    Set(&'static str, String),
    /// A header gets one more line.
    Add(&'static str, String),
    /// A header goes.
    Remove(&'static str),
    /// The body becomes this one.
    Body(Vec<u8>),
}

/// All that happens to an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendment {
    /// What is changed.
    pub changes: Vec<Change>,
    /// What the answer is counted as.
    pub counted: Option<AnswerKind>,
    /// The version that the pod named, where it is a skewed one.
    pub skewed_to: Option<Version>,
}

/// What happens to the answer to a request on which this was decided and carried out.
#[must_use]
pub fn amend(policy: &Policy, decision: &Decision, response: &dyn Response) -> Amendment {
    let amender = Amender::new(policy, decision, response);
    match &decision.action {
        Action::Forward(forward) => amender.amend(forward),
        Action::Reply(_) => amender.amendment,
    }
}

/// What is seen on the answer to a request on which this was decided and only counted.
#[must_use]
pub fn observe(policy: &Policy, decision: &Decision, response: &dyn Response) -> Amendment {
    let mut amender = Amender::new(policy, decision, response);
    amender.note_skew(
        skew::expected_unenforced(decision),
        amender.version_of_pod().as_ref(),
    );
    if amender.amendment.counted.is_none() && amender.is_page_for_asset() {
        amender.amendment.counted = Some(AnswerKind::Fallback);
    }
    amender.amendment
}

struct Amender<'a> {
    policy: &'a Policy,
    decision: &'a Decision,
    response: &'a dyn Response,
    amendment: Amendment,
}

impl<'a> Amender<'a> {
    fn new(policy: &'a Policy, decision: &'a Decision, response: &'a dyn Response) -> Self {
        Self {
            policy,
            decision,
            response,
            amendment: Amendment::default(),
        }
    }

    fn amend(mut self, forward: &Forward) -> Amendment {
        if let (Some(if_gone), Some(release)) = (&forward.if_gone, &forward.release)
            && failure::is_of(self.policy, release, self.response)
        {
            self.replace_failure(if_gone);
            return self.amendment;
        }
        let pod = self.version_of_pod();
        self.note_skew(skew::expected(self.decision), pod.as_ref());
        if self.is_page_for_asset() {
            self.replace_page();
            return self.amendment;
        }
        if self.depends_on_headers() {
            self.name_sources_in_vary();
        }
        self.hint(forward);
        let sets_cookie = self.keep_pin(forward, pod.as_ref());
        self.limit_caches(forward.caching, pod.as_ref(), sets_cookie);
        self.amendment
    }

    fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.response.headers().first(name)
    }

    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.amendment.changes.push(Change::Set(name, value.into()));
    }

    fn add(&mut self, name: &'static str, value: impl Into<String>) {
        self.amendment.changes.push(Change::Add(name, value.into()));
    }

    fn remove_if_there(&mut self, name: &'static str) {
        if self.header(name).is_some() {
            self.amendment.changes.push(Change::Remove(name));
        }
    }

    fn set_all(&mut self, headers: Vec<(&'static str, String)>) {
        for (name, value) in headers {
            self.set(name, value);
        }
    }

    /// Replaces the whole body, if there is one: a body cannot be added to an answer without one.
    fn replace_body(&mut self, body: Vec<u8>) {
        let body = if self.response.has_body() {
            body
        } else {
            Vec::new()
        };
        self.set("content-length", body.len().to_string());
        if self.response.has_body() {
            self.amendment.changes.push(Change::Body(body));
        }
    }
}

/// Envoy's own failures.
impl Amender<'_> {
    fn replace_failure(&mut self, if_gone: &IfGone) {
        match if_gone {
            IfGone::Leave {
                location,
                expires_pin,
            } => {
                if let Some(location) = location {
                    self.redirect(location);
                }
                if let Some(cookie) = self.policy.pin_cookie.as_ref().filter(|_| *expires_pin) {
                    self.add("set-cookie", set_cookie::expiring(cookie));
                }
            }
            IfGone::Reply(reply) => {
                self.say_gone(reply);
                self.amendment.counted = Some(AnswerKind::Gone);
            }
        }
    }

    fn redirect(&mut self, location: &str) {
        self.set(":status", "303");
        self.set("location", location);
        self.set_all(vec![owned(NO_STORE)]);
        self.forget_representation();
        self.replace_body(Vec::new());
        self.amendment.counted = Some(AnswerKind::Gone);
    }

    fn say_gone(&mut self, reply: &GoneReply) {
        let message = gone::message(self.policy, self.decision.client.as_ref(), reply);
        self.set_all(message.headers);
        match message.status {
            None => self.set_all(grpc::status()),
            Some(status) => {
                self.set(":status", status.to_string());
                self.replace_body(message.body);
            }
        }
        for (name, value) in gone::cors(self.policy, reply) {
            if name == "vary" {
                self.add_missing("vary", &[value]);
            } else {
                self.set(name, value);
            }
        }
    }
}

/// Pods other than the one asked for.
impl Amender<'_> {
    fn version_of_pod(&self) -> Option<Version> {
        Version::parse(self.header(self.policy.upstream_version.as_ref()?)?)
    }

    fn note_skew(&mut self, expected: Option<&Version>, pod: Option<&Version>) {
        let (Some(expected), Some(pod)) = (expected, pod) else {
            return;
        };
        if skew::is_skewed(self.policy, self.decision, expected, pod) {
            self.amendment.counted = Some(AnswerKind::Skewed);
            self.amendment.skewed_to = Some(pod.clone());
        }
    }
}

/// A page instead of a file.
impl Amender<'_> {
    /// Whether an asset is answered with the application's index.html: a page that caches would keep
    /// as the script.
    fn is_page_for_asset(&self) -> bool {
        self.policy.asset_fallback
            && self.decision.class == Class::Asset
            && self.is_html()
            && matches!(self.header(":status"), Some(b"200" | b"206"))
    }

    fn is_html(&self) -> bool {
        self.header("content-type")
            .is_some_and(|content_type| media_type(content_type).eq_ignore_ascii_case(b"text/html"))
    }

    fn replace_page(&mut self) {
        // A skewed answer that is also a page is counted as skewed, which is the cause.
        self.amendment.counted = self.amendment.counted.or(Some(AnswerKind::Fallback));
        self.set(":status", "404");
        self.set_all(vec![owned(NO_STORE)]);
        self.forget_representation();
        self.replace_body(Vec::new());
    }

    /// Removes what described the former body.
    fn forget_representation(&mut self) {
        for name in [
            "accept-ranges",
            "content-encoding",
            "content-range",
            "content-type",
            "etag",
            "expires",
            "last-modified",
        ] {
            self.remove_if_there(name);
        }
        self.silence_shared_caches();
    }
}

/// What clients and caches are told.
impl Amender<'_> {
    /// Whether another version header would have led to another answer: API calls, and what a header
    /// routed.
    fn depends_on_headers(&self) -> bool {
        let client = self.decision.client.as_ref();
        matches!(self.decision.class, Class::Api | Class::Other)
            || client.is_some_and(|client| client.carrier == Carrier::Header)
    }

    fn name_sources_in_vary(&mut self) {
        if !self.policy.vary.is_empty() {
            self.add_missing("vary", &self.policy.vary);
        }
    }

    /// Adds a line with those of the names that a list header does not have yet; `*` is all of them.
    fn add_missing(&mut self, header: &'static str, names: &[String]) {
        let missing = missing_from(self.response.headers(), header, names);
        if !missing.is_empty() {
            self.add(header, missing.join(", "));
        }
    }

    fn hint(&mut self, forward: &Forward) {
        if !self.policy.hints || self.decision.class == Class::Asset || !self.is_stale(forward) {
            return;
        }
        // If two gateways are chained, the inner one may have found that the release is gone.
        if self.header("x-client-update").is_some() {
            return;
        }
        self.set("x-client-update", "available");
        let mut exposed = vec!["x-client-update".to_owned()];
        if let Some((name, version)) = current_version(self.policy) {
            self.set(name, version);
            exposed.push(name.to_owned());
        }
        if forward.has_origin {
            self.add_missing("access-control-expose-headers", &exposed);
        }
    }

    /// Whether there is a newer release than the client's.
    fn is_stale(&self, forward: &Forward) -> bool {
        match (self.decision.outcome, &forward.release) {
            (Outcome::Pinned, Some(release)) => self.policy.is_superseded(release),
            // Its own release is gone, or it would not have to be accepted by another.
            (Outcome::Compatible, _) => true,
            (Outcome::Unknown, _) => self.policy.current.is_some(),
            _ => false,
        }
    }

    fn limit_caches(&mut self, caching: Caching, pod: Option<&Version>, sets_cookie: bool) {
        let is_clients = pod.is_some() && pod == self.decision.client_version();
        let value = match caching {
            Caching::AsUpstreamSays if !sets_cookie => return,
            Caching::NoStoreUnlessItsVersion if is_clients && !sets_cookie => return,
            Caching::NoStoreUnlessItsVersion if is_clients => self.private(),
            Caching::AsUpstreamSays | Caching::Private => self.private(),
            Caching::NoStore | Caching::NoStoreUnlessItsVersion => caching::NO_STORE.to_owned(),
        };
        self.set("cache-control", value);
        self.silence_shared_caches();
    }

    /// A cache with a header of its own would not look at `cache-control`.
    fn silence_shared_caches(&mut self) {
        for name in caching::OF_SHARED_CACHES {
            self.remove_if_there(name);
        }
    }

    fn private(&self) -> String {
        let lines: Vec<_> = self
            .response
            .headers()
            .every("cache-control")
            .map(String::from_utf8_lossy)
            .collect();
        caching::private(&lines.join(", "), self.decision.class)
    }
}

/// The visitor's pin.
impl Amender<'_> {
    /// Writes the pin cookie if the answering page changes it, or if its age has to start again. Returns
    /// whether it did.
    fn keep_pin(&mut self, forward: &Forward, pod: Option<&Version>) -> bool {
        let (Some(visitor), Some(cookie)) = (&forward.visitor, &self.policy.pin_cookie) else {
            return false;
        };
        let release = forward.release.as_ref().map(|release| &release.version);
        // The page belongs to the pod that answered, whatever labels and routes say.
        let answering = pod
            .filter(|pod| release.is_none() || self.policy.named(pod).is_some())
            .or(release);
        let Some(version) = answering else {
            return false;
        };
        let changes = visitor.changes_to(version);
        if !(changes || self.begins_age_again(forward, cookie, visitor)) || !self.is_page() {
            return false;
        }
        if visitor.is_speculative {
            self.decline();
            return false;
        }
        // If two gateways are chained, the inner one chose the release and says so.
        if !self.sets_cookie(&cookie.name) {
            self.add(
                "set-cookie",
                set_cookie::pinning(cookie, visitor.bucket, version),
            );
        }
        true
    }

    /// The cookie's age counts from the last page, but not on a draining release, or nobody would ever
    /// leave it.
    fn begins_age_again(&self, forward: &Forward, cookie: &PinCookie, visitor: &Visitor) -> bool {
        let is_draining = forward
            .release
            .as_ref()
            .is_some_and(|release| release.is_draining());
        cookie.max_age_seconds.is_some() && !visitor.is_speculative && !is_draining
    }

    fn sets_cookie(&self, name: &str) -> bool {
        self.response.headers().every("set-cookie").any(|line| {
            line.split(|&byte| byte == b'=')
                .next()
                .is_some_and(|found| found.trim_ascii() == name.as_bytes())
        })
    }

    fn is_page(&self) -> bool {
        match self.header(":status") {
            Some([b'2' | b'4', ..]) => self.is_html(),
            Some(b"304") => self.header("content-type").is_none() || self.is_html(),
            _ => false,
        }
    }

    /// Declines a speculative load whose page would change the pin, which the decision could not know
    /// before the mesh had chosen a pod.
    fn decline(&mut self) {
        self.set(":status", "503");
        self.set_all(vec![owned(NO_STORE)]);
        self.forget_representation();
        self.replace_body(Vec::new());
    }
}

/// The names that no line of a list header has.
fn missing_from<'n>(headers: Headers<'_>, header: &str, names: &'n [String]) -> Vec<&'n str> {
    let has = |name: &str| {
        headers
            .every(header)
            .flat_map(|line| line.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .any(|item| item == b"*" || item.eq_ignore_ascii_case(name.as_bytes()))
    };
    names
        .iter()
        .map(String::as_str)
        .filter(|name| !has(name))
        .collect()
}
