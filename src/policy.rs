//! The policy: a configuration, compiled for answering requests.
//!
//! [`Config::load`] lets no configuration with a problem through, so nothing from here on has to
//! consider one.

use std::collections::BinaryHeap;
use std::rc::Rc;

use crate::config::{
    Conditional, Config, CorsConfig, CurrentConfig, MinVersion, ReleaseConfig, ReloadConfig, State,
    UnknownVersion,
};
use crate::pin::PinCookie;
use crate::preview::PreviewAccess;
use crate::scope::{PathPrefix, Scope};
use crate::source::{Carrier, Source};
use crate::version::{Version, VersionPattern};

/// What the filter does; valid by construction.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which requests are in scope.
    pub scope: Scope,
    /// The request header that is written for the mesh.
    pub route_header: String,
    /// The headers that a client version is read from before anything else.
    pub leading_headers: Vec<Source>,
    /// Where else it is read from, in order; the pin cookie is the last.
    pub further_sources: Vec<Source>,
    /// The releases that are not retired, newest first.
    pub releases: Vec<Rc<Release>>,
    /// The release for requests without a version; absent: the mesh chooses.
    pub current: Option<Current>,
    /// Path prefixes whose navigations stay on the client's version.
    pub pinned_navigation: Vec<PathPrefix>,
    /// Path prefixes that are never pinned.
    pub unpinned_paths: Vec<PathPrefix>,
    /// The cookie that remembers a visitor's version.
    pub pin_cookie: Option<PinCookie>,
    /// What happens to a client version that no release has or accepts.
    pub unknown_version: UnknownVersion,
    /// The answer to a client that has to reload.
    pub reload: ReloadConfig,
    /// Cross-origin access to the filter's own answers.
    pub cors: Option<CorsConfig>,
    /// What happens to conditional headers.
    pub conditional: Conditional,
    /// Whether a stale client is told that there is a newer release.
    pub hints: bool,
    /// The header sources for `Vary` on answers to API calls; empty where they are not to be named.
    pub vary: Vec<String>,
    /// Whether an asset request that is answered with a page gets a 404.
    pub asset_fallback: bool,
    /// The response header in which a pod says its version.
    pub upstream_version: Option<String>,
    /// How testers reach staged releases.
    pub preview: Option<PreviewAccess>,
    /// Whether the outcome is noted on the stream, for access logs.
    pub log_outcome: bool,
    /// Whether decisions are carried out or only counted.
    pub enforce: bool,
    /// The number by which a pipeline recognises this configuration.
    pub revision: Option<u64>,
    /// The versions of the releases in order, each behind its first bytes and with the place of its release.
    by_version: Vec<(u64, Version, usize)>,
    /// The releases that accept other versions than their own, in the order in which they are asked.
    accepting: Vec<Rc<Release>>,
    /// The oldest live release, where all of them are semver.
    oldest_live: Option<semver::Version>,
    /// In order.
    retired: Vec<Version>,
    /// In order.
    denied: Vec<Version>,
    min_version: Option<MinVersion>,
}

/// A release that is not listed as retired.
#[derive(Debug)]
pub struct Release {
    /// The version that names it.
    pub version: Version,
    /// The value of the route header that selects it.
    pub route: String,
    /// Its place among the releases that are not retired.
    pub index: usize,
    state: State,
    accepts: Vec<VersionPattern>,
    until: Option<u64>,
}

impl Release {
    /// Whether clients that ask for it get it at this time.
    #[must_use]
    pub fn is_served(&self, now: impl FnOnce() -> u64) -> bool {
        match self.state {
            State::Live => true,
            State::Draining => self.until.is_none_or(|until| now() < until),
            State::Staged | State::Retired => false,
        }
    }

    /// Its state, as listed.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether only testers reach it.
    #[must_use]
    pub fn is_staged(&self) -> bool {
        self.state == State::Staged
    }

    /// Whether its clients are told that there is a newer one.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state == State::Draining
    }

    /// Whether it also serves the API calls of this client version.
    #[must_use]
    pub fn accepts(&self, version: &Version) -> bool {
        !self.accepts.is_empty() && self.accepts_as(version, version.semver().as_ref())
    }

    /// The same for a version that has already been parsed as semver.
    fn accepts_as(&self, version: &Version, semver: Option<&semver::Version>) -> bool {
        self.accepts
            .iter()
            .any(|pattern| pattern.matches_as(version, semver))
    }
}

/// The release for requests without a version.
#[derive(Clone, Debug)]
pub struct Current {
    /// The release with the largest weight, the first on a tie.
    pub heaviest: Rc<Release>,
    /// The releases and their weights, where visitors are divided among several.
    pub weights: Option<Vec<(Rc<Release>, u64)>>,
}

impl Current {
    /// Whether a release is in it, at whatever weight.
    #[must_use]
    pub fn holds(&self, release: &Release) -> bool {
        match &self.weights {
            None => self.heaviest.index == release.index,
            Some(weights) => weights
                .iter()
                .any(|(member, _)| member.index == release.index),
        }
    }
}

/// Why a client version is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneReason {
    /// It is listed as retired, or its draining time is over.
    Retired,
    /// It is one of those that are never served.
    Denied,
    /// It is older than the oldest that is served.
    BelowMinimum,
    /// No release names or accepts it.
    Unknown,
}

impl Policy {
    /// The release of this version that is not retired, if there is one; staged ones included.
    #[must_use]
    pub fn named(&self, version: &Version) -> Option<&Rc<Release>> {
        let wanted = head_of(version);
        let found = self
            .by_version
            .binary_search_by(|(head, known, _)| head.cmp(&wanted).then_with(|| known.cmp(version)))
            .ok()?;
        let (_, _, place) = self.by_version.get(found)?;
        self.releases.get(*place)
    }

    /// The release that answers the API calls of this version, which is not its own.
    #[must_use]
    pub fn accepting(&self, version: &Version, now: impl Fn() -> u64) -> Option<&Rc<Release>> {
        if self.accepting.is_empty() {
            return None;
        }
        let semver = version.semver();
        self.accepting
            .iter()
            .find(|release| release.accepts_as(version, semver.as_ref()) && release.is_served(&now))
    }

    /// The places in the path that carry a version.
    pub fn path_sources(&self) -> impl Iterator<Item = &Source> {
        self.further_sources
            .iter()
            .filter(|source| matches!(source, Source::Path(_)))
    }

    /// Whether a cookie may carry a version.
    #[must_use]
    pub fn has_cookie_source(&self) -> bool {
        self.further_sources
            .iter()
            .any(|source| source.carrier() == Carrier::Cookie)
    }

    /// The query parameters that carry a version.
    pub fn query_sources(&self) -> impl Iterator<Item = &str> {
        self.further_sources
            .iter()
            .filter_map(|source| match source {
                Source::Query(name) => Some(name.as_str()),
                _ => None,
            })
    }

    /// Whether a version is listed as retired.
    #[must_use]
    pub fn is_retired(&self, version: &Version) -> bool {
        self.retired.binary_search(version).is_ok()
    }

    /// Why a version is never served, whatever the releases say; `None` if it may be.
    #[must_use]
    pub fn refuses(&self, version: &Version) -> Option<GoneReason> {
        if self.denied.binary_search(version).is_ok() {
            return Some(GoneReason::Denied);
        }
        let floor = self.min_version.as_ref()?;
        version
            .is_below(&floor.semver)
            .then_some(GoneReason::BelowMinimum)
    }

    /// Whether a version is semver and older than every live release, and there is one.
    #[must_use]
    pub fn is_older_than_every_live_release(&self, version: &Version) -> bool {
        self.oldest_live
            .as_ref()
            .is_some_and(|oldest| version.is_below(oldest))
    }

    /// Whether a client on this release should be told that there is a newer one.
    #[must_use]
    pub fn is_superseded(&self, release: &Release) -> bool {
        release.is_draining()
            || self
                .current
                .as_ref()
                .is_some_and(|current| !current.holds(release))
    }

    /// Whether the next navigation of a visitor of this release can reach another one: the condition
    /// under which a reload helps.
    #[must_use]
    pub fn can_be_left(&self, release: &Release) -> bool {
        match &self.current {
            Some(current) => !current.holds(release),
            None => self
                .releases
                .iter()
                .find(|release| release.state == State::Live)
                .is_some_and(|first| first.index != release.index),
        }
    }

    /// An origin, where its scripts may read the filter's own answers.
    #[must_use]
    pub fn allowed_origin(&self, origin: &[u8]) -> Option<String> {
        let origin = std::str::from_utf8(origin).ok()?;
        let mut allowed = self.cors.as_ref()?.allow_origins.iter();
        allowed
            .any(|allowed| allowed.holds(origin))
            .then(|| origin.to_owned())
    }
}

impl From<Config> for Policy {
    fn from(config: Config) -> Self {
        let mut releases = Vec::new();
        let mut retired = Vec::new();
        for release in config.releases {
            if release.state == State::Retired {
                retired.push(release.version);
            } else {
                releases.push(Rc::new(Release::compile(release, releases.len())));
            }
        }
        let retired = sorted(retired);
        let denied = sorted(config.denied);
        let current = config
            .current
            .and_then(|current| Current::compile(current, &releases));
        let vary = if config.vary {
            header_sources(&config.sources)
        } else {
            Vec::new()
        };
        let pin = config
            .pin_cookie
            .as_ref()
            .map(|cookie| Source::Pin(cookie.name.clone()));
        let mut leading_headers = config.sources;
        let leading = leading_headers
            .iter()
            .take_while(|source| matches!(source, Source::Header(_)))
            .count();
        let further_sources = leading_headers.drain(leading..).chain(pin).collect();
        Self {
            scope: Scope::new(config.hosts, config.paths),
            route_header: config.route_header,
            leading_headers,
            further_sources,
            by_version: by_version(&releases),
            accepting: accepting(&releases, current.as_ref()),
            oldest_live: oldest_live(&releases),
            releases,
            current,
            pinned_navigation: config.pinned_navigation,
            unpinned_paths: config.unpinned_paths,
            pin_cookie: config.pin_cookie,
            unknown_version: config.unknown_version,
            reload: config.reload,
            cors: config.cors,
            conditional: config.conditional,
            hints: config.hints,
            vary,
            asset_fallback: config.asset_fallback,
            upstream_version: config
                .upstream_version
                .map(|upstream_version| upstream_version.response_header),
            preview: config.preview,
            log_outcome: config.log_outcome,
            enforce: config.enforce,
            revision: config.revision,
            retired,
            denied,
            min_version: config.min_version,
        }
    }
}

impl Release {
    fn compile(config: ReleaseConfig, index: usize) -> Self {
        Self {
            version: config.version,
            route: config.route,
            index,
            state: config.state,
            accepts: config.accepts,
            until: config.until,
        }
    }
}

impl Current {
    /// A version that names no release is left out; [`Config::load`] lets none through.
    fn compile(config: CurrentConfig, releases: &[Rc<Release>]) -> Option<Self> {
        let shares = match config {
            CurrentConfig::One(version) => {
                return find(releases, &version).map(|only| Self {
                    heaviest: Rc::clone(only),
                    weights: None,
                });
            }
            CurrentConfig::Weighted(shares) => shares,
        };
        let weights: Vec<_> = shares
            .into_iter()
            .filter_map(|share| Some((find(releases, &share.version).cloned()?, share.weight)))
            .collect();
        let heaviest = weights
            .iter()
            .rev()
            .max_by_key(|(_, weight)| *weight)
            .map(|(release, _)| Rc::clone(release))?;
        Some(Self {
            heaviest,
            weights: Some(weights),
        })
    }
}

/// The release of a version, before the index exists.
fn find<'r>(releases: &'r [Rc<Release>], version: &Version) -> Option<&'r Rc<Release>> {
    releases.iter().find(|release| release.version == *version)
}

/// Those that accept other versions, in the order in which they are asked. Releases in current come first:
/// one that is only listed may have no pods yet, and must not take another's clients. Without current the
/// oldest live release comes first, because it has been there longest.
fn accepting(releases: &[Rc<Release>], current: Option<&Current>) -> Vec<Rc<Release>> {
    let all = || {
        releases
            .iter()
            .filter(|release| !release.accepts.is_empty())
    };
    let mut first: Vec<_> = match current {
        Some(current) => all()
            .filter(|release| current.holds(release))
            .cloned()
            .collect(),
        None => oldest_first(all().filter(|release| release.state == State::Live)),
    };
    let others: Vec<_> = all()
        .filter(|release| !first.iter().any(|taken| taken.index == release.index))
        .cloned()
        .collect();
    first.extend(others);
    first
}

/// By semver if all of them are, otherwise from the end of the list, which begins with the newest.
fn oldest_first<'r>(releases: impl Iterator<Item = &'r Rc<Release>>) -> Vec<Rc<Release>> {
    let mut releases: Vec<_> = releases.cloned().collect();
    releases.reverse();
    let versions: Option<Vec<_>> = releases
        .iter()
        .map(|release| release.version.semver())
        .collect();
    let Some(versions) = versions else {
        return releases;
    };
    let placed = versions.into_iter().zip(0_usize..);
    sorted(placed.collect())
        .into_iter()
        .filter_map(|(_, place)| releases.get(place).cloned())
        .collect()
}

fn by_version(releases: &[Rc<Release>]) -> Vec<(u64, Version, usize)> {
    let placed = releases.iter().map(|release| {
        let version = &release.version;
        (head_of(version), version.clone(), release.index)
    });
    sorted(placed.collect())
}

/// A version's first bytes as a number, which compares like the bytes, but without a call.
fn head_of(version: &Version) -> u64 {
    let bytes = version.as_str().bytes().chain(std::iter::repeat(0));
    bytes
        .take(size_of::<u64>())
        .fold(0, |head, byte| head << 8 | u64::from(byte))
}

fn oldest_live(releases: &[Rc<Release>]) -> Option<semver::Version> {
    let live = releases
        .iter()
        .filter(|release| release.state == State::Live);
    let versions: Option<Vec<_>> = live.map(|release| release.version.semver()).collect();
    versions?
        .into_iter()
        .min_by(semver::Version::cmp_precedence)
}

fn header_sources(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter_map(|source| match source {
            Source::Header(name) => Some(name.clone()),
            Source::Baggage(_) => Some("baggage".to_owned()),
            Source::Query(_) | Source::Path(_) | Source::Cookie(_) | Source::Pin(_) => None,
        })
        .collect()
}

/// Sorts with a heap, which takes a tenth of the code of `sort`.
fn sorted<T: Ord>(values: Vec<T>) -> Vec<T> {
    BinaryHeap::from(values).into_sorted_vec()
}
