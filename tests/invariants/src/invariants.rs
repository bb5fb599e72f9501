//! What holds for every visit.

use serde_json::Value;

use crate::setup::HOST;
use crate::visit::{Lines, MARK, Seen};

/// Checks all of it.
pub fn judge(seen: &Seen) {
    route_is_a_configured_one(seen);
    own_route_header_never_survives(seen);
    outside_the_scope_nothing_changes(seen);
    a_pinned_request_is_served(seen);
    own_answers_hold_nothing_of_the_client(seen);
    changed_answers_hold_nothing_of_the_client(seen);
    metrics_name_what_is_configured(seen);
}

/// The route that the filter writes is that of a release that has pods.
pub fn route_is_a_configured_one(seen: &Seen) {
    if seen.scope() != Scope::Within || seen.reply.is_some() {
        return;
    }
    for written in values(&seen.forwarded, seen.route_header()) {
        let mut served = seen.releases().filter(|release| release.has_pods());
        assert!(
            served.any(|release| release.route().as_bytes() == written),
            "{} is not a route: {seen:#?}",
            written.escape_ascii()
        );
    }
}

/// Within the scope the client's own route header is gone: there is one line, for the release that is counted, or none.
pub fn own_route_header_never_survives(seen: &Seen) {
    if seen.scope() != Scope::Within || seen.reply.is_some() {
        return;
    }
    let lines = values(&seen.forwarded, seen.route_header()).count();
    let most = usize::from(seen.enforces());
    assert!(
        lines <= most,
        "{lines} lines of the route header: {seen:#?}"
    );
    let others = |lines: &Lines| -> Lines {
        let others = lines.iter().filter(|(name, _)| name != seen.route_header());
        others.cloned().collect()
    };
    let (sent, forwarded) = (others(&seen.sent), others(&seen.forwarded));
    let is_kept = |line: &(String, Vec<u8>)| {
        forwarded.contains(line)
            || matches!(
                line.0.as_str(),
                "if-none-match" | "if-modified-since" | "if-range"
            )
    };
    assert!(sent.iter().all(is_kept), "a header is gone: {seen:#?}");
    assert!(
        forwarded.iter().all(|line| sent.contains(line)),
        "a header is new: {seen:#?}"
    );
}

/// A request for another host or path passes unchanged, and so does its answer.
pub fn outside_the_scope_nothing_changes(seen: &Seen) {
    if seen.scope() != Scope::Outside {
        return;
    }
    assert_eq!(seen.forwarded, seen.sent, "{seen:#?}");
    assert_eq!(seen.received, seen.answered, "{seen:#?}");
    assert!(seen.reply.is_none(), "{seen:#?}");
    assert_eq!(seen.outcomes().count(), 0, "{seen:#?}");
}

/// What is counted as pinned goes to a release whose version the request carries; what is counted as
/// compatible, to one that accepts one.
pub fn a_pinned_request_is_served(seen: &Seen) {
    if !seen.enforces() || seen.reply.is_some() {
        return;
    }
    let text: Vec<u8> = seen
        .sent
        .iter()
        .flat_map(|(_, value)| value.clone())
        .collect();
    let says = |version: &str| contains(&text, version.as_bytes()) || contains(&text, b"%");
    for (outcome, route) in seen.outcomes() {
        if !["pinned", "compatible", "preview"].contains(&outcome) {
            continue;
        }
        assert_eq!(
            values(&seen.forwarded, seen.route_header()).collect::<Vec<_>>(),
            [route.as_bytes()],
            "{seen:#?}"
        );
        let release = seen.releases().find(|release| release.route() == route);
        let Some(release) = release else {
            panic!("{route} is not a route: {seen:#?}")
        };
        let serves = match outcome {
            "compatible" => {
                release.is_reachable(seen.now) && release.accepted().iter().any(|one| says(one))
            }
            "pinned" => release.is_reachable(seen.now) && says(release.version()),
            // A key opens staged releases too, and without a version in the request, those that accept one.
            _ => release.has_pods(),
        };
        assert!(serves, "{outcome}: {seen:#?}");
    }
}

/// Nothing that a client made up is in our answer, except a version and what belongs there: its origin, the URL
/// that it asked for, what a preflight announced.
pub fn own_answers_hold_nothing_of_the_client(seen: &Seen) {
    let Some(reply) = &seen.reply else { return };
    assert!((200..600).contains(&reply.status), "{seen:#?}");
    for (name, value) in &reply.headers {
        judge_header(seen, name, value);
    }
    let body = String::from_utf8_lossy(&reply.body);
    assert!(!body.contains(MARK), "{seen:#?}");
    if let Ok(Value::Object(told)) = serde_json::from_str::<Value>(&body) {
        for (key, value) in &told {
            let is_told = match key.as_str() {
                "error" => value == "client_outdated",
                "client" | "current" => value.as_str().is_some_and(is_version),
                _ => false,
            };
            assert!(is_told, "{key}: {seen:#?}");
        }
    } else {
        assert!(!body.starts_with('{'), "broken JSON: {seen:#?}");
    }
}

/// The same for what the filter writes into an upstream's answer.
pub fn changed_answers_hold_nothing_of_the_client(seen: &Seen) {
    let (answered, body) = &seen.answered;
    let (received, new_body) = &seen.received;
    if seen.reply.is_some() {
        return;
    }
    for (name, value) in received.iter().filter(|line| !answered.contains(line)) {
        // What was already there is the upstream's; only what is around it is judged.
        let text = String::from_utf8_lossy(value).into_owned();
        let added = values(answered, name).fold(text, |text, old| {
            let old = String::from_utf8_lossy(old);
            old.split(',')
                .fold(text, |text, part| text.replacen(part.trim(), "", 1))
        });
        judge_header(seen, name, &added);
    }
    assert!(
        new_body == body || !contains(new_body, MARK.as_bytes()),
        "{seen:#?}"
    );
}

/// The tags of a time series are routes of the configuration and fixed words.
pub fn metrics_name_what_is_configured(seen: &Seen) {
    for name in seen.metrics.keys() {
        assert!(
            name.bytes().all(|byte| byte.is_ascii_graphic()),
            "{name}: {seen:#?}"
        );
        if name.contains("release=.=") {
            let route = tag(name, "release");
            let is_known =
                route == "none" || seen.releases().any(|release| release.route() == route);
            assert!(is_known, "{name}: {seen:#?}");
        }
    }
}

fn judge_header(seen: &Seen, name: &str, value: &str) {
    assert!(
        value
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic()),
        "{name}: {value:?} could end a line: {seen:#?}"
    );
    let is_sent = |name| values(&seen.sent, name).any(|sent| sent == value.as_bytes());
    let is_right = match name {
        "location" => is_on_this_host(value),
        "x-action-redirect" => value.strip_suffix(";replace").is_some_and(is_on_this_host),
        "access-control-allow-origin" => is_sent("origin") && !value.contains("evil"),
        "access-control-allow-methods" | "access-control-allow-headers" => {
            value.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b',' | b' ')
            })
        }
        "set-cookie" => is_cookie_of_ours(value),
        "x-client-current" => is_version(value),
        _ => !value.contains(MARK),
    };
    assert!(is_right, "{name}: {value}: {seen:#?}");
}

fn is_on_this_host(location: &str) -> bool {
    location.starts_with('/') && !location.starts_with("//") && !location.starts_with("/\\")
}

fn is_cookie_of_ours(line: &str) -> bool {
    let mut parts = line.split("; ");
    let pair = parts.next().and_then(|pair| pair.split_once('='));
    let is_pair = pair.is_some_and(|(name, value)| {
        ["pin", "__preview"].contains(&name)
            && value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"%.:~_+-".contains(&byte))
    });
    is_pair
        && parts.all(|attribute| {
            [
                "Path=/",
                "SameSite=Lax",
                "SameSite=None",
                "Secure",
                "HttpOnly",
                "Domain=example.com",
                "Max-Age=0",
                "Max-Age=60",
            ]
            .contains(&attribute)
        })
}

fn is_version(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

fn values<'l>(lines: &'l Lines, name: &str) -> impl Iterator<Item = &'l [u8]> {
    lines
        .iter()
        .filter(move |(key, _)| key == name)
        .map(|(_, value)| value.as_slice())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The value of a tag in a metric name.
fn tag<'n>(name: &'n str, key: &str) -> &'n str {
    let after = name.split_once(&format!("{key}=.="));
    let value = after.and_then(|(_, rest)| rest.split_once(";.;"));
    value.map_or("", |(value, _)| value)
}

/// Whether a request is in scope, where that is obvious.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Within,
    Outside,
    /// Not obvious, so nothing is judged by it.
    Unclear,
}

impl Seen {
    fn scope(&self) -> Scope {
        let first = |name| values(&self.sent, name).next();
        let host = first(":authority").unwrap_or_default();
        let path = first(":path").unwrap_or_default();
        let has = |key: &str| self.configuration.get(key).is_some();
        let is_other_host = has("hosts") && !contains(&host.to_ascii_lowercase(), b"example.com");
        let names_ours = contains(path, b"api") || contains(path, b"shop");
        if is_other_host || has("paths") && !names_ours {
            return Scope::Outside;
        }
        let is_host = !has("hosts") || host == HOST.as_bytes();
        let is_path = !has("paths") || path.starts_with(b"/api/") || path.starts_with(b"/shop/");
        if is_host && is_path {
            Scope::Within
        } else {
            Scope::Unclear
        }
    }

    fn enforces(&self) -> bool {
        self.configuration.get("enforce") != Some(&Value::Bool(false))
    }

    fn route_header(&self) -> &str {
        let header = self.configuration.get("routeHeader");
        header.and_then(Value::as_str).unwrap_or("x-release")
    }

    fn releases(&self) -> impl Iterator<Item = Release<'_>> {
        let releases = self.configuration.get("releases").and_then(Value::as_array);
        releases.into_iter().flatten().map(Release)
    }
}

/// An entry of `releases`.
#[derive(Clone, Copy)]
struct Release<'s>(&'s Value);

impl<'s> Release<'s> {
    fn text(self, key: &str) -> Option<&'s str> {
        self.0.get(key)?.as_str()
    }

    fn version(self) -> &'s str {
        self.text("version").unwrap_or_default()
    }

    fn route(self) -> &'s str {
        self.text("route").unwrap_or(self.version())
    }

    fn has_pods(self) -> bool {
        self.text("state") != Some("retired")
    }

    /// Whether a client that names it gets it without a key.
    fn is_reachable(self, now: u64) -> bool {
        match self.text("state") {
            Some("staged" | "retired") => false,
            Some("draining") => match self.text("until") {
                None => true,
                Some(until) => until.contains("T09:00") && now < crate::setup::NOW + 60 * 60,
            },
            _ => true,
        }
    }

    /// The prefixes of the shop's versions that it accepts.
    fn accepted(self) -> Vec<&'s str> {
        let accepts = self.0.get("accepts").and_then(Value::as_array);
        let accepts = accepts.into_iter().flatten().filter_map(Value::as_str);
        accepts
            .map(|pattern| pattern.trim_end_matches('*'))
            .collect()
    }
}
