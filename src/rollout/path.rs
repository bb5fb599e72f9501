//! Steps between two configurations that are safe one by one.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use super::{LoadedConfig, assess};
use crate::config::{CurrentConfig, ReleaseConfig, State};
use crate::version::{Version, VersionPattern};

/// What may change separately on the way; a step makes one or more of these changes.
const PARTS: [Part; 4] = [Part::Listed, Part::Settings, Part::Current, Part::Removed];
/// All of them.
const ALL: u8 = (1 << PARTS.len()) - 1;

#[derive(Clone, Copy, Debug)]
enum Part {
    /// Releases that the old configuration does not serve are listed as live.
    Listed = 0,
    /// All keys except the list of releases and `current`.
    Settings = 2,
    /// `current`, and the states of the releases that both list.
    Current = 1,
    /// Releases leave the list.
    Removed = 3,
}

impl Part {
    fn is_in(self, parts: u8) -> bool {
        parts & (1 << self as u8) != 0
    }
}

/// The shortest way from one configuration to another on which every step is safe: the configurations
/// after each step, the new one last. `None` if no way was found.
#[must_use]
pub fn safe_path(old: &LoadedConfig, new: &LoadedConfig, now: u64) -> Option<Vec<LoadedConfig>> {
    let configurations: Vec<Option<LoadedConfig>> = (0..=ALL)
        .map(|parts| match parts {
            0 => Some(old.clone()),
            ALL => Some(new.clone()),
            _ => LoadedConfig::load(between(old, new, parts).to_string().as_bytes()).ok(),
        })
        .collect();
    let configuration = |parts: u8| {
        configurations
            .get(usize::from(parts))
            .and_then(Option::as_ref)
    };
    let mut came_from = BTreeMap::new();
    let mut waiting = VecDeque::from([0_u8]);
    while let Some(at) = waiting.pop_front() {
        // The farthest first, so that each step does as much as it safely can.
        for next in (0..=ALL).rev() {
            let is_forward = next != at && next & at == at;
            if !is_forward || came_from.contains_key(&next) {
                continue;
            }
            let (Some(from), Some(to)) = (configuration(at), configuration(next)) else {
                continue;
            };
            if assess(from, to, now).is_safe() {
                came_from.insert(next, at);
                waiting.push_back(next);
            }
        }
        if came_from.contains_key(&ALL) {
            break;
        }
    }
    let mut path = Vec::new();
    let mut at = ALL;
    while at != 0 {
        path.push(configuration(at)?.clone());
        at = *came_from.get(&at)?;
    }
    path.reverse();
    path.dedup_by(|one, other| one.json == other.json);
    Some(path)
}

/// The old configuration with some parts as in the new one.
fn between(old: &LoadedConfig, new: &LoadedConfig, parts: u8) -> Value {
    let settings = if Part::Settings.is_in(parts) {
        new
    } else {
        old
    };
    let mut root = settings.json.as_object().cloned().unwrap_or_default();
    root.insert("releases".to_owned(), Value::Array(list(old, new, parts)));
    let current = if Part::Current.is_in(parts) { new } else { old };
    match current.json.get("current") {
        Some(current) => root.insert("current".to_owned(), current.clone()),
        None => root.remove("current"),
    };
    Value::Object(root)
}

fn list(old: &LoadedConfig, new: &LoadedConfig, parts: u8) -> Vec<Value> {
    let before = entries(old);
    let after = entries(new);
    let mut list = Vec::new();
    for (version, entry) in &after {
        match before.iter().find(|(known, _)| known == version) {
            Some(_) if Part::Current.is_in(parts) => list.push((*entry).clone()),
            Some((_, kept)) if Part::Listed.is_in(parts) && is_brought_back(kept, entry) => {
                list.push(as_live(entry));
            }
            Some((_, kept)) => list.push((*kept).clone()),
            None if Part::Current.is_in(parts) => list.push((*entry).clone()),
            None if Part::Listed.is_in(parts) => list.push(as_live(entry)),
            None => {}
        }
    }
    if !Part::Removed.is_in(parts) {
        let removed = before
            .iter()
            .filter(|(version, _)| !after.iter().any(|(known, _)| known == version));
        list.extend(removed.map(|(_, entry)| (*entry).clone()));
    }
    list
}

fn entries(loaded: &LoadedConfig) -> Vec<(&Version, &Value)> {
    let written = loaded.json.get("releases").and_then(Value::as_array);
    loaded
        .config
        .releases
        .iter()
        .map(|release| &release.version)
        .zip(written.into_iter().flatten())
        .collect()
}

fn is_brought_back(before: &Value, after: &Value) -> bool {
    let serves = |entry: &Value| {
        matches!(
            entry.get("state").and_then(Value::as_str),
            None | Some("live" | "draining")
        )
    };
    serves(after) && !serves(before)
        || before.get("state") == Some(&json!("draining")) && after.get("state").is_none()
}

/// The entry as a release is first listed; later states come later.
fn as_live(entry: &Value) -> Value {
    let mut entry = entry.as_object().cloned().unwrap_or_else(Map::new);
    if matches!(
        entry.get("state").and_then(Value::as_str),
        Some("draining" | "live")
    ) {
        entry.remove("state");
        entry.remove("until");
    }
    Value::Object(entry)
}

/// What changes from one configuration to another, one line per change.
#[must_use]
pub fn changes(old: &LoadedConfig, new: &LoadedConfig) -> Vec<String> {
    let mut lines = Vec::new();
    for release in &new.config.releases {
        let version = &release.version;
        let before = old
            .config
            .releases
            .iter()
            .find(|known| known.version == *version);
        let state = stated(release.state, release.until);
        match before {
            None => lines.push(format!("list {version} as {state}")),
            Some(before) if stated(before.state, before.until) != state => lines.push(format!(
                "{version}: {} becomes {state}",
                stated(before.state, before.until)
            )),
            Some(before) if before.route != release.route && release.state != State::Retired => {
                lines.push(format!(
                    "{version}: route {} becomes {}",
                    before.route, release.route
                ));
            }
            Some(_) => {}
        }
        lines.extend(before.and_then(|before| accepting(before, release)));
    }
    if is_reordered(old, new) {
        lines.push("reorder the releases".to_owned());
    }
    let removed = old.config.releases.iter().filter(|release| {
        !new.config
            .releases
            .iter()
            .any(|kept| kept.version == release.version)
    });
    lines.extend(removed.map(|release| format!("take {} off the list", release.version)));
    let (before, after) = (current(old), current(new));
    if before != after {
        lines.push(format!("current: {before} becomes {after}"));
    }
    let settings = changed_settings(old, new);
    if !settings.is_empty() {
        lines.push(format!("change {}", settings.join(", ")));
    }
    lines
}

fn accepting(before: &ReleaseConfig, after: &ReleaseConfig) -> Option<String> {
    let written = |release: &ReleaseConfig| {
        let patterns: Vec<_> = release.accepts.iter().map(pattern).collect();
        if patterns.is_empty() {
            "none".to_owned()
        } else {
            patterns.join(" and ")
        }
    };
    let (old, new) = (written(before), written(after));
    (old != new).then(|| format!("{}: accepts {old} becomes {new}", after.version))
}

fn pattern(pattern: &VersionPattern) -> String {
    match pattern {
        VersionPattern::Exact(version) => version.to_string(),
        VersionPattern::Prefix(prefix) => format!("{prefix}*"),
        VersionPattern::Range(range) => range.to_string(),
    }
}

/// Whether releases that both list are in a different order.
fn is_reordered(old: &LoadedConfig, new: &LoadedConfig) -> bool {
    let kept = |one: &LoadedConfig, other: &LoadedConfig| -> Vec<Version> {
        let versions = one.config.releases.iter().map(|release| &release.version);
        let others: Vec<_> = other.config.releases.iter().collect();
        versions
            .filter(|version| others.iter().any(|release| release.version == **version))
            .cloned()
            .collect()
    };
    kept(old, new) != kept(new, old)
}

fn stated(state: State, until: Option<u64>) -> String {
    match until {
        Some(until) if state == State::Draining => {
            format!("draining until {}", super::written_time(until))
        }
        _ => state.name().to_owned(),
    }
}

fn current(loaded: &LoadedConfig) -> String {
    match &loaded.config.current {
        None => "none".to_owned(),
        Some(CurrentConfig::One(version)) => version.to_string(),
        Some(CurrentConfig::Weighted(shares)) => {
            let shares: Vec<_> = shares
                .iter()
                .map(|share| format!("{} ({})", share.version, share.weight))
                .collect();
            shares.join(" and ")
        }
    }
}

fn changed_settings(old: &LoadedConfig, new: &LoadedConfig) -> Vec<String> {
    let keys = |loaded: &LoadedConfig| -> Vec<String> {
        let object = loaded.json.as_object();
        object.into_iter().flat_map(Map::keys).cloned().collect()
    };
    let mut changed: Vec<_> = keys(old)
        .into_iter()
        .chain(keys(new))
        .filter(|key| key != "releases" && key != "current")
        .filter(|key| old.json.get(key) != new.json.get(key))
        .collect();
    changed.sort();
    changed.dedup();
    changed
}
