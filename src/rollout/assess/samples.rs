//! Requests, versions and places that stand for all of their kind.

use super::{Kind, Place};
use crate::config::ReleaseConfig;
use crate::rollout::LoadedConfig;
use crate::scope::{HostPattern, PathPrefix};
use crate::source::Source;
use crate::table::Table;
use crate::version::{Version, VersionPattern};

/// The request that a page of this version sends, saying it in one place.
pub(super) fn request(
    place: &Place,
    kind: Kind,
    source: &Source,
    version: &Version,
    now: u64,
) -> Table {
    let (mode, destination) = match kind {
        Kind::Call => ("cors", "empty"),
        Kind::Script => ("no-cors", "script"),
    };
    sent(place, (mode, destination), &[(source, version)], now)
}

/// A request in this mode and for this destination that says these versions in these places.
pub(super) fn sent(
    place: &Place,
    (mode, destination): (&str, &str),
    said: &[(&Source, &Version)],
    now: u64,
) -> Table {
    let mut path = place.path.clone();
    let mut query = Vec::new();
    let mut headers = Vec::new();
    for (source, version) in said {
        match source {
            Source::Header(name) => headers.push((name.as_str(), version.to_string())),
            Source::Baggage(key) => headers.push(("baggage", format!("{key}={version}"))),
            Source::Query(name) => query.push(format!("{name}={version}")),
            Source::Path(template) => {
                path = template.to_string().replace("{version}", version.as_str());
            }
            Source::Cookie(name) | Source::Pin(name) => {
                headers.push(("cookie", format!("{name}={version}")));
            }
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let table = Table::new("GET", &place.host, &path, now)
        .with("sec-fetch-mode", mode)
        .with("sec-fetch-dest", destination)
        .with("sec-fetch-site", "same-origin");
    headers
        .into_iter()
        .fold(table, |table, (name, value)| table.with(name, value))
}

/// Where a page that was served under a configuration says its version.
pub(super) fn sources(loaded: &LoadedConfig) -> Vec<Source> {
    let pin = loaded
        .config
        .pin_cookie
        .as_ref()
        .map(|cookie| Source::Pin(cookie.name.clone()));
    loaded.config.sources.iter().cloned().chain(pin).collect()
}

pub(super) fn listed<'s>(loaded: &'s LoadedConfig, version: &Version) -> Option<&'s ReleaseConfig> {
    loaded
        .config
        .releases
        .iter()
        .find(|release| release.version == *version)
}

/// A version that a pattern matches.
pub(super) fn example(pattern: &VersionPattern) -> Option<Version> {
    let candidates = match pattern {
        VersionPattern::Exact(version) => vec![version.to_string()],
        VersionPattern::Prefix(prefix) => vec![format!("{prefix}0")],
        VersionPattern::Range(range) => range
            .comparators
            .iter()
            .flat_map(|bound| {
                let (minor, patch) = (bound.minor.unwrap_or(0), bound.patch.unwrap_or(0));
                [
                    format!("{}.{minor}.{patch}", bound.major),
                    format!("{}.{minor}.{}", bound.major, patch.saturating_add(1)),
                    "0.0.0".to_owned(),
                ]
            })
            .collect(),
    };
    candidates
        .into_iter()
        .filter_map(|text| Version::parse(text.as_bytes()))
        .find(|version| pattern.matches(version))
}

/// An example of what two lists have in common, if anything, and of each part that only one of them
/// has. An absent list means everything.
pub(super) fn differing<T: PartialEq>(
    old: Option<&[T]>,
    new: Option<&[T]>,
    within: impl Fn(Option<&T>) -> String,
) -> Vec<String> {
    let has = |list: Option<&[T]>, item: &T| list.is_none_or(|list| list.contains(item));
    let items = || old.into_iter().chain(new).flatten();
    let common = items().find(|item| has(old, item) && has(new, item));
    let mut examples = Vec::new();
    if common.is_some() || old.is_none() && new.is_none() {
        examples.push(within(common));
    }
    let one_sided = items().filter(|item| !has(old, item) || !has(new, item));
    examples.extend(one_sided.map(|item| within(Some(item))));
    if old.is_none() != new.is_none() {
        examples.push(within(None));
    }
    examples
}

/// What only one of two lists has.
pub(super) fn one_sided<'t, T: PartialEq>(
    one: &'t [T],
    other: &'t [T],
) -> impl Iterator<Item = &'t T> {
    let only = |item: &&T| one.contains(item) != other.contains(item);
    one.iter().chain(other).filter(only)
}

pub(super) fn host_within(pattern: Option<&HostPattern>) -> String {
    match pattern {
        Some(HostPattern::Exact(name)) => name.clone(),
        Some(HostPattern::Suffix(suffix)) => format!("any{suffix}"),
        Some(HostPattern::Any) | None => "any.example".to_owned(),
    }
}

pub(super) fn path_within(prefix: Option<&PathPrefix>) -> String {
    prefix.map_or_else(|| "/any".to_owned(), ToString::to_string)
}
