//! What is seen of one gateway: whether what is waited for is in force there.

use std::fmt;

use crate::metrics::{DRAINING, Metrics, Plugin, Route};

/// A gateway's workers lag behind its main thread for a moment, so one look is not enough.
pub const REQUIRED_POLLS: u32 = 2;

/// What is waited for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The revision of the plugin's configuration.
    pub revision: u64,
    /// What the plugin may be called where several run in one gateway, with or without its namespace; empty where it is
    /// the only one.
    pub plugins: Vec<String>,
    /// The routes that belong to it; `None` where they cannot be told.
    pub routes: Option<Routes>,
    /// No listener with old connections.
    pub drained: bool,
}

/// By what routes say their revision.
#[derive(Clone, Debug)]
pub struct Routes {
    /// The `stat_prefix` of one of them, the revision at its end.
    pub stat_prefix: String,
    /// The hosts that they are for; empty where any virtual host counts.
    pub hosts: Vec<String>,
}

/// What a gateway shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayState {
    /// What is wanted is in force, seen so many times in a row.
    InForce(u32),
    /// Another revision is.
    Other(u64),
    /// The newest configuration was refused.
    Refused(u64),
    /// The plugin has the revision, and routes of another one are still used for that virtual host.
    OldRoutes { virtual_host: String, shown: String },
    /// The plugin has the revision, and none of its routes is there.
    NoRoutes,
    /// The revision is in force, and so many listeners and filter chains have old connections.
    Draining(u64),
    /// Whether something drains is not shown.
    Undrained,
    /// Of this plugin only the gauge is left.
    Gone(String),
    /// The plugin that was named is not there, but these are.
    Others(Vec<String>),
    /// skew-guard does not run there, or has not read a configuration yet.
    Absent,
    /// Several plugins run there, and none was named.
    Several(Vec<String>),
    /// The metrics cannot be read.
    Unreachable(String),
    /// A person said not to ask.
    Skipped,
}

impl fmt::Display for GatewayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce(looks) if *looks < REQUIRED_POLLS => {
                f.write_str("in force, looking again")
            }
            Self::InForce(_) => f.write_str("in force"),
            Self::Other(revision) => write!(f, "still has revision {revision}"),
            Self::Refused(revision) => write!(
                f,
                "refused its newest configuration and goes on with revision {revision}; its log says why, and so does skew-guard check"
            ),
            Self::OldRoutes {
                virtual_host,
                shown,
            } => write!(
                f,
                "has the plugin's part, but still has the routes {shown} of {virtual_host}. All hosts of a port are one RouteConfiguration, and Envoy refuses all of it because of one wrong object, even another team's: its log says \"rejected\" and why"
            ),
            Self::NoRoutes => write!(
                f,
                "has the plugin's part, but none of its routes: either they were refused (Envoy's log says \"rejected\" and why), or none of the Gateways that they name is served there"
            ),
            Self::Draining(count) => write!(
                f,
                "has it in force for new connections, and {count} listeners or filter chains are still draining: connections that were already open keep the old one until Envoy's drain time is over (--drain-time-s, by default 10 minutes). A change to another application's listener prolongs this too"
            ),
            Self::Undrained => write!(f, "shows no {}", DRAINING.join(" and no ")),
            Self::Gone(plugin) => write!(
                f,
                "no longer has the plugin {plugin}: the revision that it shows was left behind"
            ),
            Self::Others(plugins) => write!(
                f,
                "does not have the plugin; it has: {}",
                plugins.join(", ")
            ),
            Self::Absent => f.write_str("shows no skew_guard_config_revision"),
            Self::Several(plugins) => write!(
                f,
                "has several plugins; choose one with --plugin: {}",
                plugins.join(", ")
            ),
            Self::Unreachable(why) => write!(f, "cannot be reached: {why}"),
            Self::Skipped => f.write_str("skipped, as you said"),
        }
    }
}

impl GatewayState {
    /// What the gateway's metrics show.
    pub fn of(metrics: Metrics<'_>, wanted: &Wanted) -> Self {
        match in_force(metrics, &wanted.plugins) {
            Ok((plugin, revision)) => Self::of_plugin(metrics, &plugin, revision, wanted),
            Err(state) => state,
        }
    }

    fn of_plugin(metrics: Metrics<'_>, plugin: &Plugin, revision: u64, wanted: &Wanted) -> Self {
        if metrics.is_refused(plugin) {
            return Self::Refused(revision);
        }
        if revision != wanted.revision {
            return Self::Other(revision);
        }
        wanted
            .routes
            .as_ref()
            .and_then(|routes| routes.lacking(metrics))
            .unwrap_or_else(|| wanted.drain(metrics))
    }

    /// For machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InForce(_) => "in_force",
            Self::Other(_) => "other",
            Self::Refused(_) => "refused",
            Self::OldRoutes { .. } => "old_routes",
            Self::NoRoutes => "no_routes",
            Self::Draining(_) => "draining",
            Self::Undrained => "undrained",
            Self::Gone(_) => "gone",
            Self::Others(_) => "others",
            Self::Absent => "absent",
            Self::Several(_) => "several",
            Self::Unreachable(_) => "unreachable",
            Self::Skipped => "skipped",
        }
    }

    /// Whether there is nothing more to wait for.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::InForce(looks) => *looks >= REQUIRED_POLLS,
            Self::Skipped => true,
            _ => false,
        }
    }

    /// Whether the plugin is there and its routes are not.
    pub fn lacks_routes(&self) -> bool {
        matches!(self, Self::OldRoutes { .. } | Self::NoRoutes)
    }

    /// The same state after what was seen before it.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Self {
        match (self, before) {
            (Self::InForce(_), Some(Self::InForce(looks))) => Self::InForce(looks + 1),
            (state, _) => state,
        }
    }
}

impl Wanted {
    /// Whether old connections are left, by all that drains in the gateway.
    fn drain(&self, metrics: Metrics<'_>) -> GatewayState {
        match metrics.draining() {
            _ if !self.drained => GatewayState::InForce(1),
            None => GatewayState::Undrained,
            Some(0) => GatewayState::InForce(1),
            Some(count) => GatewayState::Draining(count),
        }
    }
}

/// What the `stat_prefix` of a route has in all revisions: all but the number at its end.
pub fn family(stat_prefix: &str) -> &str {
    stat_prefix.trim_end_matches(|letter: char| letter.is_ascii_digit())
}

impl Routes {
    /// What is wrong with the routes of the gateway. A gateway has a virtual host for each port and host, and each port's
    /// are refused by themselves. Counters of former revisions stay as long as a stream uses their routes.
    fn lacking(&self, metrics: Metrics<'_>) -> Option<GatewayState> {
        let routes = metrics.routes(family(&self.stat_prefix));
        let ours: Vec<_> = routes.iter().filter(|route| self.concerns(route)).collect();
        if ours.is_empty() {
            return Some(GatewayState::NoRoutes);
        }
        let is_new = |virtual_host: &str| {
            let mut new = ours
                .iter()
                .filter(|route| route.is_named(&self.stat_prefix));
            new.any(|route| route.virtual_host == virtual_host)
        };
        let old = ours.iter().rfind(|route| !is_new(&route.virtual_host))?;
        Some(GatewayState::OldRoutes {
            virtual_host: old.virtual_host.clone(),
            shown: old.name.clone(),
        })
    }

    fn concerns(&self, route: &Route) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|host| route.is_of(host))
    }
}

/// The plugin that is meant, and the revision that it has in force.
///
/// # Errors
/// What the gateway shows in its place.
pub fn in_force(metrics: Metrics<'_>, wanted: &[String]) -> Result<(Plugin, u64), GatewayState> {
    let revisions = metrics.revisions();
    let is_meant =
        |plugin: &&Plugin| wanted.is_empty() || wanted.iter().any(|wanted| plugin.has_name(wanted));
    let named = revisions.keys().filter(is_meant);
    let (alive, gone): (Vec<_>, Vec<_>) = named.partition(|plugin| metrics.has(plugin));
    let plugin = match (alive.as_slice(), gone.first()) {
        ([plugin], _) => *plugin,
        ([], Some(gone)) => return Err(GatewayState::Gone(gone.name.clone())),
        ([], None) if revisions.is_empty() => return Err(GatewayState::Absent),
        ([], None) => return Err(GatewayState::Others(names(revisions.keys()))),
        (several, _) => return Err(GatewayState::Several(names(several.iter().copied()))),
    };
    let revision = revisions.get(plugin).copied().unwrap_or_default();
    Ok((plugin.clone(), revision))
}

fn names<'p>(plugins: impl Iterator<Item = &'p Plugin>) -> Vec<String> {
    plugins.map(|plugin| plugin.name.clone()).collect()
}
