//! How a configuration is taken into force, and what is in force in the place of a wrong one.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::counters::{Counters, record};
use crate::config::{self, Config, State};
use crate::host::Host;
use crate::last_good::{LastGood, StandIn};
use crate::policy::Policy;
use crate::scope::Scope;
use crate::telemetry;

/// A configuration in force, and what counts by it.
pub struct Installation {
    pub(super) mode: Mode,
    /// If a good configuration is in force, its text, to note it by.
    in_force: Option<Rc<[u8]>>,
    storage_key: String,
    pub(super) counters: Counters,
    pub(super) last_skew_logged: Cell<u64>,
}

/// What the filter does with requests.
pub(super) enum Mode {
    /// A good configuration is in force.
    Guard(Box<Policy>),
    /// No good configuration is known, but scope and route header could be read: a client must still
    /// not choose its release.
    PassThrough { scope: Scope, route_header: String },
    /// Not even that could be read: nothing is touched.
    Inert,
}

impl Installation {
    /// Puts a configuration into force. A wrong one is reported, and the last good one stays: a typo
    /// must not take a site down, and Envoy would apply what a filter rejects again with every later
    /// change.
    pub fn configure(host: &dyn Host, configuration: &[u8]) -> Self {
        let plugin = plugin_name(host);
        let storage_key = storage_key(host, &plugin);
        let loaded = Config::load(configuration);
        record(
            host,
            &telemetry::refused(&plugin),
            u64::from(loaded.is_err()),
        );
        let counters = Counters::new(&plugin);
        let mut left = Vec::new();
        let (mode, in_force) = match loaded {
            Ok(config) => {
                left = keep(host, &storage_key, configuration, &config);
                let policy = Policy::from(config);
                log::info!("skew-guard {plugin}: in force: {}", summary(&policy));
                (Mode::Guard(Box::new(policy)), Some(configuration.into()))
            }
            Err(problems) => {
                if let Some(refusals) = host.counter(&telemetry::refusals(&plugin)) {
                    host.add(refusals, 1);
                }
                log::error!("skew-guard {plugin}: configuration refused:\n{problems}");
                stand_in(host, &plugin, &storage_key, configuration)
            }
        };
        let revision = match &mode {
            Mode::Guard(policy) => {
                counters.define(host, policy, &left);
                policy.revision.unwrap_or_default()
            }
            Mode::PassThrough { .. } | Mode::Inert => 0,
        };
        record(host, &telemetry::revision(&plugin), revision);
        if let Some(bytes) = &in_force {
            IN_FORCE.with_borrow_mut(|all| {
                all.retain(|(_, one)| one.strong_count() > 0);
                all.push((storage_key.clone(), Rc::downgrade(bytes)));
            });
        }
        Self {
            mode,
            in_force,
            storage_key,
            counters,
            last_skew_logged: Cell::new(0),
        }
    }

    /// Touches nothing: what is in force before any configuration has come.
    #[must_use]
    pub fn inert() -> Self {
        Self {
            mode: Mode::Inert,
            in_force: None,
            storage_key: String::new(),
            counters: Counters::default(),
            last_skew_logged: Cell::new(0),
        }
    }

    /// Notes that the configuration is still in force; to be called every [`crate::last_good::NOTE_INTERVAL`] seconds.
    pub fn note(&self, host: &dyn Host) {
        let Some(bytes) = &self.in_force else {
            return;
        };
        // Not what this VM kept: the VM may be an old one whose last stream is still open.
        let kept = host.kept_by_any(&self.storage_key).unwrap_or_default();
        let mut kept = LastGood::read(&kept);
        if kept.note(bytes, host.now()) {
            host.keep(&self.storage_key, &kept.written());
        }
    }
}

thread_local! {
    /// The configurations of all installations of this VM, each under its storage key, as long as these
    /// live: one that was replaced goes when its last request is through.
    static IN_FORCE: RefCell<Vec<(String, Weak<[u8]>)>> = const { RefCell::new(Vec::new()) };
}

fn is_in_force(storage_key: &str, bytes: &[u8]) -> bool {
    IN_FORCE.with_borrow(|all| {
        all.iter()
            .filter(|(key, _)| key == storage_key)
            .filter_map(|(_, one)| one.upgrade())
            .any(|one| *one == *bytes)
    })
}

fn kept(host: &dyn Host, storage_key: &str) -> LastGood {
    LastGood::read(&host.kept(storage_key).unwrap_or_default())
}

/// Keeps a configuration that is taken into force; the routes that the one before served and this one does not.
fn keep(host: &dyn Host, storage_key: &str, configuration: &[u8], config: &Config) -> Vec<String> {
    let mut kept = kept(host, storage_key);
    let replaced = kept.take(configuration, config, host.now());
    host.keep(storage_key, &kept.written());
    let mut left: Vec<_> = replaced.iter().flat_map(served_routes).collect();
    left.retain(|route| !served_routes(config).any(|served| served == *route));
    left.into_iter().map(str::to_owned).collect()
}

fn served_routes(config: &Config) -> impl Iterator<Item = &str> {
    config
        .releases
        .iter()
        .filter(|release| release.state != State::Retired)
        .map(|release| release.route.as_str())
}

/// What is in force in the place of a wrong configuration, and how that was written.
fn stand_in(
    host: &dyn Host,
    plugin: &str,
    storage_key: &str,
    wrong: &[u8],
) -> (Mode, Option<Rc<[u8]>>) {
    let partial = config::load_partial(wrong);
    let kept = kept(host, storage_key);
    let found = kept.stand_in_for(partial.as_ref(), host.now(), |bytes| {
        is_in_force(storage_key, bytes)
    });
    if let Some(StandIn { config, bytes, age }) = found {
        let policy = Policy::from(config);
        log::warn!(
            "skew-guard {plugin}: the last good one stays in force: {}; last in force {age} seconds ago",
            summary(&policy)
        );
        return (Mode::Guard(Box::new(policy)), Some(bytes.into()));
    }
    let readable = partial.and_then(|partial| {
        let scope = Scope::new(partial.hosts?, partial.paths?);
        Some((scope, partial.route_header?))
    });
    let mode = match readable {
        Some((scope, route_header)) => {
            log::warn!(
                "skew-guard {plugin}: no good configuration is known; requests pass without {route_header}"
            );
            Mode::PassThrough {
                scope,
                route_header,
            }
        }
        None => {
            log::warn!(
                "skew-guard {plugin}: no good configuration is known; requests pass untouched"
            );
            Mode::Inert
        }
    };
    (mode, None)
}

/// The plugin's name up to a `~`, after which Istio notes where the plugin came from: an upgrade of
/// Istio changes that.
fn plugin_name(host: &dyn Host) -> String {
    let name = host.attribute(&["plugin_name"]).unwrap_or_default();
    let name = String::from_utf8_lossy(&name);
    name.split('~').next().unwrap_or_default().to_owned()
}

fn storage_key(host: &dyn Host, plugin: &str) -> String {
    let root_id = host.attribute(&["plugin_root_id"]).unwrap_or_default();
    format!(
        "skew-guard/kept/{plugin}/{}",
        String::from_utf8_lossy(&root_id)
    )
}

fn summary(policy: &Policy) -> String {
    let revision = policy.revision.map_or_else(
        || "no revision".to_owned(),
        |revision| format!("revision {revision}"),
    );
    let current = policy
        .current
        .as_ref()
        .map_or("the mesh's choice", |current| {
            current.heaviest.version.as_str()
        });
    let mode = if policy.enforce {
        ""
    } else {
        ", observing only"
    };
    let releases: Vec<_> = policy
        .releases
        .iter()
        .map(|release| format!("{} {}", release.version, release.state().name()))
        .collect();
    format!(
        "{revision}, releases {}, current {current}{mode}, module {}",
        releases.join(", "),
        env!("CARGO_PKG_VERSION")
    )
}
