//! The configuration: what there is to be said, and its defaults.
//!
//! [`Config::load`] is the only way to one, and refuses what is wrong with all its problems at once.
//! `keys` reads it, key by key, over the nodes of `reader`; `check` finds what cannot be meant together.

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
/// The most patterns in all `accepts` together: a version that no release has is held against each.
pub const MAX_ACCEPTED: usize = 1024;
/// The largest weight of a release: what counts is the proportion, so nobody needs more.
pub const MAX_WEIGHT: u64 = 10_000;
/// The longest age of a cookie, in seconds: 400 days, at which browsers cap it (RFC 6265bis, 5.5).
const MAX_COOKIE_AGE: u64 = 400 * 24 * 60 * 60;

/// The whole configuration, with its defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host names that are guarded; absent: all.
    pub hosts: Option<Vec<HostPattern>>,
    /// Path prefixes that are guarded; absent: all.
    pub paths: Option<Vec<PathPrefix>>,
    /// The request header that is written for the mesh.
    pub route_header: String,
    /// Where a client version is read from, in order.
    pub sources: Vec<Source>,
    /// The releases, newest first.
    pub releases: Vec<ReleaseConfig>,
    /// Who answers requests without a version; absent: the mesh chooses.
    pub current: Option<CurrentConfig>,
    /// Path prefixes whose navigations stay on the client's version.
    pub pinned_navigation: Vec<PathPrefix>,
    /// Path prefixes that are never pinned.
    pub unpinned_paths: Vec<PathPrefix>,
    /// The cookie that remembers a visitor's version.
    pub pin_cookie: Option<PinCookie>,
    /// What is done for a client version that no release names or accepts.
    pub unknown_version: UnknownVersion,
    /// The oldest version that is served at all.
    pub min_version: Option<MinVersion>,
    /// Versions that are never served.
    pub denied: Vec<Version>,
    /// The answer to a client that has to reload.
    pub reload: ReloadConfig,
    /// Cross-origin access to answers that the filter makes itself.
    pub cors: Option<CorsConfig>,
    /// What becomes of conditions on what the client has already.
    pub conditional: Conditional,
    /// Whether a stale client is told so.
    pub hints: bool,
    /// Whether `Vary` names the header sources on answers to API calls.
    pub vary: bool,
    /// Whether an asset that is answered with a page becomes 404.
    pub asset_fallback: bool,
    /// In which response header a pod says its version.
    pub upstream_version: Option<UpstreamVersionConfig>,
    /// How testers reach staged releases.
    pub preview: Option<PreviewAccess>,
    /// Whether decisions are carried out; else they are only counted.
    pub enforce: bool,
    /// Whether the outcome is noted on the stream, for access logs.
    pub log_outcome: bool,
    /// The number by which a pipeline knows this configuration.
    pub revision: Option<u64>,
}

impl Config {
    /// The request header that is written for the mesh, where none is named.
    pub const DEFAULT_ROUTE_HEADER: &'static str = "x-release";

    /// The configuration that these bytes are, or all that is wrong with it.
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
    /// Where it stands, for problems that are found later: `releases[1]`.
    pub at: String,
    /// The version that names it.
    pub version: Version,
    /// The value of the route header that selects it; the version where it was left out. While a
    /// configuration is checked, it is empty where it could not be read.
    pub route: String,
    /// Where it is in its life.
    pub state: State,
    /// Other client versions whose API calls it also serves.
    pub accepts: Vec<VersionPattern>,
    /// When a draining release is retired; kept as seconds since 1970, UTC.
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
pub enum CurrentConfig {
    /// One release.
    One(Version),
    /// Several, each with its share of the visitors.
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
    /// Where it stands, for problems that are found later: `current[0]`.
    pub at: String,
    /// The release.
    pub version: Version,
    /// Its weight; only the proportion to the others counts.
    pub weight: u64,
}

/// What is done for a client version that no release names or accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// What becomes of conditions on what the client has already: `if-none-match` and its like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conditional {
    /// They go where something else than the URL chose the release: releases often share an ETag, and
    /// "not modified" would give the client what it has of another one.
    #[default]
    Auto,
    /// They stay: for an application whose every ETag is a hash of the content.
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
    /// Clusters whose failures count as a release's own.
    pub clusters: Vec<String>,
}

impl ReloadConfig {
    /// "Conflict": what the client knows is in conflict with what the server has.
    pub const DEFAULT_STATUS: u16 = 409;
}

/// Cross-origin access to answers that the filter makes itself.
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

/// What can still be read of a wrong configuration: enough to keep a forged route header away, and to tell
/// whose it is. `None` is what cannot be read.
#[derive(Clone, Debug)]
pub struct PartialConfig {
    /// Host names that are guarded; absent within: all.
    pub hosts: Option<Option<Vec<HostPattern>>>,
    /// Path prefixes that are guarded; absent within: all.
    pub paths: Option<Option<Vec<PathPrefix>>>,
    /// The request header that is written for the mesh.
    pub route_header: Option<String>,
    /// The versions of the releases that can be read.
    pub versions: Vec<Version>,
}

/// What can be read of a configuration that is wrong somewhere; `None` where it is no JSON object.
#[must_use]
pub fn load_partial(bytes: &[u8]) -> Option<PartialConfig> {
    keys::read_partial(bytes)
}
