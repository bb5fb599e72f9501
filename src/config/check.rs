//! Contradictions between parts that would each be right by themselves.

use std::collections::BinaryHeap;

use sha2::{Digest, Sha256};

use crate::pin::SameSite;
use crate::source::Source;
use crate::version::{Version, VersionPattern};

use super::problems::Problems;
use super::{
    Config, CurrentConfig, MAX_ACCEPTED, MAX_RETIRED, MAX_SERVED, ReleaseConfig, Share, State,
    UnknownVersion,
};

/// Notes contradictions, in addition to the problems that reading has found.
pub fn check(config: &Config, problems: &mut Problems) {
    let hides_a_release = problems
        .iter()
        .any(|problem| is_of_a_version(&problem.path));
    let mut check = Check {
        config,
        hides_a_release,
        problems,
    };
    check.releases();
    check.accepts();
    check.current();
    check.sources();
    check.minimum();
    check.cookies();
    check.preview();
    check.unknown_version();
}

/// Whether a problem of the list, an entry, or an entry's version: then some version is not known.
fn is_of_a_version(path: &str) -> bool {
    path.strip_prefix("releases").is_some_and(|rest| {
        let key = rest.split_once(']').map_or(rest, |(_, key)| key);
        matches!(key, "" | ".version")
    })
}

struct Check<'c> {
    config: &'c Config,
    /// Whether there is a release whose version could not be read.
    hides_a_release: bool,
    problems: &'c mut Problems,
}

impl<'c> Check<'c> {
    fn releases(&mut self) {
        let served = self.served().count();
        let retired = self.config.releases.len() - served;
        if served == 0 && retired > 0 && !self.hides_a_release {
            self.problems.add(
                "releases",
                "all are retired; allowed: 1 to 256 that are not",
            );
        }
        if served > MAX_SERVED {
            self.problems.add(
                "releases",
                format!("{served} are not retired; allowed: 1 to {MAX_SERVED}"),
            );
        }
        if retired > MAX_RETIRED {
            self.problems.add(
                "releases",
                format!(
                    "{retired} are retired; allowed: up to {MAX_RETIRED}; leave out the oldest"
                ),
            );
        }
        self.names();
        for release in &self.config.releases {
            self.state(release);
        }
    }

    fn names(&mut self) {
        let releases = &self.config.releases;
        let versions = releases
            .iter()
            .map(|release| (release.version.as_str(), release.at.as_str()));
        self.one_version_each(versions.collect());
        let routes = self
            .served()
            .filter(|release| !release.route.is_empty())
            .map(|release| (release.route.as_str(), release.at.as_str()));
        for (route, first, at) in repeated(routes.collect()) {
            self.problems.add(
                format!("{at}.route"),
                format!(
                    "\"{route}\" is the route of {first} too; allowed: a different route for each release that is not retired"
                ),
            );
        }
    }

    fn one_version_each(&mut self, versions: Vec<(&str, &str)>) {
        for (version, first, at) in repeated(versions) {
            self.problems.add(
                format!("{at}.version"),
                format!("\"{version}\" is the version of {first} too; allowed: each version once"),
            );
        }
    }

    fn state(&mut self, release: &ReleaseConfig) {
        if release.until.is_some() && matches!(release.state, State::Live | State::Staged) {
            self.problems.add(
                format!("{}.until", release.at),
                format!(
                    "a {} release does not end by itself; allowed: until with \"state\": \"draining\"",
                    release.state.name()
                ),
            );
        }
        if release.state == State::Staged && self.lacks_current() {
            self.problems.add(
                format!("{}.state", release.at),
                "\"staged\" needs the key current: without it the mesh spreads requests over all pods, staged ones included; allowed without it: live, draining and retired",
            );
        }
    }

    fn accepts(&mut self) {
        let mut accepted = Vec::new();
        for release in self.served() {
            for pattern in &release.accepts {
                if let VersionPattern::Exact(version) = pattern {
                    accepted.push((version.as_str(), release.at.as_str()));
                }
            }
        }
        let patterns: usize = self.served().map(|release| release.accepts.len()).sum();
        if patterns > MAX_ACCEPTED {
            self.problems.add(
                "releases",
                format!("all accepts together have {patterns} patterns; allowed: up to {MAX_ACCEPTED}; cover several versions with a range or a prefix"),
            );
        }
        for (version, first, at) in repeated(accepted) {
            self.problems.add(
                format!("{at}.accepts"),
                format!(
                    "\"{version}\" is accepted by {first} too; allowed: each exact version once"
                ),
            );
        }
    }

    fn current(&mut self) {
        match &self.config.current {
            None => {}
            Some(CurrentConfig::One(version)) => self.in_current("current", version),
            Some(CurrentConfig::Weighted(shares)) => self.shares(shares),
        }
    }

    fn shares(&mut self, shares: &[Share]) {
        let hides_a_share = self.problems.mention("current");
        for share in shares {
            self.in_current(&format!("{}.version", share.at), &share.version);
        }
        if hides_a_share {
            return;
        }
        if shares.iter().all(|share| share.weight == 0) {
            self.problems.add(
                "current",
                "no release has a weight; allowed: at least one above 0",
            );
        }
        let versions = shares
            .iter()
            .map(|share| (share.version.as_str(), share.at.as_str()));
        self.one_version_each(versions.collect());
        if self.config.pin_cookie.is_none() && !self.problems.mention("pinCookie") {
            self.problems.add(
                "current",
                "weights need pinCookie, or a visitor changes release with every request; allowed without it: one version",
            );
        }
    }

    fn in_current(&mut self, path: &str, version: &Version) {
        let config = self.config;
        let mut releases = config.releases.iter();
        let named = releases.find(|release| release.version == *version);
        let is_below_minimum = config
            .min_version
            .as_ref()
            .is_some_and(|floor| version.is_below(&floor.semver));
        let wrong = match named {
            // It may be the release whose version could not be read.
            None if self.hides_a_release => return,
            None => "names no release".to_owned(),
            Some(release) if release.state != State::Live => format!("is {}", release.state.name()),
            Some(_) if config.denied.contains(version) => "is denied".to_owned(),
            Some(_) if is_below_minimum => "is below minVersion".to_owned(),
            Some(_) => return,
        };
        let live: Vec<_> = self
            .served()
            .filter(|release| release.state == State::Live)
            .map(|release| release.version.as_str())
            .collect();
        self.problems.add(
            path,
            format!(
                "\"{version}\" {wrong}; allowed: the version of a live release ({})",
                live.join(", ")
            ),
        );
    }

    fn sources(&mut self) {
        let config = self.config;
        for (index, source) in config.sources.iter().enumerate() {
            if config
                .sources
                .iter()
                .take(index)
                .any(|earlier| earlier == source)
            {
                self.problems.add(
                    "sources",
                    format!("{source} is listed twice; allowed: each source once"),
                );
            }
            if *source == Source::Header(config.route_header.clone()) {
                self.problems.add(
                    "sources",
                    format!("{source} is the routeHeader, which is removed from what clients send; allowed: another header"),
                );
            }
        }
    }

    fn minimum(&mut self) {
        let Some(floor) = &self.config.min_version else {
            return;
        };
        for release in &self.config.releases {
            if release.version.semver().is_none() {
                self.problems.add(
                    "minVersion",
                    format!(
                        "\"{}\" cannot be compared with \"{}\" of {}, which is not semver; allowed: only if all releases are semver",
                        floor.written, release.version, release.at
                    ),
                );
            }
        }
    }

    fn cookies(&mut self) {
        let Some(pin) = &self.config.pin_cookie else {
            return;
        };
        if pin.same_site == SameSite::None && !pin.secure {
            self.problems.add(
                "pinCookie.sameSite",
                "\"None\" needs \"secure\": true, or browsers refuse the cookie; allowed without it: Lax",
            );
        }
        let is_bound_to_host = pin.domain.is_none() && pin.path == "/" && pin.secure;
        if pin.name.starts_with("__Host-") && !is_bound_to_host {
            self.problems.add(
                "pinCookie.name",
                format!("\"{}\" needs \"secure\": true, the path \"/\" and no domain, or browsers refuse the cookie; allowed: without \"__Host-\"", pin.name),
            );
        }
        for prefix in ["__Host-", "__Secure-"] {
            let is_like = pin
                .name
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix) && start != prefix);
            if is_like {
                self.problems.add(
                    "pinCookie.name",
                    format!("\"{}\" means \"{prefix}\" to some browsers and nothing to others; allowed: \"{prefix}\" as it is written here, or another name", pin.name),
                );
            }
        }
        if pin.name.starts_with("__Secure-") && !pin.secure {
            self.problems.add(
                "pinCookie.name",
                format!("\"{}\" needs \"secure\": true, or browsers refuse the cookie; allowed: without \"__Secure-\"", pin.name),
            );
        }
        let preview = self.config.preview.as_ref();
        if preview.is_some_and(|preview| preview.cookie == pin.name) {
            self.problems.add(
                "preview.cookie",
                format!(
                    "\"{}\" is the pinCookie too; allowed: another cookie",
                    pin.name
                ),
            );
        }
    }

    fn preview(&mut self) {
        let Some(preview) = &self.config.preview else {
            return;
        };
        if preview.sha256 == Sha256::digest("").as_slice() {
            self.problems.add(
                "preview.sha256",
                "this is the SHA-256 of nothing, which is what an unset variable gives: an empty key would open the preview; allowed: the SHA-256 of a key",
            );
        }
        if preview.cookie.starts_with("__Host-") && preview.domain.is_some() {
            self.problems.add(
                "preview.domain",
                format!("\"{}\" may have no domain, or browsers refuse the cookie; allowed: without \"__Host-\"", preview.cookie),
            );
        }
    }

    fn unknown_version(&mut self) {
        if self.config.unknown_version == UnknownVersion::Current && self.lacks_current() {
            self.problems.add(
                "unknownVersion",
                "\"current\" needs the key current; allowed without it: auto and reload",
            );
        }
    }

    fn lacks_current(&self) -> bool {
        self.config.current.is_none() && !self.problems.mention("current")
    }

    fn served(&self) -> impl Iterator<Item = &'c ReleaseConfig> + use<'c> {
        let releases = self.config.releases.iter();
        releases.filter(|release| release.state != State::Retired)
    }
}

/// The names that come again, each with where it came before and where it comes again.
fn repeated<'a>(named: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str, &'a str)> {
    // With its place, so that of two equal names the one that was written first comes first.
    let placed = (0..)
        .zip(named)
        .map(|(place, (name, at))| (name, place, at));
    // A heap is a tenth of the code of `sort`, and quick enough for names by the thousand.
    let heap: BinaryHeap<(_, usize, _)> = placed.collect();
    let named = heap.into_sorted_vec();
    named
        .iter()
        .zip(named.iter().skip(1))
        .filter(|((one, ..), (other, ..))| one == other)
        .map(|((name, _, first), (.., at))| (*name, *first, *at))
        .collect()
}
