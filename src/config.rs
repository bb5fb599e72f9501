//! The wire format of the configuration, and nothing else: which keys there are, what each may hold,
//! and one clear problem for each that holds something else.
//!
//! Reading goes on after a problem, so that all are reported at once; a deserializer that stops at
//! the first would send its reader around the loop once a typo. What makes sense together is not
//! decided here but in [`crate::policy`].

use hifijson::token::Lex;
use hifijson::{SliceLexer, value};

use crate::scope::{HostPattern, PathPrefix};
use crate::source::{PathTemplate, Source};
use crate::version::{Version, VersionPattern};

mod reader;
#[cfg(feature = "cli")]
pub mod schema;

use reader::{Json, Node, Object, ROOT};
pub use reader::{Problem, Problems};

/// The most releases that are not retired.
pub const MOST_SERVED: usize = 256;
/// The most retired releases.
pub const MOST_RETIRED: usize = 4096;
/// The largest weight of a release: what counts is the proportion, so nobody needs more.
pub const LARGEST_WEIGHT: u64 = 10_000;
/// How deep lists and objects may nest, in the body of the reload answer too: a stack has an end.
const DEEPEST_NEST: usize = 128;

/// The whole configuration, with its defaults.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "cli",
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct Config {
    /// Host names that are guarded; absent: all.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub hosts: Option<Vec<HostPattern>>,
    /// Path prefixes that are guarded; absent: all.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub paths: Option<Vec<PathPrefix>>,
    /// The request header that is written for the mesh.
    #[cfg_attr(feature = "cli", schemars(with = "schema::HeaderName", extend("default" = DEFAULT_ROUTE_HEADER)))]
    pub route_header: String,
    /// Where a client version is read from, in order.
    #[cfg_attr(feature = "cli", schemars(length(min = 1), extend("default" = schema::default_sources())))]
    pub sources: Vec<Source>,
    /// The releases, newest first.
    pub releases: Vec<ReleaseConfig>,
    /// Who answers requests without a version; absent: the mesh chooses.
    pub current: Option<CurrentConfig>,
    /// Path prefixes whose navigations stay on the client's version.
    #[cfg_attr(feature = "cli", schemars(extend("default" = [])))]
    pub pinned_navigation: Vec<PathPrefix>,
    /// Path prefixes that are never pinned.
    #[cfg_attr(feature = "cli", schemars(extend("default" = [])))]
    pub unpinned_paths: Vec<PathPrefix>,
    /// The cookie that remembers a visitor's version.
    pub pin_cookie: Option<PinCookieConfig>,
    /// What is done for a client version that no release names or accepts.
    #[cfg_attr(feature = "cli", schemars(extend("default" = "auto")))]
    pub unknown_version: UnknownVersion,
    /// The oldest version that is served at all.
    #[cfg_attr(feature = "cli", schemars(with = "Option<schema::Semver>"))]
    pub min_version: Option<MinVersion>,
    /// Versions that are never served.
    #[cfg_attr(feature = "cli", schemars(extend("default" = [])))]
    pub denied: Vec<Version>,
    /// The answer to a client that has to reload.
    #[cfg_attr(feature = "cli", schemars(extend("default" = {})))]
    pub reload: ReloadConfig,
    /// Cross-origin access to answers that the filter makes itself.
    pub cors: Option<CorsConfig>,
    /// Whether a stale client is told so.
    #[cfg_attr(feature = "cli", schemars(extend("default" = true)))]
    pub hints: bool,
    /// Whether `Vary` names the header sources on answers to API calls.
    #[cfg_attr(feature = "cli", schemars(extend("default" = true)))]
    pub vary: bool,
    /// Whether an asset that is answered with a page becomes 404.
    #[cfg_attr(feature = "cli", schemars(extend("default" = true)))]
    pub asset_fallback: bool,
    /// In which response header a pod says its version.
    pub upstream_version: Option<UpstreamVersionConfig>,
    /// How testers reach staged releases.
    pub preview: Option<PreviewConfig>,
    /// Whether decisions are carried out; else they are only counted.
    #[cfg_attr(feature = "cli", schemars(extend("default" = true)))]
    pub enforce: bool,
    /// The number by which a pipeline knows this configuration.
    #[cfg_attr(feature = "cli", schemars(range(max = 9_223_372_036_854_775_807_u64)))]
    pub revision: Option<u64>,
}

/// One release.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "cli",
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct ReleaseConfig {
    /// Where it stands, for problems that are found later: `releases[1]`.
    #[cfg_attr(feature = "cli", schemars(skip))]
    pub at: String,
    /// The version that names it.
    pub version: Version,
    /// The value of the route header that selects it; the version where it was left out.
    #[cfg_attr(feature = "cli", schemars(with = "Option<Version>"))]
    pub route: String,
    /// Where it is in its life.
    #[cfg_attr(feature = "cli", schemars(extend("default" = "live")))]
    pub state: State,
    /// Other client versions whose API calls it also serves.
    #[cfg_attr(feature = "cli", schemars(extend("default" = [])))]
    pub accepts: Vec<VersionPattern>,
    /// When a draining release is retired; kept as seconds since 1970, UTC.
    #[cfg_attr(feature = "cli", schemars(with = "Option<schema::Time>"))]
    pub until: Option<u64>,
}

/// Where a release is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(rename_all = "camelCase"))]
pub enum State {
    /// Its routes exist; testers with the preview key reach it.
    Staged,
    /// Clients that ask for it get it.
    #[default]
    Live,
    /// As live, and its clients are told that there is a newer one.
    Draining,
    /// Its pods are gone; kept listed as long as its clients may live.
    Retired,
}

impl State {
    /// All states, in the order of a life.
    pub const ALL: [Self; 4] = [Self::Staged, Self::Live, Self::Draining, Self::Retired];

    /// The state as a configuration writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Live => "live",
            Self::Draining => "draining",
            Self::Retired => "retired",
        }
    }
}

/// Who answers requests without a version.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(untagged))]
pub enum CurrentConfig {
    /// One release.
    One(Version),
    /// Several, each with its share of the visitors.
    Weighted(#[cfg_attr(feature = "cli", schemars(length(min = 1)))] Vec<Share>),
}

/// A release's share of the visitors.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "cli",
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct Share {
    /// Where it stands, for problems that are found later: `current[0]`.
    #[cfg_attr(feature = "cli", schemars(skip))]
    pub at: String,
    /// The release.
    pub version: Version,
    /// Its weight; only the proportion to the others counts.
    #[cfg_attr(feature = "cli", schemars(range(max = 10_000)))]
    pub weight: u64,
}

/// The cookie that remembers a visitor's version.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "cli",
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct PinCookieConfig {
    /// Its name.
    #[cfg_attr(feature = "cli", schemars(with = "schema::Token"))]
    pub name: String,
    /// How long the browser keeps it, in seconds; absent: as long as the session.
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = 34_560_000)))]
    pub max_age_seconds: Option<u64>,
    /// The domain that it is sent to; absent: the host alone.
    #[cfg_attr(feature = "cli", schemars(with = "Option<schema::CookieDomain>"))]
    pub domain: Option<String>,
    /// The path that it is sent to.
    #[cfg_attr(feature = "cli", schemars(with = "schema::CookiePath", extend("default" = "/")))]
    pub path: String,
    /// Whether other sites' links and requests carry it.
    #[cfg_attr(feature = "cli", schemars(extend("default" = "Lax")))]
    pub same_site: SameSite,
    /// Whether it is sent over TLS only.
    #[cfg_attr(feature = "cli", schemars(extend("default" = true)))]
    pub secure: bool,
}

/// The cookie attribute of this name. There is no `Strict`: it drops the cookie on a navigation from
/// another site but not on the assets of the page that follows, which is half a pin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub enum SameSite {
    /// Sent with navigations from other sites.
    #[default]
    Lax,
    /// Sent with every request: for an application in other sites' frames. Needs `secure`.
    None,
}

/// What is done for a client version that no release names or accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(rename_all = "camelCase"))]
pub enum UnknownVersion {
    /// With `current`: gone. Without: gone when it is older than every live release, else the mesh
    /// chooses.
    #[default]
    Auto,
    /// The current release answers.
    Current,
    /// Gone.
    Reload,
}

/// The oldest version that is served.
#[derive(Clone, Debug)]
pub struct MinVersion {
    /// As it was written.
    pub written: String,
    /// As it compares.
    pub semver: semver::Version,
}

/// The answer to a client that has to reload.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "cli",
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct ReloadConfig {
    /// The HTTP status, 400 to 499.
    #[cfg_attr(feature = "cli", schemars(range(min = 400, max = 499), extend("default" = 409)))]
    pub status: u16,
    /// The JSON body; absent: one that says which version is gone and which is current.
    #[cfg_attr(feature = "cli", schemars(with = "Option<serde_json::Value>"))]
    pub body: Option<String>,
    /// Clusters whose failures count as a release's own.
    #[cfg_attr(feature = "cli", schemars(extend("default" = [])))]
    pub clusters: Vec<String>,
}

impl ReloadConfig {
    /// "Conflict": what the client knows is in conflict with what the server has.
    pub const DEFAULT_STATUS: u16 = 409;
}

/// Cross-origin access to answers that the filter makes itself.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "cli",
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct CorsConfig {
    /// The origins, exact: scheme, host and port.
    #[cfg_attr(feature = "cli", schemars(with = "Vec<schema::Origin>"))]
    pub allow_origins: Vec<String>,
    /// Whether requests with credentials may read the answer.
    #[cfg_attr(feature = "cli", schemars(extend("default" = false)))]
    pub allow_credentials: bool,
}

/// How a pod says its version.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "cli",
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct UpstreamVersionConfig {
    /// The response header, by its lower-case name.
    #[cfg_attr(feature = "cli", schemars(with = "schema::HeaderName"))]
    pub response_header: String,
}

/// How testers reach staged releases.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "cli",
    schemars(rename_all = "camelCase", deny_unknown_fields)
)]
pub struct PreviewConfig {
    /// The SHA-256 of the key.
    #[cfg_attr(feature = "cli", schemars(with = "schema::Sha256"))]
    pub sha256: [u8; 32],
    /// The request header that carries the key.
    #[cfg_attr(feature = "cli", schemars(with = "schema::HeaderName", extend("default" = "x-preview-key")))]
    pub header: String,
    /// The query parameter that carries key and version, or `off`.
    #[cfg_attr(feature = "cli", schemars(with = "schema::Token", extend("default" = "preview")))]
    pub query: String,
    /// The cookie that keeps them.
    #[cfg_attr(feature = "cli", schemars(with = "schema::Token", extend("default" = "__preview")))]
    pub cookie: String,
}

/// What can still be read of a wrong configuration: enough to keep a forged route header away.
#[derive(Clone, Debug)]
pub struct Remains {
    /// Host names that are guarded; absent: all.
    pub hosts: Option<Vec<HostPattern>>,
    /// Path prefixes that are guarded; absent: all.
    pub paths: Option<Vec<PathPrefix>>,
    /// The request header that is written for the mesh.
    pub route_header: String,
}

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
    "hints",
    "vary",
    "assetFallback",
    "upstreamVersion",
    "preview",
    "enforce",
    "revision",
];

/// Reads a configuration, and notes all that is wrong with it. What could not be read is left out, or
/// has its default: the rest can still be looked at.
pub fn read(bytes: &[u8], problems: &mut Problems) -> Option<Config> {
    let json = parse_json(bytes, problems)?;
    let root = Node::root(&json).object(problems, KEYS)?;
    Some(Config::read(&root, problems))
}

/// What can be read of the scope and the route header of a configuration that is wrong elsewhere.
/// `None` where they cannot be read: then nothing must be touched.
#[must_use]
pub fn remains(bytes: &[u8]) -> Option<Remains> {
    let mut problems = Problems::default();
    let json = parse_json(bytes, &mut problems)?;
    let root = Node::root(&json).object(&mut Problems::default(), KEYS)?;
    let remains = Remains {
        hosts: read_hosts(&root, &mut problems),
        paths: read_optional_paths(&root, "paths", &mut problems),
        route_header: read_route_header(&root, &mut problems),
    };
    problems.is_empty().then_some(remains)
}

fn parse_json<'b>(bytes: &'b [u8], problems: &mut Problems) -> Option<Json<'b>> {
    if bytes.trim_ascii().is_empty() {
        problems.add(
            ROOT,
            "empty; allowed: a JSON object, at least {\"releases\":[{\"version\":\"1.0.0\"}]}",
        );
        return None;
    }
    let mut lexer = SliceLexer::new(bytes);
    let json = lexer.exactly_one(Lex::ws_peek, |next, lexer| {
        value::parse_bounded(DEEPEST_NEST, next, lexer)
    });
    match json {
        Ok(json) => Some(json),
        Err(error) => {
            let place = place_before(lexer.as_slice(), bytes);
            problems.add(ROOT, format!("not JSON: {error} at {place}; allowed: a JSON object (in Envoy's own configuration within a google.protobuf.StringValue)"));
            None
        }
    }
}

/// Where the rest of these bytes begins: `line 3 column 5`.
fn place_before(rest: &[u8], bytes: &[u8]) -> String {
    let read = bytes.strip_suffix(rest).unwrap_or_default();
    let line = 1 + read.iter().filter(|&&byte| byte == b'\n').count();
    let column = 1 + read.iter().rev().take_while(|&&byte| byte != b'\n').count();
    format!("line {line} column {column}")
}

impl Config {
    fn read(root: &Object<'_>, problems: &mut Problems) -> Self {
        Self {
            hosts: read_hosts(root, problems),
            paths: read_optional_paths(root, "paths", problems),
            route_header: read_route_header(root, problems),
            sources: read_sources(root, problems),
            releases: root
                .require(problems, "releases", "a list of releases, newest first")
                .map(|node| {
                    refuse_empty_list(&node, problems, RELEASES);
                    node.list_of(problems, ReleaseConfig::read)
                })
                .unwrap_or_default(),
            current: root
                .get("current")
                .and_then(|node| CurrentConfig::read(&node, problems)),
            unknown_version: read_name(root, "unknownVersion", &UnknownVersion::NAMES, problems),
            min_version: root.get("minVersion").and_then(|node| {
                node.parse(problems, "a semver version: \"1.4.0\"", MinVersion::parse)
            }),
            denied: root
                .get("denied")
                .map(|node| node.list_of(problems, read_version))
                .unwrap_or_default(),
            pinned_navigation: read_paths(root, "pinnedNavigation", problems),
            unpinned_paths: read_paths(root, "unpinnedPaths", problems),
            pin_cookie: root
                .get("pinCookie")
                .and_then(|node| PinCookieConfig::read(&node, problems)),
            reload: ReloadConfig::read(root, problems),
            cors: root
                .get("cors")
                .and_then(|node| CorsConfig::read(&node, problems)),
            hints: read_switch(root, "hints", problems),
            vary: read_switch(root, "vary", problems),
            asset_fallback: read_switch(root, "assetFallback", problems),
            upstream_version: root
                .get("upstreamVersion")
                .and_then(|node| UpstreamVersionConfig::read(&node, problems)),
            preview: root
                .get("preview")
                .and_then(|node| PreviewConfig::read(&node, problems)),
            enforce: read_switch(root, "enforce", problems),
            revision: root
                .get("revision")
                .and_then(|node| node.integer(problems, 0, i64::MAX as u64)),
        }
    }
}

impl ReleaseConfig {
    const KEYS: &'static [&'static str] = &["version", "route", "state", "accepts", "until"];

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.object(problems, Self::KEYS)?;
        let version = object
            .require(problems, "version", Version::ALLOWED)
            .and_then(|node| read_version(&node, problems));
        let route = object
            .get("route")
            .map(|node| node.parse(problems, Version::ALLOWED, parse_route));
        let state = read_name(
            &object,
            "state",
            &State::ALL.map(|state| (state.name(), state)),
            problems,
        );
        let accepts = object
            .get("accepts")
            .map(|node| {
                node.list_of(problems, |item, problems| {
                    item.parse(problems, VersionPattern::ALLOWED, VersionPattern::parse)
                })
            })
            .unwrap_or_default();
        let until = object.get("until").and_then(|node| {
            node.parse(
                problems,
                "an RFC 3339 time: \"2026-01-31T18:00:00Z\"",
                parse_time,
            )
        });
        let version = version?;
        Some(Self {
            at: node.path.clone(),
            route: match route {
                Some(route) => route?,
                None => version.as_str().to_owned(),
            },
            version,
            state,
            accepts,
            until,
        })
    }
}

impl CurrentConfig {
    const ALLOWED: &'static str =
        "a version, or a list of objects with the keys version and weight";

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        match node.json {
            Json::Array(_) => {
                refuse_empty_list(node, problems, Self::ALLOWED);
                Some(Self::Weighted(node.list_of(problems, Share::read)))
            }
            Json::String(_) | Json::Number(_) => read_version(node, problems).map(Self::One),
            _ => node.not(problems, Self::ALLOWED),
        }
    }
}

impl Share {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.object(problems, &["version", "weight"])?;
        let version = object
            .require(problems, "version", Version::ALLOWED)
            .and_then(|node| read_version(&node, problems));
        let weight = object
            .require(problems, "weight", "a whole number from 0 to 10000")
            .and_then(|node| node.integer(problems, 0, LARGEST_WEIGHT));
        Some(Self {
            at: node.path.clone(),
            version: version?,
            weight: weight?,
        })
    }
}

impl PinCookieConfig {
    const KEYS: &'static [&'static str] = &[
        "name",
        "maxAgeSeconds",
        "domain",
        "path",
        "sameSite",
        "secure",
    ];

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.object(problems, Self::KEYS)?;
        let name = object
            .require(problems, "name", COOKIE_NAME)
            .and_then(|node| read_cookie_name(&node, problems));
        let same_site = read_name(
            &object,
            "sameSite",
            &[("Lax", SameSite::Lax), ("None", SameSite::None)],
            problems,
        );
        let config = Self {
            name: String::new(),
            // Browsers cap a cookie's age at 400 days (RFC 6265bis, 5.5).
            max_age_seconds: object
                .get("maxAgeSeconds")
                .and_then(|node| node.integer(problems, 1, 400 * 24 * 60 * 60)),
            domain: object.get("domain").and_then(|node| {
                node.parse(
                    problems,
                    "a host name: \"example.com\"",
                    parse_cookie_domain,
                )
            }),
            path: object
                .get("path")
                .and_then(|node| {
                    node.parse(problems, "a path that begins with \"/\"", parse_cookie_path)
                })
                .unwrap_or_else(|| "/".to_owned()),
            same_site,
            secure: read_switch(&object, "secure", problems),
        };
        Some(Self {
            name: name?,
            ..config
        })
    }
}

impl UnknownVersion {
    const NAMES: [(&'static str, Self); 3] = [
        ("auto", Self::Auto),
        ("current", Self::Current),
        ("reload", Self::Reload),
    ];
}

impl MinVersion {
    fn parse(text: &str) -> Option<Self> {
        Some(Self {
            written: text.to_owned(),
            semver: semver::Version::parse(text).ok()?,
        })
    }
}

impl ReloadConfig {
    fn read(root: &Object<'_>, problems: &mut Problems) -> Self {
        let object = root
            .get("reload")
            .and_then(|node| node.object(problems, &["status", "body", "clusters"]));
        let get = |key| object.as_ref().and_then(|object| object.get(key));
        Self {
            status: get("status")
                .and_then(|node| node.integer(problems, 400, 499))
                .and_then(|status| u16::try_from(status).ok())
                .unwrap_or(Self::DEFAULT_STATUS),
            body: get("body").map(|node| node.json.to_string()),
            clusters: get("clusters")
                .map(|node| node.list_of(problems, |item, problems| item.text(problems)))
                .unwrap_or_default(),
        }
    }
}

impl CorsConfig {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.object(problems, &["allowOrigins", "allowCredentials"])?;
        Some(Self {
            allow_origins: object
                .require(problems, "allowOrigins", ORIGIN)
                .map(|node| {
                    node.list_of(problems, |item, problems| {
                        item.parse(problems, ORIGIN, parse_origin)
                    })
                })
                .unwrap_or_default(),
            allow_credentials: object
                .get("allowCredentials")
                .and_then(|node| node.boolean(problems))
                .unwrap_or(false),
        })
    }
}

impl UpstreamVersionConfig {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.object(problems, &["responseHeader"])?;
        Some(Self {
            response_header: object
                .require(problems, "responseHeader", HEADER_NAME)
                .and_then(|node| read_header_name(&node, problems))?,
        })
    }
}

impl PreviewConfig {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        const SHA256: &str = "the SHA-256 of the key, 64 hexadecimal digits";
        let object = node.object(problems, &["sha256", "header", "query", "cookie"])?;
        let sha256 = object
            .require(problems, "sha256", SHA256)
            .and_then(|node| node.parse(problems, SHA256, parse_sha256));
        let header = object
            .get("header")
            .and_then(|node| read_header_name(&node, problems))
            .unwrap_or_else(|| "x-preview-key".to_owned());
        let query = object
            .get("query")
            .and_then(|node| read_query_name(&node, problems))
            .unwrap_or_else(|| "preview".to_owned());
        let cookie = object
            .get("cookie")
            .and_then(|node| read_cookie_name(&node, problems))
            .unwrap_or_else(|| "__preview".to_owned());
        Some(Self {
            sha256: sha256?,
            header,
            query,
            cookie,
        })
    }
}

const DEFAULT_ROUTE_HEADER: &str = "x-release";

fn read_hosts(root: &Object<'_>, problems: &mut Problems) -> Option<Vec<HostPattern>> {
    root.get("hosts").map(|node| {
        refuse_empty(&node, problems);
        node.list_of(problems, |item, problems| {
            item.parse(problems, HostPattern::ALLOWED, HostPattern::parse)
        })
    })
}

fn read_optional_paths(
    root: &Object<'_>,
    key: &str,
    problems: &mut Problems,
) -> Option<Vec<PathPrefix>> {
    root.get(key).map(|node| {
        refuse_empty(&node, problems);
        node.list_of(problems, read_path)
    })
}

fn read_paths(root: &Object<'_>, key: &str, problems: &mut Problems) -> Vec<PathPrefix> {
    root.get(key)
        .map(|node| node.list_of(problems, read_path))
        .unwrap_or_default()
}

fn read_path(node: &Node<'_>, problems: &mut Problems) -> Option<PathPrefix> {
    node.parse(problems, PathPrefix::ALLOWED, PathPrefix::parse)
}

fn read_route_header(root: &Object<'_>, problems: &mut Problems) -> String {
    root.get("routeHeader")
        .and_then(|node| read_header_name(&node, problems))
        .unwrap_or_else(|| DEFAULT_ROUTE_HEADER.to_owned())
}

fn read_sources(root: &Object<'_>, problems: &mut Problems) -> Vec<Source> {
    match root.get("sources") {
        Some(node) => {
            refuse_empty(&node, problems);
            node.list_of(problems, read_source)
        }
        None => vec![
            Source::Header("x-bundle-version".to_owned()),
            Source::Header("x-deployment-id".to_owned()),
            Source::Query("dpl".to_owned()),
        ],
    }
}

fn read_source(node: &Node<'_>, problems: &mut Problems) -> Option<Source> {
    const KINDS: &[&str] = &["header", "query", "path", "cookie", "baggage"];
    let object = node.object(problems, KINDS)?;
    let mut kinds = object.keys().filter(|key| KINDS.contains(key));
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        if object.keys().all(|key| KINDS.contains(&key)) {
            node.refuse(
                problems,
                "an object with one of the keys header, query, path, cookie and baggage",
            );
        }
        return None;
    };
    let value = object.get(kind)?;
    match kind {
        "header" => read_header_name(&value, problems).map(Source::Header),
        "query" => read_query_name(&value, problems).map(Source::Query),
        "path" => value
            .parse(problems, PathTemplate::ALLOWED, PathTemplate::parse)
            .map(Source::Path),
        "cookie" => read_cookie_name(&value, problems).map(Source::Cookie),
        _ => value
            .parse(problems, "a key of the baggage header: a token", |text| {
                is_token(text).then(|| text.to_owned())
            })
            .map(Source::Baggage),
    }
}

fn read_version(node: &Node<'_>, problems: &mut Problems) -> Option<Version> {
    node.parse(problems, Version::ALLOWED, |text| {
        Version::parse(text.into())
    })
}

/// A value that stands for one of a few names.
fn read_name<T: Copy + Default>(
    object: &Object<'_>,
    key: &str,
    names: &[(&str, T)],
    problems: &mut Problems,
) -> T {
    let allowed: Vec<_> = names.iter().map(|(name, _)| *name).collect();
    object
        .get(key)
        .and_then(|node| {
            node.parse(problems, &reader::enumerated(&allowed), |text| {
                names
                    .iter()
                    .find(|(name, _)| *name == text)
                    .map(|(_, value)| *value)
            })
        })
        .unwrap_or_default()
}

/// A switch that is on unless it is switched off.
fn read_switch(object: &Object<'_>, key: &str, problems: &mut Problems) -> bool {
    object
        .get(key)
        .and_then(|node| node.boolean(problems))
        .unwrap_or(true)
}

/// An empty list where its absence means something else than the writer of an empty one would think.
fn refuse_empty(node: &Node<'_>, problems: &mut Problems) {
    refuse_empty_list(
        node,
        problems,
        "a list that is not empty; leave the key out for its default",
    );
}

fn refuse_empty_list(node: &Node<'_>, problems: &mut Problems, allowed: &str) {
    if matches!(node.json, Json::Array(items) if items.is_empty()) {
        node.refuse(problems, allowed);
    }
}

const RELEASES: &str = "1 to 256 that are not retired, and up to 4096 that are";

const HEADER_NAME: &str = "the name of a header: letters, digits and - _ ., not a hop-by-hop header, host, cookie or content-*";

fn read_header_name(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    node.parse(problems, HEADER_NAME, parse_header_name)
}

/// Headers that are not the application's to choose.
const RESERVED_HEADERS: &[&str] = &[
    "authorization",
    "connection",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header that may be written and read without breaking the message that carries it.
fn parse_header_name(text: &str) -> Option<String> {
    let name = text.to_ascii_lowercase();
    let is_plain = is_token(&name) && name.len() <= 128;
    (is_plain && !RESERVED_HEADERS.contains(&name.as_str()) && !name.starts_with("content-"))
        .then_some(name)
}

fn read_query_name(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    node.parse(
        problems,
        "the name of a query parameter: letters, digits and - _ .",
        |text| is_token(text).then(|| text.to_owned()),
    )
}

const COOKIE_NAME: &str = "the name of a cookie: letters, digits and - _ .";

fn read_cookie_name(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    node.parse(problems, COOKIE_NAME, |text| {
        is_token(text).then(|| text.to_owned())
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn parse_route(text: &str) -> Option<String> {
    Version::parse(text.into()).map(|route| route.as_str().to_owned())
}

fn parse_time(text: &str) -> Option<u64> {
    let time =
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp()).ok()
}

fn parse_cookie_domain(text: &str) -> Option<String> {
    let host = text.strip_prefix('.').unwrap_or(text);
    matches!(HostPattern::parse(host)?, HostPattern::Exact(_)).then(|| host.to_owned())
}

fn parse_cookie_path(text: &str) -> Option<String> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b';');
    (text.starts_with('/') && is_plain).then(|| text.to_owned())
}

const ORIGIN: &str = "an origin, exact: \"https://app.example.com\"";

fn parse_origin(text: &str) -> Option<String> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let is_host = !host.is_empty()
        && host.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'[' | b']')
        });
    is_host.then(|| text.to_ascii_lowercase())
}

fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let mut sha256 = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in sha256.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(sha256)
}
