//! The good configurations that were recently in force, for when a wrong one arrives.
//!
//! They are kept under the plugin's name, which several plugins may share: plain Envoy requires none. So
//! several are kept, one for each scope and route header, and one replaces a wrong configuration only if
//! nothing that can be read of the wrong one contradicts it. Each records when it was last in force:
//! what an uninstalled plugin left behind must not come back for the next one of its name.

use crate::config::{Config, PartialConfig};
use crate::headers;
use crate::scope::overlap;

/// How long a configuration that is no longer in force may be used again, in seconds. A plugin is away
/// for a moment when it is upgraded, and for good when it is uninstalled.
const MAX_ABSENCE: u64 = 60 * 60;
/// How often a configuration in force has to be noted again, in seconds, so that it is not taken for absent.
pub const NOTE_INTERVAL: u32 = 10 * 60;
/// How many are kept, the newest ones.
const MAX_ENTRIES: usize = 64;

/// What is kept under one name, newest first.
#[derive(Clone, Debug, Default)]
pub struct LastGood(Vec<Entry>);

/// A good configuration.
#[derive(Clone, Debug)]
struct Entry {
    /// When it was last in force, in seconds since 1970.
    last: u64,
    /// As it was written.
    bytes: Vec<u8>,
}

/// A configuration that replaces a wrong one.
#[derive(Debug)]
pub struct StandIn {
    /// The configuration.
    pub config: Config,
    /// As it was written.
    pub bytes: Vec<u8>,
    /// How long ago it was last in force, in seconds.
    pub age: u64,
}

impl LastGood {
    /// Reads them from bytes; any bytes are allowed.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let entries = headers::Headers::new(bytes).filter_map(|(last, bytes)| {
            Some(Entry {
                last: u64::from_le_bytes(last.try_into().ok()?),
                bytes: bytes.to_vec(),
            })
        });
        Self(entries.collect())
    }

    /// Writes them to bytes.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        let entries = self.0.iter();
        let pairs: Vec<_> = entries
            .map(|entry| (entry.last.to_le_bytes(), entry.bytes.as_slice()))
            .collect();
        headers::serialize(&pairs)
    }

    /// Notes that a configuration was put into force, and returns the one with its scope and header that it replaces.
    pub fn take(&mut self, bytes: &[u8], config: &Config, now: u64) -> Vec<Config> {
        let mut replaced = Vec::new();
        self.0.retain(|entry| match entry.load() {
            Some(known) if is_alike(&known, config) => {
                replaced.push(known);
                false
            }
            known => known.is_some() && entry.is_recent(now),
        });
        self.0.insert(
            0,
            Entry {
                last: now,
                bytes: bytes.to_vec(),
            },
        );
        self.0.truncate(MAX_ENTRIES);
        replaced
    }

    /// Notes that a configuration is still in force, if it was not replaced. Returns whether it was
    /// known.
    pub fn note(&mut self, bytes: &[u8], now: u64) -> bool {
        let found = self.0.iter_mut().find(|entry| entry.bytes == bytes);
        if let Some(entry) = found {
            entry.last = now;
            return true;
        }
        false
    }

    /// What replaces a wrong configuration of which this much can be read. `is_in_force` tells which are
    /// in force now, as far as this VM knows: those come first.
    #[must_use]
    pub fn stand_in_for(
        &self,
        partial: Option<&PartialConfig>,
        now: u64,
        is_in_force: impl Fn(&[u8]) -> bool,
    ) -> Option<StandIn> {
        let (in_force, others): (Vec<_>, Vec<_>) = self
            .0
            .iter()
            .filter(|entry| entry.is_recent(now))
            .partition(|entry| is_in_force(&entry.bytes));
        Self::among(&in_force, partial, now).or_else(|| match (partial, in_force.as_slice()) {
            (None, [_, ..]) => None,
            _ => Self::among(&others, partial, now),
        })
    }

    fn among(entries: &[&Entry], partial: Option<&PartialConfig>, now: u64) -> Option<StandIn> {
        let mut possible: Vec<_> = entries
            .iter()
            .filter_map(|entry| entry.stand_in(now))
            .collect();
        let Some(partial) = partial else {
            // Nothing tells which application the wrong one is for.
            return possible.pop().filter(|_| possible.is_empty());
        };
        possible.retain(|kept| !is_contradicted(&kept.config, partial));
        let place = possible
            .iter()
            .position(|kept| has_scope_of(&kept.config, partial))
            .unwrap_or_default();
        possible.into_iter().nth(place)
    }
}

impl Entry {
    fn stand_in(&self, now: u64) -> Option<StandIn> {
        Some(StandIn {
            config: self.load()?,
            bytes: self.bytes.clone(),
            age: now.saturating_sub(self.last),
        })
    }

    fn is_recent(&self, now: u64) -> bool {
        now.saturating_sub(self.last) <= MAX_ABSENCE
    }

    fn load(&self) -> Option<Config> {
        Config::load(&self.bytes).ok()
    }
}

/// Whether two are configurations of one application, as far as that can be told.
fn is_alike(one: &Config, other: &Config) -> bool {
    one.hosts == other.hosts && one.paths == other.paths && one.route_header == other.route_header
}

/// Whether everything that can be read of a wrong configuration's scope equals this one's.
fn has_scope_of(kept: &Config, partial: &PartialConfig) -> bool {
    partial
        .hosts
        .as_ref()
        .is_none_or(|hosts| *hosts == kept.hosts)
        && partial
            .paths
            .as_ref()
            .is_none_or(|paths| *paths == kept.paths)
}

/// Whether something that can be read of a wrong configuration shows that this one is another
/// application's, or long outdated.
fn is_contradicted(kept: &Config, partial: &PartialConfig) -> bool {
    let header = partial.route_header.as_ref();
    let hosts = partial.hosts.as_ref();
    let paths = partial.paths.as_ref();
    header.is_some_and(|header| *header != kept.route_header)
        || hosts.is_some_and(|hosts| !overlap(kept.hosts.as_deref(), hosts.as_deref()))
        || paths.is_some_and(|paths| !overlap(kept.paths.as_deref(), paths.as_deref()))
        || has_no_version_of(kept, partial)
}

fn has_no_version_of(kept: &Config, partial: &PartialConfig) -> bool {
    !partial.versions.is_empty()
        && !kept
            .releases
            .iter()
            .any(|release| partial.versions.contains(&release.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_partial;

    const NOW: u64 = 1_800_000_000;

    fn config(keys: &str, version: &str) -> String {
        format!(r#"{{{keys}"releases":[{{"version":"{version}"}}]}}"#)
    }

    fn keeping(configurations: &[(&str, u64)]) -> LastGood {
        let mut kept = LastGood::default();
        for (configuration, at) in configurations {
            let config = Config::load(configuration.as_bytes()).expect("it is good");
            kept.take(configuration.as_bytes(), &config, *at);
        }
        LastGood::read(&kept.written())
    }

    fn stand_in(kept: &LastGood, wrong: &str) -> Option<String> {
        stand_in_beside(kept, wrong, |_| false)
    }

    fn stand_in_beside(
        kept: &LastGood,
        wrong: &str,
        is_in_force: impl Fn(&[u8]) -> bool,
    ) -> Option<String> {
        let found = kept.stand_in_for(load_partial(wrong.as_bytes()).as_ref(), NOW, is_in_force)?;
        Some(found.config.releases.first()?.version.to_string())
    }

    #[test]
    fn the_last_good_one_stands_in_for_one_that_speaks_of_the_same() {
        let kept = keeping(&[(&config(r#""hosts":["a.example"],"#, "1.0.0"), NOW)]);
        let typo = r#"{"hosts":["a.example"],"curent":"1.0.0","releases":[{"version":"1.0.0"}]}"#;
        assert_eq!(stand_in(&kept, typo).as_deref(), Some("1.0.0"));
        let more_hosts = r#"{"hosts":["a.example","b.example"],"releases":[{"version":1}]}"#;
        assert_eq!(stand_in(&kept, more_hosts).as_deref(), Some("1.0.0"));
    }

    #[test]
    fn it_does_not_where_anything_that_can_be_read_contradicts_it() {
        let kept = keeping(&[(
            &config(
                r#""hosts":["a.example"],"paths":["/shop"],"routeHeader":"x-a","#,
                "1.0.0",
            ),
            NOW,
        )]);
        for wrong in [
            r#"{"hosts":["b.example"],"routeHeader":"x-a","releases":1}"#,
            r#"{"hosts":["a.example"],"paths":["/blog"],"routeHeader":"x-a","releases":1}"#,
            r#"{"hosts":["a.example"],"routeHeader":"x-b","releases":1}"#,
            r#"{"hosts":["a.example"],"routeHeader":"x-a","releases":[{"version":"9.0.0"},{}]}"#,
        ] {
            assert_eq!(stand_in(&kept, wrong), None, "{wrong}");
        }
        let unreadable = r#"{"hosts":1,"paths":["/shop/cart"],"routeHeader":"x-a","releases":1}"#;
        assert_eq!(stand_in(&kept, unreadable).as_deref(), Some("1.0.0"));
    }

    #[test]
    fn of_two_applications_under_one_name_each_gets_its_own_back() {
        let kept = keeping(&[
            (&config(r#""hosts":["a.example"],"#, "1.0.0"), NOW),
            (&config(r#""hosts":["*.b.example"],"#, "2.0.0"), NOW),
        ]);
        let wrong = |host: &str| format!(r#"{{"hosts":["{host}"],"releases":[]}}"#);
        assert_eq!(
            stand_in(&kept, &wrong("a.example")).as_deref(),
            Some("1.0.0")
        );
        assert_eq!(
            stand_in(&kept, &wrong("x.b.example")).as_deref(),
            Some("2.0.0")
        );
        assert_eq!(stand_in(&kept, &wrong("c.example")), None);
    }

    #[test]
    fn where_nothing_can_be_read_it_stands_in_only_if_there_is_no_other() {
        let one = config(r#""hosts":["a.example"],"#, "1.0.0");
        let other = config("", "2.0.0");
        assert_eq!(
            stand_in(&keeping(&[(&one, NOW)]), "not JSON").as_deref(),
            Some("1.0.0")
        );
        assert_eq!(
            stand_in(&keeping(&[(&one, NOW), (&other, NOW)]), "not JSON"),
            None
        );
    }

    #[test]
    fn of_several_that_are_possible_the_one_of_the_same_scope_stands_in() {
        let shop = config(r#""hosts":["shop.example"],"#, "1.0.0");
        let everything = config("", "1.0.0");
        let typo =
            r#"{"hosts":["shop.example"],"curent":"1.0.0","releases":[{"version":"1.0.0"}]}"#;
        for order in [[&shop, &everything], [&everything, &shop]] {
            let kept = keeping(&order.map(|configuration| (configuration.as_str(), NOW)));
            let found = kept.stand_in_for(load_partial(typo.as_bytes()).as_ref(), NOW, |_| false);
            assert!(found.is_some_and(|found| found.config.hosts.is_some()));
        }
    }

    #[test]
    fn what_was_replaced_stands_behind_what_is_in_force() {
        let replaced = config(r#""hosts":["a.example"],"#, "1.0.0");
        let in_force = config(r#""hosts":["a.example","b.example"],"#, "2.0.0");
        let kept = keeping(&[(&in_force, NOW - 60), (&replaced, NOW)]);
        let is_in_force = |bytes: &[u8]| bytes == in_force.as_bytes();
        assert_eq!(
            stand_in_beside(&kept, "{ \"hosts\": [", is_in_force).as_deref(),
            Some("2.0.0")
        );
        assert_eq!(stand_in(&kept, "{ \"hosts\": ["), None);
        assert_eq!(stand_in_beside(&kept, "not JSON", |_| true), None);
    }

    #[test]
    fn what_was_not_in_force_for_an_hour_does_not_come_back() {
        let old = config("", "1.0.0");
        assert_eq!(
            stand_in(&keeping(&[(&old, NOW - 3600)]), "{}").as_deref(),
            Some("1.0.0")
        );
        assert_eq!(stand_in(&keeping(&[(&old, NOW - 3601)]), "{}"), None);
    }

    #[test]
    fn what_is_in_force_is_noted_until_it_is_replaced() {
        let (old, new) = (config("", "1.0.0"), config("", "2.0.0"));
        let mut kept = keeping(&[(&old, NOW - 7200)]);
        assert!(kept.note(old.as_bytes(), NOW));
        assert_eq!(stand_in(&kept, "{}").as_deref(), Some("1.0.0"));
        let config = Config::load(new.as_bytes()).expect("it is good");
        kept.take(new.as_bytes(), &config, NOW);
        assert!(!kept.note(old.as_bytes(), NOW));
        assert_eq!(stand_in(&kept, "{}").as_deref(), Some("2.0.0"));
    }

    #[test]
    fn any_bytes_are_nothing_worse_than_nothing() {
        let written = keeping(&[(&config("", "1.0.0"), NOW)]).written();
        for end in 0..written.len() {
            let kept = LastGood::read(written.get(..end).unwrap_or_default());
            assert_eq!(stand_in(&kept, "{}"), None);
        }
    }
}
