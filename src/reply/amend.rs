//! What the filter changes in an answer that an upstream, or Envoy in its place, gives.

use crate::decision::{Caching, Decision, IfGone, Outcome};
use crate::pin;
use crate::policy::{Policy, Release};
use crate::request::{Class, Grpc, media_type};
use crate::telemetry::Sight;
use crate::version::{Version, is_version_byte};

use super::{
    Headers, NO_STORE, RELOAD_PAGE, caching, cors_for, current_version, grpc, own, page_headers,
    reload_body, reload_headers, update_required,
};

/// What may be asked of an answer. Each costs a call to the host.
pub trait Outgoing {
    /// The first copy of a header, by its lower-case name; `:status` too.
    fn first(&self, name: &str) -> Option<Vec<u8>>;
    /// Every copy of a header, in order.
    fn every(&self, name: &str) -> Vec<Vec<u8>>;
    /// An attribute of the stream
    /// ([Envoy attributes](https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes)).
    fn attribute(&self, path: &[&str]) -> Option<Vec<u8>>;
    /// Whether the answer has a body.
    fn has_body(&self) -> bool;
}

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
    /// What is changed, unless the filter only observes.
    pub changes: Vec<Change>,
    /// What is counted.
    pub sight: Option<Sight>,
    /// The version that the pod named, where it is a skewed one.
    pub skewed_to: Option<Version>,
}

/// What happens to the answer to a request on which this was decided.
#[must_use]
pub fn amend(policy: &Policy, decision: &Decision, answer: &dyn Outgoing) -> Amendment {
    Amender {
        policy,
        decision,
        answer,
        amendment: Amendment::default(),
    }
    .amend()
}

struct Amender<'a> {
    policy: &'a Policy,
    decision: &'a Decision,
    answer: &'a dyn Outgoing,
    amendment: Amendment,
}

impl Amender<'_> {
    fn amend(mut self) -> Amendment {
        if let Some(gone) = &self.decision.if_gone
            && self.has_failed()
        {
            self.replace_failure(gone);
            return self.amendment;
        }
        let pod = self.version_of_pod();
        self.note_skew(pod.as_ref());
        if self.is_page_for_asset() {
            self.replace_page();
            return self.amendment;
        }
        if matches!(self.decision.class, Class::Api | Class::Other) {
            self.name_sources_in_vary();
        }
        self.hint();
        let sets_cookie = self.keep_pin(pod.as_ref());
        self.limit_caches(pod.as_ref(), sets_cookie);
        self.amendment
    }

    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.amendment.changes.push(Change::Set(name, value.into()));
    }

    fn add(&mut self, name: &'static str, value: impl Into<String>) {
        self.amendment.changes.push(Change::Add(name, value.into()));
    }

    fn remove(&mut self, name: &'static str) {
        self.amendment.changes.push(Change::Remove(name));
    }

    fn set_all(&mut self, headers: Headers) {
        for (name, value) in headers {
            self.set(name, value);
        }
    }

    /// The whole body, where there is one: one cannot be added to an answer that has none.
    fn replace_body(&mut self, body: &[u8]) {
        let body = if self.answer.has_body() { body } else { &[] };
        self.set("content-length", body.len().to_string());
        if self.answer.has_body() {
            self.amendment.changes.push(Change::Body(body.to_owned()));
        }
    }
}

/// Envoy's own failures.
impl Amender<'_> {
    /// Whether Envoy found no pod of the release that was asked, or no cluster of it: by the response
    /// flags, since a status may be anything, and 200 in gRPC.
    fn has_failed(&self) -> bool {
        const NO_HEALTHY_UPSTREAM: u64 = 0x2;
        const NO_CLUSTER_FOUND: u64 = 0x0100_0000;
        let Some(release) = self.decision.release.as_deref() else {
            return false;
        };
        let Some(flags) = self
            .flags()
            .filter(|flags| flags & (NO_HEALTHY_UPSTREAM | NO_CLUSTER_FOUND) != 0)
        else {
            return false;
        };
        if self.attribute_is(&["response", "code_details"], |details| {
            details == b"via_upstream"
        }) {
            return false;
        }
        if flags & NO_HEALTHY_UPSTREAM != 0 {
            self.attribute_is(&["xds", "cluster_name"], |cluster| {
                self.is_cluster_of(release, cluster)
            })
        } else {
            self.attribute_is(&["xds", "route_name"], |route| {
                route == CATCH_ALL_ROUTE || holds_word(route, release.route.as_bytes())
            })
        }
    }

    fn flags(&self) -> Option<u64> {
        let bytes = self.answer.attribute(&["response", "flags"])?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    fn attribute_is(&self, path: &[&str], test: impl FnOnce(&[u8]) -> bool) -> bool {
        self.answer
            .attribute(path)
            .is_some_and(|value| test(&value))
    }

    fn is_cluster_of(&self, release: &Release, cluster: &[u8]) -> bool {
        holds_word(cluster, release.route.as_bytes())
            || self
                .policy
                .reload
                .clusters
                .iter()
                .any(|named| named.as_bytes() == cluster)
    }

    fn replace_failure(&mut self, gone: &IfGone) {
        match gone {
            IfGone::ExpirePin => {
                if let Some(cookie) = &self.policy.pin_cookie {
                    self.add("set-cookie", pin::expire_cookie(cookie));
                }
                return;
            }
            IfGone::NoAsset => {
                self.set(":status", "404");
                self.set_all(vec![own(NO_STORE)]);
                self.replace_body(b"");
            }
            IfGone::ReloadPage => {
                self.set(":status", self.policy.reload.status.to_string());
                self.set_all(page_headers(self.policy));
                self.replace_body(RELOAD_PAGE.as_bytes());
            }
            IfGone::Reload { origin, grpc } => {
                self.reload(*grpc);
                if let Some(cors) = &self.policy.cors {
                    let headers = cors_for(cors, origin.clone());
                    for (name, value) in headers {
                        if name == "vary" {
                            self.add_missing("vary", &[value]);
                        } else {
                            self.set(name, value);
                        }
                    }
                }
            }
        }
        self.amendment.sight = Some(Sight::Gone);
    }

    fn reload(&mut self, grpc: Option<Grpc>) {
        let Some(dialect) = grpc else {
            self.set(":status", self.policy.reload.status.to_string());
            self.set_all(reload_headers(self.policy));
            let body = reload_body(self.policy, self.decision.client.as_ref());
            return self.replace_body(body.as_bytes());
        };
        self.set_all(grpc::status());
        self.set_all(vec![own(NO_STORE)]);
        self.set_all(update_required(self.policy));
        if let Some((content_type, body)) = grpc::web(dialect) {
            self.set(":status", "200");
            self.set("content-type", content_type);
            self.replace_body(body);
        }
    }
}

/// The name that chart and examples give the route that catches a release which is not there.
const CATCH_ALL_ROUTE: &[u8] = b"skew-guard-absent";

/// Whether a name holds a route as a whole word: `outbound|80|v1-4|api` and `shop-v1-4` hold `v1-4`.
/// `v1-4-2` does not, since what follows could go on a route, and a shorter one is not meant by it.
fn holds_word(name: &[u8], word: &[u8]) -> bool {
    name.windows(word.len()).enumerate().any(|(start, window)| {
        let before = start.checked_sub(1).and_then(|at| name.get(at));
        let after = name.get(start + word.len());
        window == word
            && !before.is_some_and(u8::is_ascii_alphanumeric)
            && !after.is_some_and(|&byte| is_version_byte(byte))
    })
}

/// Pods that are not what was asked for.
impl Amender<'_> {
    fn version_of_pod(&self) -> Option<Version> {
        let header = self.policy.upstream_version.as_ref()?;
        Version::parse(self.answer.first(header)?)
    }

    fn note_skew(&mut self, pod: Option<&Version>) {
        let (Some(pod), Some(asked)) = (pod, self.asked()) else {
            return;
        };
        let is_other = pod != asked
            && self
                .decision
                .release
                .as_ref()
                .is_none_or(|release| release.version != *pod);
        if is_other && !self.accepts(pod, asked) {
            self.amendment.sight = Some(Sight::Skewed);
            self.amendment.skewed_to = Some(pod.clone());
        }
    }

    /// The version that the answer should have: the client's where it is followed, or the release's.
    fn asked(&self) -> Option<&Version> {
        let decision = self.decision;
        let is_followed = match decision.outcome {
            Outcome::Pinned | Outcome::Compatible | Outcome::Preview => true,
            Outcome::Unknown => decision.release.is_none() || !self.policy.enforce,
            Outcome::Gone => !self.policy.enforce && !decision.class.is_document(),
            _ => false,
        };
        match (&decision.client, &decision.release) {
            (Some(client), _) if is_followed => Some(&client.version),
            (_, Some(release)) if self.policy.enforce => Some(&release.version),
            _ => None,
        }
    }

    fn accepts(&self, pod: &Version, asked: &Version) -> bool {
        self.decision.class != Class::Asset
            && self
                .policy
                .named(pod)
                .is_some_and(|release| release.accepts(asked))
    }
}

/// A page where a file should be.
impl Amender<'_> {
    /// Whether an asset is answered with the application's index.html: a script that is a page, which
    /// caches would keep as the script.
    fn is_page_for_asset(&self) -> bool {
        self.policy.asset_fallback
            && self.decision.class == Class::Asset
            && self.is_html()
            && self
                .answer
                .first(":status")
                .is_some_and(|status| status == b"200")
    }

    fn is_html(&self) -> bool {
        self.answer
            .first("content-type")
            .is_some_and(|content_type| {
                media_type(&content_type).eq_ignore_ascii_case(b"text/html")
            })
    }

    fn replace_page(&mut self) {
        // A skewed answer that is also no file is counted as what it came from.
        self.amendment.sight = self.amendment.sight.or(Some(Sight::Fallback));
        self.set(":status", "404");
        self.set_all(vec![own(NO_STORE)]);
        self.forget_representation();
        self.replace_body(b"");
    }

    /// What describes the body that was there.
    fn forget_representation(&mut self) {
        for name in [
            "accept-ranges",
            "cdn-cache-control",
            "content-encoding",
            "content-type",
            "etag",
            "expires",
            "last-modified",
            "surrogate-control",
        ] {
            self.remove(name);
        }
    }
}

/// What clients and caches are told.
impl Amender<'_> {
    fn name_sources_in_vary(&mut self) {
        if !self.policy.vary.is_empty() {
            self.add_missing("vary", &self.policy.vary);
        }
    }

    /// Adds a line with those of the names that a list header does not have yet; `*` is all of them.
    fn add_missing(&mut self, header: &'static str, names: &[String]) {
        let Some(first) = self.answer.first(header) else {
            return self.add(header, names.join(", "));
        };
        let missing = missing_from(&[first], names);
        if missing.is_empty() {
            return;
        }
        let missing = missing_from(&self.answer.every(header), names);
        if !missing.is_empty() {
            self.add(header, missing.join(", "));
        }
    }

    fn hint(&mut self) {
        if !self.policy.hints || self.decision.class == Class::Asset || !self.is_stale() {
            return;
        }
        self.set("x-client-update", "available");
        let mut exposed = vec!["x-client-update".to_owned()];
        if let Some((name, version)) = current_version(self.policy) {
            self.set(name, version);
            exposed.push(name.to_owned());
        }
        self.add_missing("access-control-expose-headers", &exposed);
    }

    /// Whether the client is of a release that there is a newer one of.
    fn is_stale(&self) -> bool {
        match (self.decision.outcome, &self.decision.release) {
            (Outcome::Pinned, Some(release)) => self.policy.is_superseded(release),
            // Its own release is no more, or it would not have to be accepted by another.
            (Outcome::Compatible, _) => true,
            (Outcome::Unknown, _) => self.policy.current.is_some(),
            _ => false,
        }
    }

    fn limit_caches(&mut self, pod: Option<&Version>, sets_cookie: bool) {
        let decision = self.decision;
        let limit = match decision.caching {
            Caching::NoStoreUnlessItsVersion
                if pod.is_some()
                    && pod == decision.client.as_ref().map(|client| &client.version) =>
            {
                Caching::AsUpstreamSays
            }
            caching => caching,
        };
        let value = match limit {
            Caching::AsUpstreamSays if !sets_cookie => return,
            Caching::AsUpstreamSays | Caching::Private => {
                caching::private(&self.upstreams_word(), decision.class)
            }
            Caching::NoStore | Caching::NoStoreUnlessItsVersion => caching::NO_STORE.to_owned(),
        };
        self.set("cache-control", value);
        // A cache that obeys these would not look at cache-control (RFC 9213).
        self.remove("cdn-cache-control");
        self.remove("surrogate-control");
    }

    fn upstreams_word(&self) -> String {
        let lines = self.answer.every("cache-control");
        let lines: Vec<_> = lines
            .iter()
            .map(|line| String::from_utf8_lossy(line))
            .collect();
        lines.join(", ")
    }
}

/// The visitor's pin.
impl Amender<'_> {
    /// Writes the pin cookie where the page that answers a navigation changes it; whether it did.
    fn keep_pin(&mut self, pod: Option<&Version>) -> bool {
        let (Some(visitor), Some(cookie)) = (&self.decision.visitor, &self.policy.pin_cookie)
        else {
            return false;
        };
        let answering = self
            .decision
            .release
            .as_ref()
            .map(|release| &release.version)
            .or(pod);
        let Some(version) = answering.filter(|version| visitor.changes_to(version)) else {
            return false;
        };
        if !self.is_page() {
            return false;
        }
        if visitor.is_speculative {
            self.decline();
            return false;
        }
        // Of two gateways in a row, the one behind chose the release and says so.
        if !self.sets_cookie(&cookie.name) {
            let line = pin::set_cookie(cookie, visitor.bucket, version);
            self.add("set-cookie", line);
        }
        true
    }

    fn sets_cookie(&self, name: &str) -> bool {
        self.answer.every("set-cookie").iter().any(|line| {
            line.split(|&byte| byte == b'=')
                .next()
                .is_some_and(|found| found.trim_ascii() == name.as_bytes())
        })
    }

    fn is_page(&self) -> bool {
        match self.answer.first(":status").as_deref() {
            Some([b'2', ..]) => self.is_html(),
            Some(b"304") => self.answer.first("content-type").is_none() || self.is_html(),
            _ => false,
        }
    }

    /// A load ahead of a click whose page would change the pin, as the decision could not know before
    /// the mesh had chosen a pod.
    fn decline(&mut self) {
        self.set(":status", "503");
        self.set_all(vec![own(NO_STORE)]);
        self.forget_representation();
        self.replace_body(b"");
    }
}

/// The names that no line of a list header has.
fn missing_from<'n>(lines: &[Vec<u8>], names: &'n [String]) -> Vec<&'n str> {
    let present: Vec<_> = lines
        .iter()
        .flat_map(|line| line.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    if present.contains(&b"*".as_slice()) {
        return Vec::new();
    }
    names
        .iter()
        .map(String::as_str)
        .filter(|name| {
            !present
                .iter()
                .any(|held| held.eq_ignore_ascii_case(name.as_bytes()))
        })
        .collect()
}
