//! The policy: a configuration that makes sense, compiled for answering requests.
//!
//! A [`Policy`] cannot be had from a configuration with a problem, so nothing after this file has to
//! think of one.

use std::collections::BinaryHeap;
use std::rc::Rc;

use crate::config::{
    self, Config, CorsConfig, CurrentConfig, MOST_RETIRED, MOST_SERVED, MinVersion,
    PinCookieConfig, PreviewConfig, Problems, ReleaseConfig, ReloadConfig, SameSite, State,
    UnknownVersion,
};
use crate::request::Request;
use crate::scope::{PathPrefix, Scope};
use crate::source::Source;
use crate::version::{Version, VersionPattern};

/// What the filter does, valid by construction.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which requests are ours.
    pub scope: Scope,
    /// The request header that is written for the mesh.
    pub route_header: String,
    /// The headers that a client version is read from before anything else.
    pub leading_headers: Vec<Source>,
    /// Where else it is read from, in order; the pin cookie is the last.
    pub further_sources: Vec<Source>,
    /// The releases that are not retired, newest first.
    pub releases: Vec<Rc<Release>>,
    /// Who answers requests without a version; absent: the mesh chooses.
    pub current: Option<Current>,
    /// Path prefixes whose navigations stay on the client's version.
    pub pinned_navigation: Vec<PathPrefix>,
    /// Path prefixes that are never pinned.
    pub unpinned_paths: Vec<PathPrefix>,
    /// The cookie that remembers a visitor's version.
    pub pin_cookie: Option<PinCookieConfig>,
    /// What is done for a client version that no release names or accepts.
    pub unknown_version: UnknownVersion,
    /// The answer to a client that has to reload.
    pub reload: ReloadConfig,
    /// Cross-origin access to answers that the filter makes itself.
    pub cors: Option<CorsConfig>,
    /// Whether a stale client is told so.
    pub hints: bool,
    /// The header sources for `Vary` on answers to API calls; empty where they are not to be named.
    pub vary: Vec<String>,
    /// Whether an asset that is answered with a page becomes 404.
    pub asset_fallback: bool,
    /// The response header in which a pod says its version.
    pub upstream_version: Option<String>,
    /// How testers reach staged releases.
    pub preview: Option<PreviewConfig>,
    /// Whether decisions are carried out; else they are only counted.
    pub enforce: bool,
    /// The number by which a pipeline knows this configuration.
    pub revision: Option<u64>,
    /// In order.
    retired: Vec<Version>,
    /// In order.
    denied: Vec<Version>,
    min_version: Option<MinVersion>,
}

/// A release that is not retired, as far as its entry says.
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
    /// Whether clients that ask for it get it, at this time.
    #[must_use]
    pub fn is_served(&self, now: impl FnOnce() -> u64) -> bool {
        match self.state {
            State::Live => true,
            State::Draining => self.until.is_none_or(|until| now() < until),
            State::Staged | State::Retired => false,
        }
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
        self.accepts.iter().any(|pattern| pattern.matches(version))
    }
}

/// Who answers requests without a version.
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
            Some(weights) => weights.iter().any(|(held, _)| held.index == release.index),
        }
    }
}

/// Why a client version is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It is listed as retired, or drained until its time.
    Retired,
    /// It is one of those that are never served.
    Denied,
    /// It is older than the oldest that is served.
    BelowMinimum,
    /// No release names or accepts it.
    Unknown,
}

impl Policy {
    /// The policy that a configuration means, or all that is wrong with it.
    ///
    /// # Errors
    /// Every problem of the configuration at once, each with its path and what is allowed there.
    #[cold]
    pub fn load(bytes: &[u8]) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let config = config::read(bytes, &mut problems);
        if let Some(config) = &config {
            contradictions(config, &mut problems);
        }
        match config {
            Some(config) if problems.is_empty() => Self::compile(config).ok_or(problems),
            _ => Err(problems),
        }
    }

    /// The release of this version that is not retired, if there is one; staged ones included.
    #[must_use]
    pub fn named(&self, version: &Version) -> Option<&Rc<Release>> {
        find(&self.releases, version)
    }

    /// Whether a version is listed as retired.
    #[must_use]
    pub fn is_retired(&self, version: &Version) -> bool {
        self.retired.binary_search(version).is_ok()
    }

    /// Why a version is never served, whatever releases say; `None` where it may be.
    #[must_use]
    pub fn refuses(&self, version: &Version) -> Option<Gone> {
        if self.denied.binary_search(version).is_ok() {
            return Some(Gone::Denied);
        }
        let floor = self.min_version.as_ref()?;
        version
            .is_below(&floor.semver)
            .then_some(Gone::BelowMinimum)
    }

    /// Whether a version is semver and older than every live release, of which there is one.
    #[must_use]
    pub fn is_older_than_every_live_release(&self, version: &Version) -> bool {
        let mut live = self
            .releases
            .iter()
            .filter(|release| release.state == State::Live)
            .peekable();
        live.peek().is_some()
            && live.all(|release| {
                release
                    .version
                    .semver()
                    .is_some_and(|semver| version.is_below(&semver))
            })
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

    /// The origin of the request, where its scripts may read the filter's own answers.
    #[must_use]
    pub fn allowed_origin(&self, request: &Request<'_>) -> Option<String> {
        let cors = self.cors.as_ref()?;
        let origin = String::from_utf8(request.header("origin")?).ok()?;
        cors.allow_origins.contains(&origin).then_some(origin)
    }

    fn compile(config: Config) -> Option<Self> {
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
        let current = match config.current {
            None => None,
            Some(current) => Some(Current::compile(current, &releases)?),
        };
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
        Some(Self {
            scope: Scope::new(config.hosts, config.paths),
            route_header: config.route_header,
            leading_headers,
            further_sources,
            releases,
            current,
            pinned_navigation: config.pinned_navigation,
            unpinned_paths: config.unpinned_paths,
            pin_cookie: config.pin_cookie,
            unknown_version: config.unknown_version,
            reload: config.reload,
            cors: config.cors,
            hints: config.hints,
            vary,
            asset_fallback: config.asset_fallback,
            upstream_version: config
                .upstream_version
                .map(|upstream_version| upstream_version.response_header),
            preview: config.preview,
            enforce: config.enforce,
            revision: config.revision,
            retired,
            denied,
            min_version: config.min_version,
        })
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
    fn compile(config: CurrentConfig, releases: &[Rc<Release>]) -> Option<Self> {
        let shares = match config {
            CurrentConfig::One(version) => {
                return Some(Self {
                    heaviest: find(releases, &version).cloned()?,
                    weights: None,
                });
            }
            CurrentConfig::Weighted(shares) => shares,
        };
        let weights = shares
            .into_iter()
            .map(|share| Some((find(releases, &share.version).cloned()?, share.weight)))
            .collect::<Option<Vec<_>>>()?;
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

/// The release of a version. There are a handful, at most 256: a walk is quicker than a map.
fn find<'r>(releases: &'r [Rc<Release>], version: &Version) -> Option<&'r Rc<Release>> {
    releases.iter().find(|release| release.version == *version)
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

/// Notes what cannot be meant, though each part of it could be.
fn contradictions(config: &Config, problems: &mut Problems) {
    check_releases(config, problems);
    check_accepts(config, problems);
    check_current(config, problems);
    check_sources(config, problems);
    check_minimum(config, problems);
    check_cookies(config, problems);
    if config.unknown_version == UnknownVersion::Current && config.current.is_none() {
        problems.add(
            "unknownVersion",
            "\"current\" needs the key current; allowed without it: auto and reload",
        );
    }
}

fn check_releases(config: &Config, problems: &mut Problems) {
    let retired = count(config, |state| state == State::Retired);
    let served = config.releases.len() - retired;
    if served == 0 && retired > 0 && !problems.mention("releases") {
        problems.add(
            "releases",
            "all are retired; allowed: 1 to 256 that are not",
        );
    }
    if served > MOST_SERVED {
        problems.add(
            "releases",
            format!("{served} are not retired; allowed: 1 to {MOST_SERVED}"),
        );
    }
    if retired > MOST_RETIRED {
        problems.add(
            "releases",
            format!("{retired} are retired; allowed: up to {MOST_RETIRED}; leave out the oldest"),
        );
    }
    check_names(config, problems);
    for release in &config.releases {
        check_state(release, config, problems);
    }
}

fn check_names(config: &Config, problems: &mut Problems) {
    let releases = &config.releases;
    let versions = releases
        .iter()
        .map(|release| (release.version.as_str(), release.at.as_str()));
    for (version, first, at) in repeated(versions.collect()) {
        problems.add(
            format!("{at}.version"),
            format!("\"{version}\" is the version of {first} too; allowed: each version once"),
        );
    }
    let routes = served(config).map(|release| (release.route.as_str(), release.at.as_str()));
    for (route, first, at) in repeated(routes.collect()) {
        problems.add(
            format!("{at}.route"),
            format!(
                "\"{route}\" is the route of {first} too; allowed: a route of its own for each release that is not retired"
            ),
        );
    }
}

/// The names that come again, each with where it came before and where it comes again.
fn repeated<'a>(named: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str, &'a str)> {
    // With its place, so that of two equal names the one that was written first comes first.
    let placed = (0..)
        .zip(named)
        .map(|(place, (name, at))| (name, place, at));
    let named: Vec<(_, usize, _)> = sorted(placed.collect());
    named
        .iter()
        .zip(named.iter().skip(1))
        .filter(|((one, ..), (other, ..))| one == other)
        .map(|((name, _, first), (.., at))| (*name, *first, *at))
        .collect()
}

/// In order: by a heap, which is a tenth of the code of `sort`, and quick enough for names by the thousand.
fn sorted<T: Ord>(values: Vec<T>) -> Vec<T> {
    BinaryHeap::from(values).into_sorted_vec()
}

fn served(config: &Config) -> impl Iterator<Item = &ReleaseConfig> {
    config
        .releases
        .iter()
        .filter(|release| release.state != State::Retired)
}

fn check_state(release: &ReleaseConfig, config: &Config, problems: &mut Problems) {
    if release.until.is_some() && matches!(release.state, State::Live | State::Staged) {
        problems.add(
            format!("{}.until", release.at),
            format!(
                "a {} release does not end by itself; allowed: until beside \"state\": \"draining\"",
                release.state.name()
            ),
        );
    }
    if release.state == State::Staged && config.current.is_none() {
        problems.add(
            format!("{}.state", release.at),
            "\"staged\" needs the key current: without it the mesh spreads requests over all pods, the staged ones too; allowed without it: live, draining and retired",
        );
    }
}

fn check_accepts(config: &Config, problems: &mut Problems) {
    let mut accepted = Vec::new();
    for release in served(config) {
        for pattern in &release.accepts {
            if let VersionPattern::Exact(version) = pattern {
                accepted.push((version.as_str(), release.at.as_str()));
            }
        }
    }
    for (version, first, at) in repeated(accepted) {
        problems.add(
            format!("{at}.accepts"),
            format!("\"{version}\" is accepted by {first} too; allowed: each exact version once"),
        );
    }
}

fn check_current(config: &Config, problems: &mut Problems) {
    match &config.current {
        None => {}
        Some(CurrentConfig::One(version)) => check_in_current("current", version, config, problems),
        Some(CurrentConfig::Weighted(shares)) => {
            for share in shares {
                check_in_current(
                    &format!("{}.version", share.at),
                    &share.version,
                    config,
                    problems,
                );
            }
            if problems.mention("current") {
                return;
            }
            if shares.iter().all(|share| share.weight == 0) {
                problems.add(
                    "current",
                    "no release has a weight; allowed: at least one above 0",
                );
            }
            let versions = shares
                .iter()
                .map(|share| (share.version.as_str(), share.at.as_str()));
            for (version, first, at) in repeated(versions.collect()) {
                problems.add(
                    format!("{at}.version"),
                    format!(
                        "\"{version}\" is the version of {first} too; allowed: each version once"
                    ),
                );
            }
            if config.pin_cookie.is_none() && !problems.mention("pinCookie") {
                problems.add(
                    "current",
                    "weights need pinCookie, or a visitor changes release with every request; allowed without it: one version",
                );
            }
        }
    }
}

fn check_in_current(path: &str, version: &Version, config: &Config, problems: &mut Problems) {
    let live: Vec<_> = config
        .releases
        .iter()
        .filter(|release| release.state == State::Live)
        .map(|release| release.version.as_str())
        .collect();
    let allowed = format!("the version of a live release ({})", live.join(", "));
    let named = config
        .releases
        .iter()
        .find(|release| release.version == *version);
    let is_below_minimum = config
        .min_version
        .as_ref()
        .is_some_and(|floor| version.is_below(&floor.semver));
    let wrong = match named {
        None if problems.mention("releases") => return,
        None => "names no release".to_owned(),
        Some(release) if release.state != State::Live => format!("is {}", release.state.name()),
        Some(_) if config.denied.contains(version) => "is denied".to_owned(),
        Some(_) if is_below_minimum => "is below minVersion".to_owned(),
        Some(_) => return,
    };
    problems.add(path, format!("\"{version}\" {wrong}; allowed: {allowed}"));
}

fn check_sources(config: &Config, problems: &mut Problems) {
    for (index, source) in config.sources.iter().enumerate() {
        if config
            .sources
            .iter()
            .take(index)
            .any(|earlier| earlier == source)
        {
            problems.add(
                "sources",
                format!("{source} is there twice; allowed: each source once"),
            );
        }
        if *source == Source::Header(config.route_header.clone()) {
            problems.add(
                "sources",
                format!("{source} is the routeHeader, which is removed from what the client sent; allowed: another header"),
            );
        }
    }
}

fn check_minimum(config: &Config, problems: &mut Problems) {
    let Some(floor) = &config.min_version else {
        return;
    };
    for release in config
        .releases
        .iter()
        .filter(|release| release.version.semver().is_none())
    {
        problems.add(
            "minVersion",
            format!(
                "\"{}\" cannot be compared with \"{}\" of {}, which is not semver; allowed: where all releases are semver",
                floor.written, release.version, release.at
            ),
        );
    }
}

fn check_cookies(config: &Config, problems: &mut Problems) {
    let Some(pin) = &config.pin_cookie else {
        return;
    };
    if pin.same_site == SameSite::None && !pin.secure {
        problems.add(
            "pinCookie.sameSite",
            "\"None\" needs \"secure\": true, or browsers refuse the cookie; allowed without it: Lax",
        );
    }
    let is_bound_to_host = pin.domain.is_none() && pin.path == "/" && pin.secure;
    if pin.name.starts_with("__Host-") && !is_bound_to_host {
        problems.add(
            "pinCookie.name",
            format!("\"{}\" needs \"secure\": true, the path \"/\" and no domain, or browsers refuse the cookie; allowed: without \"__Host-\"", pin.name),
        );
    }
    if pin.name.starts_with("__Secure-") && !pin.secure {
        problems.add(
            "pinCookie.name",
            format!("\"{}\" needs \"secure\": true, or browsers refuse the cookie; allowed: without \"__Secure-\"", pin.name),
        );
    }
    if config
        .preview
        .as_ref()
        .is_some_and(|preview| preview.cookie == pin.name)
    {
        problems.add(
            "preview.cookie",
            format!(
                "\"{}\" is the pinCookie too; allowed: a cookie of its own",
                pin.name
            ),
        );
    }
}

fn count(config: &Config, counts: impl Fn(State) -> bool) -> usize {
    config
        .releases
        .iter()
        .filter(|release| counts(release.state))
        .count()
}
