//! What may go wrong during a step, as told to the person who wants to take it.

use std::fmt;

use super::written_time;
use crate::scope::PathPrefix;
use crate::source::Source;
use crate::version::Version;

/// One thing that goes wrong while some gateways have the old configuration and some the new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hazard {
    /// The new configuration hands out pages of a release that the old one does not keep.
    TooEarly {
        /// The release.
        version: Version,
        /// How the old configuration treats it.
        cause: Cause,
        /// Where the page says its version.
        source: Source,
    },
    /// Clients of a version that the new configuration does not list are answered by another release.
    Removed {
        /// The version.
        version: Version,
        /// When it drained, where the old configuration says.
        until: Option<u64>,
        /// Who would answer; absent: any pod.
        by: Option<Version>,
    },
    /// A release leaves the list while the old configuration has it in `current`.
    RemovedWhileCurrent {
        /// The release.
        version: Version,
    },
    /// The new configuration does not look where clients say their version.
    SourceDropped {
        /// The place.
        source: Source,
        /// A version whose clients are answered by another release.
        version: Version,
    },
    /// Requests that are in the old configuration's scope are not in the new one's.
    ScopeNarrowed {
        /// Such a request's host and path.
        place: String,
        /// A version whose clients are answered by another release.
        version: Version,
    },
    /// The new configuration only watches.
    NotEnforced {
        /// A version whose clients are answered by another release.
        version: Version,
    },
    /// A release that has clients gets another route.
    RouteChanged {
        /// The release.
        version: Version,
        /// Its route as it is.
        from: String,
        /// Its route as it would be.
        to: String,
    },
    /// A route passes to another release.
    RouteReused {
        /// The route.
        route: String,
        /// Whose it is.
        from: Version,
        /// Whose it would be.
        to: Version,
    },
    /// Plugin and routes would disagree about the header, with several releases to mix up.
    RouteHeaderChanged {
        /// The header as it is.
        from: String,
        /// The header as it would be.
        to: String,
    },
    /// A release no longer accepts the clients of a version.
    AcceptsDropped {
        /// The version.
        version: Version,
        /// The release that accepted it.
        by: Version,
        /// Who would answer, any pod if none is named; absent: they are told to reload.
        left_to: Option<Option<Version>>,
    },
    /// Clients of a version are sent to a release that the old configuration does not list.
    AcceptedTooEarly {
        /// The version.
        version: Version,
        /// The release that answered.
        from: Version,
        /// The release that would answer.
        to: Version,
    },
    /// A path is no longer pinned.
    PathUnpinned {
        /// The path.
        path: PathPrefix,
        /// A version whose clients are answered by another release.
        version: Version,
        /// Who would answer; absent: any pod.
        by: Option<Version>,
    },
    /// Page loads below a path are no longer pinned.
    NavigationUnpinned {
        /// The path.
        path: PathPrefix,
        /// A version whose visitors get a page of another release.
        version: Version,
        /// Whose page they would get; absent: any pod's.
        by: Option<Version>,
    },
    /// Another source is read first.
    SourcesReordered {
        /// The one that counted.
        before: Source,
        /// The one that would count.
        after: Source,
    },
    /// The pin cookie keeps its name and gets another domain or path.
    PinCookieMoved {
        /// The name.
        name: String,
    },
    /// A plugin is only in the old documents.
    PluginRemoved {
        /// Its name.
        name: String,
        /// A plugin that is only in the new ones.
        renamed_to: Option<String>,
    },
    /// Clients of a version that is served are answered by another release, for another reason.
    Skewed {
        /// The version.
        version: Version,
        /// Where its clients say it.
        source: Source,
        /// Who would answer; absent: any pod.
        by: Option<Version>,
    },
}

/// How a configuration treats a release whose pages another one hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It does not list it.
    Unlisted,
    /// It lists it as staged.
    Staged,
    /// It lists it as retired, or as drained by then.
    Retired,
    /// It denies it, or its `minVersion` does.
    Refused,
    /// It leaves some of its requests to any release, by unpinnedPaths.
    Unpinned,
    /// It serves it, but does not see the version where the page says it.
    Unseen,
}

impl Hazard {
    /// Whether another one need not be reported once this one has been.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::TooEarly { version: one, .. }, Self::TooEarly { version: two, .. })
            | (Self::Skewed { version: one, .. }, Self::Skewed { version: two, .. }) => one == two,
            (Self::SourceDropped { source: one, .. }, Self::SourceDropped { source: two, .. }) => {
                one == two
            }
            (Self::ScopeNarrowed { place: one, .. }, Self::ScopeNarrowed { place: two, .. }) => {
                one == two
            }
            (Self::NotEnforced { .. }, Self::NotEnforced { .. }) => true,
            (
                Self::AcceptsDropped { version: one, .. },
                Self::AcceptsDropped { version: two, .. } | Self::Skewed { version: two, .. },
            )
            | (
                Self::AcceptedTooEarly { version: one, .. },
                Self::AcceptedTooEarly { version: two, .. },
            ) => one == two,
            (Self::PathUnpinned { path: one, .. }, Self::PathUnpinned { path: two, .. })
            | (
                Self::NavigationUnpinned { path: one, .. },
                Self::NavigationUnpinned { path: two, .. },
            ) => one == two,
            _ => self == other,
        }
    }

    /// A word for machines.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooEarly { .. } => "too_early",
            Self::Removed { .. } => "removed",
            Self::RemovedWhileCurrent { .. } => "removed_while_current",
            Self::SourceDropped { .. } => "source_dropped",
            Self::ScopeNarrowed { .. } => "scope_narrowed",
            Self::NotEnforced { .. } => "not_enforced",
            Self::RouteChanged { .. } => "route_changed",
            Self::RouteReused { .. } => "route_reused",
            Self::RouteHeaderChanged { .. } => "route_header_changed",
            Self::AcceptsDropped { .. } => "accepts_dropped",
            Self::AcceptedTooEarly { .. } => "accepted_too_early",
            Self::PathUnpinned { .. } => "path_unpinned",
            Self::NavigationUnpinned { .. } => "navigation_unpinned",
            Self::SourcesReordered { .. } => "sources_reordered",
            Self::PinCookieMoved { .. } => "pin_cookie_moved",
            Self::PluginRemoved { .. } => "plugin_removed",
            Self::Skewed { .. } => "skewed",
        }
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooEarly {
                version,
                cause: Cause::Unseen,
                source,
            } => write!(
                f,
                "a gateway with the new configuration gives visitors {version}, and a gateway with the old one does not see the version of such a page in {source}: another release would answer it. Let every gateway read {source} first"
            ),
            Self::TooEarly {
                version,
                cause: Cause::Unpinned,
                ..
            } => write!(
                f,
                "a gateway with the new configuration gives visitors {version}, while a gateway with the old one leaves some requests of such a page to any release, because of its unpinnedPaths. Let every gateway have the new unpinnedPaths before or after"
            ),
            Self::TooEarly { version, cause, .. } => write!(
                f,
                "a gateway with the new configuration gives visitors {version}, while {cause} for a gateway with the old one, which would send them back or to another release. Let every gateway have it as live first"
            ),
            Self::Removed { version, until, by } => {
                write!(
                    f,
                    "{version} is taken off the list, and the new configuration leaves unknown versions to {}: a tab of {version} would be answered by another release. Safe once no tab of {version} can be open",
                    answerer(by.as_ref())
                )?;
                if let Some(until) = until {
                    write!(f, " (it was draining until {})", written_time(*until))?;
                }
                f.write_str(
                    "; until then keep it listed as retired, or set unknownVersion to reload",
                )
            }
            Self::RemovedWhileCurrent { version } => write!(
                f,
                "{version} is taken off the list, and its routes with it, while a gateway with the old configuration still sends visitors there. Set it to retired in this step, and take it off the list later"
            ),
            Self::SourceDropped { source, version } => write!(
                f,
                "{source} is no longer read: a tab of {version} that says its version only there would be answered by another release. Safe while one release is served and no tab of another can be open"
            ),
            Self::ScopeNarrowed { place, version } => write!(
                f,
                "{place} is no longer guarded: a tab of {version} would be answered there by another release. Safe while one release is served and no tab of another can be open"
            ),
            Self::NotEnforced { version } => write!(
                f,
                "enforce is switched off: a tab of {version} would be answered by another release. Safe while one release is served and no tab of another can be open"
            ),
            Self::RouteChanged { version, from, to } => write!(
                f,
                "the route of {version} changes from {from} to {to}: no gateway learns plugin and routes at the same moment, so its clients would find no route, or a wrong one. A release keeps its route as long as it is listed"
            ),
            Self::RouteReused { route, from, to } => write!(
                f,
                "the route {route} of {from} passes to {to}: tabs of {from} would be answered by {to}. Give {to} a different route"
            ),
            Self::RouteHeaderChanged { from, to } => write!(
                f,
                "routeHeader changes from {from} to {to}: for a moment plugin and routes disagree about the header, and every request takes the default route. Safe while one release is served"
            ),
            Self::AcceptsDropped {
                version,
                by,
                left_to: None,
            } => write!(
                f,
                "{by} no longer accepts {version}: a tab of {version} that it answers would be told to reload. Safe once no tab of {version} can be open; until then keep it in accepts, or list {version} as retired if its tabs are to reload"
            ),
            Self::AcceptsDropped {
                version,
                by,
                left_to: Some(left_to),
            } => write!(
                f,
                "{by} no longer accepts {version}: a tab of {version} would be left to {}. Safe once no tab of {version} can be open; until then keep it in accepts, or list {version} as retired",
                answerer(left_to.as_ref())
            ),
            Self::AcceptedTooEarly { version, from, to } => write!(
                f,
                "API calls of {version} go from {from} to {to}, which the old configuration does not list, so its pods may not exist yet. List {to} first, and let {from} accept {version} until every gateway has that and its pods are up"
            ),
            Self::PathUnpinned { path, version, by } => write!(
                f,
                "{path} is in unpinnedPaths now: a tab of {version}, which its own release answers there, would be left to {}. Right for what any release may answer, such as an update probe or a service worker, while one release is served and no tab of another can be open; otherwise leave it out",
                answerer(by.as_ref())
            ),
            Self::NavigationUnpinned { path, version, by } => write!(
                f,
                "{path} is no longer in pinnedNavigation: a visitor of {version} in the middle of it would get a page of {}. Safe while one release is served, or once no visitor of another can be there",
                answerer(by.as_ref())
            ),
            Self::SourcesReordered { before, after } => write!(
                f,
                "{after} would be read before {before}: a request that says a different version in each goes to one release or the other while gateways disagree, and ends up with a different one than before. Keep the order, and add new sources at the end; safe while one release is served and no tab of another can be open"
            ),
            Self::PinCookieMoved { name } => write!(
                f,
                "the cookie \"{name}\" gets another domain or path: browsers that have the old cookie keep it next to the new one, send the older one first, and stay with its version forever. Give the cookie a new name"
            ),
            Self::PluginRemoved { name, renamed_to } => {
                write!(
                    f,
                    "{name} is gone: while several releases are served, its clients would be answered by any of them, and a client's own route header would choose one"
                )?;
                match renamed_to {
                    Some(new) => write!(
                        f,
                        ". If {new} is the same under another name: for a moment gateways have both, or neither. Keep the old one until every gateway has the new one, then remove it"
                    ),
                    None => f.write_str(
                        ". Safe while one release is served and no tab of another can be open",
                    ),
                }
            }
            Self::Skewed {
                version,
                source,
                by,
            } => write!(
                f,
                "a tab of {version} that says its version in {source} would be left to {} by a gateway with the new configuration",
                answerer(by.as_ref())
            ),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unlisted => "it is not listed",
            Self::Staged => "it is staged",
            Self::Retired => "it is retired",
            Self::Refused => "it is denied or below minVersion",
            Self::Unpinned => "some of its paths are not pinned",
            Self::Unseen => "its version is not seen",
        })
    }
}

fn answerer(by: Option<&Version>) -> String {
    by.map_or_else(|| "any pod".to_owned(), ToString::to_string)
}
