//! The configuration: its keys and their defaults.
//!
//! [`Config::load`] is the only way to get one. It refuses a wrong one and reports all its problems at once.
//! `keys` reads it, key by key, over the nodes of `reader`; `check` finds contradictions.

use crate::origin::OriginPattern;
use crate::pin::PinCookie;
use crate::preview::PreviewAccess;
use crate::scope::{HostPattern, PathPrefix};
use crate::source::Source;
use crate::version::{Version, VersionPattern};

mod check;
pub mod json;
mod keys;
mod problems;
mod reader;
mod values;

pub use problems::{Problem, Problems};

/// The most releases that are not retired.
pub const MAX_SERVED: usize = 256;
/// The most retired releases.
pub const MAX_RETIRED: usize = 4096;
/// The most patterns in all `accepts` together: a version that no release has is compared with
/// each.
pub const MAX_ACCEPTED: usize = 1024;
/// The largest weight of a release: only the ratio matters, so nobody needs more.
pub const MAX_WEIGHT: u64 = 10_000;
/// The longest age of a cookie, in seconds: 400 days, at which browsers cap it (RFC 6265bis, 5.5).
const MAX_COOKIE_AGE: u64 = 400 * 24 * 60 * 60;

/// The whole configuration, with its defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The host names in scope; absent: all.
    pub hosts: Option<Vec<HostPattern>>,
    /// The path prefixes in scope; absent: all.
    pub paths: Option<Vec<PathPrefix>>,
    /// The request header that is written for the mesh.
    pub route_header: String,
    /// Where a client version is read from, in order.
    pub sources: Vec<Source>,
    /// The releases, newest first.
    pub releases: Vec<ReleaseConfig>,
    /// The release for requests without a version; absent: the mesh chooses.
    pub current: Option<CurrentConfig>,
    /// Path prefixes whose navigations stay on the client's version.
    pub pinned_navigation: Vec<PathPrefix>,
    /// Path prefixes that are never pinned.
    pub unpinned_paths: Vec<PathPrefix>,
    /// The cookie that remembers a visitor's version.
    pub pin_cookie: Option<PinCookie>,
    /// What happens to a client version that no release has or accepts.
    pub unknown_version: UnknownVersion,
    /// Versions below this one are gone.
    pub min_version: Option<MinVersion>,
    /// Versions that are never served.
    pub denied: Vec<Version>,
    /// The answer to a client that has to reload.
    pub reload: ReloadConfig,
    /// Cross-origin access to the filter's own answers.
    pub cors: Option<CorsConfig>,
    /// What happens to conditional headers.
    pub conditional: Conditional,
    /// Whether a stale client is told that there is a newer release.
    pub hints: bool,
    /// Whether `Vary` names the header sources on answers to API calls.
    pub vary: bool,
    /// Whether an asset request that is answered with a page gets a 404.
    pub asset_fallback: bool,
    /// The response header in which a pod says its version.
    pub upstream_version: Option<UpstreamVersionConfig>,
    /// How testers reach staged releases.
    pub preview: Option<PreviewAccess>,
    /// Whether decisions are carried out or only counted.
    pub enforce: bool,
    /// Whether the outcome is noted on the stream, for access logs.
    pub log_outcome: bool,
    /// The number by which a pipeline recognises this configuration.
    pub revision: Option<u64>,
}

impl Config {
    /// The request header that is written for the mesh, where none is named.
    pub const DEFAULT_ROUTE_HEADER: &'static str = "x-release";

    /// Parses a configuration, or reports everything that is wrong with it.
    ///
    /// # Errors
    /// Every problem at once, each with its path and what is allowed there.
    #[cold]
    pub fn load(bytes: &[u8]) -> Result<Self, Problems> {
        let report = problems::Report::default();
        let config = keys::read(bytes, &report);
        let mut problems = report.take();
        if let Some(config) = &config {
            check::check(config, &mut problems);
        }
        config.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// Where a client version is read from, where no source is named.
    #[must_use]
    pub fn default_sources() -> Vec<Source> {
        vec![
            Source::Header("x-bundle-version".to_owned()),
            Source::Header("x-deployment-id".to_owned()),
            Source::Query("dpl".to_owned()),
        ]
    }
}

/// One release.
#[derive(Clone, Debug)]
pub struct ReleaseConfig {
    /// Its place in the configuration, for problems that are found later: `releases[1]`.
    pub at: String,
    /// The version that names it.
    pub version: Version,
    /// The value of the route header that selects it; by default the version. While a configuration
    /// is checked, it is empty if it could not be read.
    pub route: String,
    /// Where it is in its life.
    pub state: State,
    /// Other client versions whose calls it can answer.
    pub accepts: Vec<VersionPattern>,
    /// When a draining release begins to count as retired, in seconds since 1970, UTC.
    pub until: Option<u64>,
}

/// Where a release is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Its routes exist; testers with the preview key reach it.
    Staged,
    /// Clients that ask for it get it.
    #[default]
    Live,
    /// Like live, and its clients are told that there is a newer release.
    Draining,
    /// No longer served; stays listed as long as tabs of it may be open.
    Retired,
}

impl State {
    /// All states, in the order of a release's life.
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

/// The release for requests without a version.
#[derive(Clone, Debug)]
pub enum CurrentConfig {
    /// One release.
    One(Version),
    /// Several releases, each with its share of the visitors.
    Weighted(Vec<Share>),
}

impl CurrentConfig {
    /// The releases in it, each with its weight; one alone has a weight of 1.
    pub fn shares(&self) -> impl Iterator<Item = (&Version, u64)> {
        let (one, several) = match self {
            Self::One(version) => (Some((version, 1)), [].as_slice()),
            Self::Weighted(shares) => (None, shares.as_slice()),
        };
        let several = several.iter().map(|share| (&share.version, share.weight));
        one.into_iter().chain(several)
    }

    /// A release's share of the visitors, and of how many that is; none where it is not in it.
    #[must_use]
    pub fn share_of(&self, version: &Version) -> Option<(u64, u64)> {
        let (_, own) = self.shares().find(|(member, _)| *member == version)?;
        Some((own, self.shares().map(|(_, weight)| weight).sum()))
    }
}

/// A release's share of the visitors.
#[derive(Clone, Debug)]
pub struct Share {
    /// Its place in the configuration, for problems that are found later: `current[0]`.
    pub at: String,
    /// The release.
    pub version: Version,
    /// Its weight; only the ratio to the others matters.
    pub weight: u64,
}

/// What happens to a client version that no release has or accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownVersion {
    /// With `current`: gone. Without: gone if it and all live releases are semver and it is older
    /// than every one of them; otherwise the mesh chooses.
    #[default]
    Auto,
    /// The current release answers.
    Current,
    /// Gone.
    Reload,
}

/// What happens to conditional headers such as `if-none-match`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conditional {
    /// They are removed where something other than the URL chose the release: releases often share an
    /// ETag, and "not modified" would leave the client with what it has from another release.
    #[default]
    Auto,
    /// They stay, for an application whose ETags are all hashes of the content.
    Keep,
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
pub struct ReloadConfig {
    /// The HTTP status, 400 to 499.
    pub status: u16,
    /// The JSON body; absent: one that says which version is gone and which is current.
    pub body: Option<String>,
    /// Clusters whose failures count as a release's although their names do not contain its route.
    pub clusters: Vec<String>,
}

impl ReloadConfig {
    /// "Conflict": what the client knows is in conflict with what the server has.
    pub const DEFAULT_STATUS: u16 = 409;
}

/// Cross-origin access to the filter's own answers.
#[derive(Clone, Debug)]
pub struct CorsConfig {
    /// Whose scripts may read them.
    pub allow_origins: Vec<OriginPattern>,
    /// Whether requests with credentials may read the answer.
    pub allow_credentials: bool,
}

/// How a pod says its version.
#[derive(Clone, Debug)]
pub struct UpstreamVersionConfig {
    /// The response header, by its lower-case name.
    pub response_header: String,
}

/// What can still be read of a wrong configuration: enough to remove a forged route header, and to tell
/// which application it is for. `None` could not be read.
#[derive(Clone, Debug)]
pub struct PartialConfig {
    /// The host names in scope; an inner `None` means all.
    pub hosts: Option<Option<Vec<HostPattern>>>,
    /// The path prefixes in scope; an inner `None` means all.
    pub paths: Option<Option<Vec<PathPrefix>>>,
    /// The request header that is written for the mesh.
    pub route_header: Option<String>,
    /// The versions of the releases that can be read.
    pub versions: Vec<Version>,
}

/// What can be read of a wrong configuration; `None` if it is not a JSON object.
#[must_use]
pub fn load_partial(bytes: &[u8]) -> Option<PartialConfig> {
    keys::read_partial(bytes)
}
