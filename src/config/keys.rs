//! The keys of a configuration: which there are, and what each may hold.
//!
//! Reading goes on after a problem, so that all are reported at once; a deserializer that stops at the
//! first would send its user around the loop once per typo. What could not be read is left out, or has
//! its default, so the rest can still be checked.

use crate::origin::OriginPattern;
use crate::pin::{PinCookie, SameSite};
use crate::preview::PreviewAccess;
use crate::scope::{HostPattern, PathPrefix};
use crate::source::{PathTemplate, Source};
use crate::version::{Version, VersionPattern};

use super::json::Kind;
use super::problems::Report;
use super::reader::{Node, Object};
use super::values;
use super::{
    Conditional, Config, CorsConfig, CurrentConfig, MAX_COOKIE_AGE, MAX_WEIGHT, PartialConfig,
    ReleaseConfig, ReloadConfig, Share, State, UnknownVersion, UpstreamVersionConfig,
};

const KEYS: &[&str] = &[
    "hosts",
    "paths",
    "routeHeader",
    "sources",
    "releases",
    "current",
    "unknownVersion",
    "minVersion",
    "denied",
    "pinnedNavigation",
    "unpinnedPaths",
    "pinCookie",
    "reload",
    "cors",
    "conditional",
    "hints",
    "vary",
    "assetFallback",
    "upstreamVersion",
    "preview",
    "enforce",
    "logOutcome",
    "revision",
];

/// Reads a configuration, and notes all that is wrong with its keys and values.
pub fn read(bytes: &[u8], report: &Report) -> Option<Config> {
    let root = Node::root(bytes, report)?.object(KEYS)?;
    Some(Config {
        hosts: read_hosts(&root),
        paths: read_scope_paths(&root),
        route_header: read_route_header(&root),
        sources: read_sources(&root),
        releases: read_releases(&root),
        current: root.get("current").and_then(read_current),
        unknown_version: root.name("unknownVersion", &UNKNOWN_VERSIONS),
        min_version: root
            .get("minVersion")
            .and_then(|node| node.parse(values::SEMVER, values::min_version)),
        denied: root.list_of("denied", read_version),
        pinned_navigation: root.list_of("pinnedNavigation", read_path),
        unpinned_paths: root.list_of("unpinnedPaths", read_path),
        pin_cookie: root.get("pinCookie").and_then(read_pin_cookie),
        reload: read_reload(&root),
        cors: root.get("cors").and_then(read_cors),
        conditional: root.name("conditional", &CONDITIONALS),
        hints: root.switch("hints", true),
        vary: root.switch("vary", true),
        asset_fallback: root.switch("assetFallback", true),
        upstream_version: root.get("upstreamVersion").and_then(read_upstream_version),
        preview: root.get("preview").and_then(read_preview),
        enforce: root.switch("enforce", true),
        log_outcome: root.switch("logOutcome", false),
        revision: root
            .get("revision")
            .and_then(|node| node.integer(0, i64::MAX as u64)),
    })
}

/// Reads what can be read, whatever else is wrong.
pub fn read_partial(bytes: &[u8]) -> Option<PartialConfig> {
    let report = Report::default();
    let root = Node::root(bytes, &report)?.object(KEYS)?;
    Some(PartialConfig {
        hosts: whole(&report, || read_hosts(&root)),
        paths: whole(&report, || read_scope_paths(&root)),
        route_header: whole(&report, || read_route_header(&root)),
        versions: read_releases(&root)
            .into_iter()
            .map(|release| release.version)
            .collect(),
    })
}

/// What is read, if there is nothing wrong with it.
fn whole<T>(report: &Report, read: impl FnOnce() -> T) -> Option<T> {
    let _of_others = report.take();
    let value = read();
    report.take().is_empty().then_some(value)
}

/// A list that means something different when it is empty than when it is absent.
const NOT_EMPTY: &str = "a list that is not empty; leave the key out for its default";

fn read_hosts(root: &Object<'_>) -> Option<Vec<HostPattern>> {
    let node = root.get("hosts")?;
    node.refuse_empty(NOT_EMPTY);
    Some(node.list_of(|item| item.parse(HostPattern::ALLOWED, HostPattern::parse)))
}

fn read_scope_paths(root: &Object<'_>) -> Option<Vec<PathPrefix>> {
    let node = root.get("paths")?;
    node.refuse_empty(NOT_EMPTY);
    Some(node.list_of(read_path))
}

fn read_path(node: Node<'_>) -> Option<PathPrefix> {
    node.parse(PathPrefix::ALLOWED, PathPrefix::parse)
}

fn read_route_header(root: &Object<'_>) -> String {
    root.get("routeHeader")
        .and_then(read_header)
        .unwrap_or_else(|| Config::DEFAULT_ROUTE_HEADER.to_owned())
}

fn read_sources(root: &Object<'_>) -> Vec<Source> {
    let Some(node) = root.get("sources") else {
        return Config::default_sources();
    };
    node.refuse_empty(NOT_EMPTY);
    node.list_of(read_source)
}

fn read_source(node: Node<'_>) -> Option<Source> {
    const KINDS: &[&str] = &["header", "query", "path", "cookie", "baggage"];
    let object = node.object(KINDS)?;
    let mut kinds = object.keys().filter(|key| KINDS.contains(key));
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        if object.keys().all(|key| KINDS.contains(&key)) {
            node.refuse("an object with one of the keys header, query, path, cookie and baggage");
        }
        return None;
    };
    let value = object.get(kind)?;
    match kind {
        "header" => read_header(value).map(Source::Header),
        "query" => value.parse(values::QUERY, values::token).map(Source::Query),
        "path" => value
            .parse(PathTemplate::ALLOWED, PathTemplate::parse)
            .map(Source::Path),
        "cookie" => value
            .parse(values::COOKIE, values::token)
            .map(Source::Cookie),
        _ => value
            .parse(values::BAGGAGE, values::token)
            .map(Source::Baggage),
    }
}

fn read_releases(root: &Object<'_>) -> Vec<ReleaseConfig> {
    let Some(node) = root.require("releases", "a list of releases, newest first") else {
        return Vec::new();
    };
    node.refuse_empty("1 to 256 that are not retired, and up to 4096 that are");
    node.list_of(read_release)
}

/// `None` where its version cannot be read.
fn read_release(node: Node<'_>) -> Option<ReleaseConfig> {
    let object = node.object(&["version", "route", "state", "accepts", "until"])?;
    let version = object
        .require("version", Version::ALLOWED)
        .and_then(read_version);
    let route = object
        .get("route")
        .map(|node| read_version(node).map_or_else(String::new, |route| route.to_string()));
    let state = object.name("state", &State::ALL.map(|state| (state.name(), state)));
    let accepts = object.list_of("accepts", |item| {
        item.parse(VersionPattern::ALLOWED, VersionPattern::parse)
    });
    let until = object
        .get("until")
        .and_then(|node| node.parse(values::TIME, values::time));
    let version = version?;
    Some(ReleaseConfig {
        at: node.path,
        route: route.unwrap_or_else(|| version.to_string()),
        version,
        state,
        accepts,
        until,
    })
}

fn read_current(node: Node<'_>) -> Option<CurrentConfig> {
    const ALLOWED: &str = "a version, or a list of objects with the keys version and weight";
    match node.json.kind() {
        Kind::List => {
            node.refuse_empty(ALLOWED);
            Some(CurrentConfig::Weighted(node.list_of(read_share)))
        }
        Kind::Text | Kind::Number => read_version(node).map(CurrentConfig::One),
        _ => node.not(ALLOWED),
    }
}

fn read_share(node: Node<'_>) -> Option<Share> {
    let object = node.object(&["version", "weight"])?;
    let version = object
        .require("version", Version::ALLOWED)
        .and_then(read_version);
    let weight = object
        .require("weight", "a whole number from 0 to 10000")
        .and_then(|node| node.integer(0, MAX_WEIGHT));
    Some(Share {
        at: node.path,
        version: version?,
        weight: weight?,
    })
}

const CONDITIONALS: [(&str, Conditional); 2] =
    [("auto", Conditional::Auto), ("keep", Conditional::Keep)];

const UNKNOWN_VERSIONS: [(&str, UnknownVersion); 3] = [
    ("auto", UnknownVersion::Auto),
    ("current", UnknownVersion::Current),
    ("reload", UnknownVersion::Reload),
];

fn read_pin_cookie(node: Node<'_>) -> Option<PinCookie> {
    let object = node.object(&[
        "name",
        "maxAgeSeconds",
        "domain",
        "path",
        "sameSite",
        "secure",
    ])?;
    let name = object
        .require("name", values::COOKIE)
        .and_then(|node| node.parse(values::COOKIE, values::token));
    let same_site = object.name(
        "sameSite",
        &[("Lax", SameSite::Lax), ("None", SameSite::None)],
    );
    let max_age_seconds = object
        .get("maxAgeSeconds")
        .and_then(|node| node.integer(1, MAX_COOKIE_AGE));
    let domain = object
        .get("domain")
        .and_then(|node| node.parse(values::COOKIE_DOMAIN, values::cookie_domain));
    let path = object
        .get("path")
        .and_then(|node| node.parse(values::COOKIE_PATH, values::cookie_path))
        .unwrap_or_else(|| PinCookie::DEFAULT_PATH.to_owned());
    let secure = object.switch("secure", true);
    Some(PinCookie {
        name: name?,
        max_age_seconds,
        domain,
        path,
        same_site,
        secure,
    })
}

fn read_reload(root: &Object<'_>) -> ReloadConfig {
    let object = root
        .get("reload")
        .and_then(|node| node.object(&["status", "body", "clusters"]));
    let get = |key| object.as_ref().and_then(|object| object.get(key));
    ReloadConfig {
        status: get("status")
            .and_then(|node| node.integer(400, 499))
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or(ReloadConfig::DEFAULT_STATUS),
        body: get("body").map(|node| node.json.written().to_owned()),
        clusters: get("clusters")
            .map(|node| node.list_of(|item| item.text().map(String::from)))
            .unwrap_or_default(),
    }
}

fn read_cors(node: Node<'_>) -> Option<CorsConfig> {
    let object = node.object(&["allowOrigins", "allowCredentials"])?;
    Some(CorsConfig {
        allow_origins: object
            .require("allowOrigins", OriginPattern::ALLOWED)
            .map(|node| {
                node.list_of(|item| item.parse(OriginPattern::ALLOWED, OriginPattern::parse))
            })
            .unwrap_or_default(),
        allow_credentials: object.switch("allowCredentials", false),
    })
}

fn read_upstream_version(node: Node<'_>) -> Option<UpstreamVersionConfig> {
    let object = node.object(&["responseHeader"])?;
    Some(UpstreamVersionConfig {
        response_header: object
            .require("responseHeader", values::HEADER)
            .and_then(read_header)?,
    })
}

fn read_preview(node: Node<'_>) -> Option<PreviewAccess> {
    let object = node.object(&["sha256", "header", "query", "cookie", "domain"])?;
    let sha256 = object
        .require("sha256", values::SHA256)
        .and_then(|node| node.parse(values::SHA256, values::sha256));
    let header = object
        .get("header")
        .and_then(read_header)
        .unwrap_or_else(|| PreviewAccess::DEFAULT_HEADER.to_owned());
    let query = object
        .get("query")
        .and_then(|node| node.parse(values::QUERY, values::token))
        .unwrap_or_else(|| PreviewAccess::DEFAULT_QUERY.to_owned());
    let cookie = object
        .get("cookie")
        .and_then(|node| node.parse(values::COOKIE, values::token))
        .unwrap_or_else(|| PreviewAccess::DEFAULT_COOKIE.to_owned());
    let domain = object
        .get("domain")
        .and_then(|node| node.parse(values::COOKIE_DOMAIN, values::cookie_domain));
    Some(PreviewAccess {
        sha256: sha256?,
        header,
        query,
        cookie,
        domain,
    })
}

fn read_version(node: Node<'_>) -> Option<Version> {
    node.parse(Version::ALLOWED, values::version)
}

fn read_header(node: Node<'_>) -> Option<String> {
    node.parse(values::HEADER, values::header)
}
