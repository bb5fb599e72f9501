//! What may go wrong during a step, said to the person who wants to make it.

use std::fmt;

use super::written_time;
use crate::source::Source;
use crate::version::Version;

/// One thing that goes wrong while some gateways have the old configuration and some the new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hazard {
    /// The new configuration gives out pages of a release that the old one does not keep.
    TooEarly {
        /// The release.
        version: Version,
        /// How the old configuration takes it.
        held: Held,
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
    /// A release leaves the list while the old configuration gives its pages out.
    StillGivenOut {
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
    /// The new configuration does not guard requests that the old one guards.
    ScopeNarrowed {
        /// Such a request's host and path.
        place: String,
        /// A version whose clients are answered by another release.
        version: Version,
    },
    /// The new configuration only observes.
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
    /// A route goes over to another release.
    RouteReused {
        /// The route.
        route: String,
        /// Whose it is.
        from: Version,
        /// Whose it would be.
        to: Version,
    },
    /// Plugin and routes would speak of different headers, with several releases to mix up.
    RouteHeaderChanged {
        /// The header as it is.
        from: String,
        /// The header as it would be.
        to: String,
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

/// How a configuration takes a release whose pages another one gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It does not list it.
    Unlisted,
    /// It lists it as staged.
    Staged,
    /// It lists it as retired, or as drained by then.
    Retired,
    /// It denies it, or its `minVersion` does.
    Refused,
    /// It serves it, but does not see the version where the page says it.
    Unseen,
}

impl Hazard {
    /// Whether another one need not be told once this one has been.
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
            _ => self == other,
        }
    }

    /// A word for machines.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooEarly { .. } => "too_early",
            Self::Removed { .. } => "removed",
            Self::StillGivenOut { .. } => "still_given_out",
            Self::SourceDropped { .. } => "source_dropped",
            Self::ScopeNarrowed { .. } => "scope_narrowed",
            Self::NotEnforced { .. } => "not_enforced",
            Self::RouteChanged { .. } => "route_changed",
            Self::RouteReused { .. } => "route_reused",
            Self::RouteHeaderChanged { .. } => "route_header_changed",
            Self::Skewed { .. } => "skewed",
        }
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooEarly {
                version,
                held: Held::Unseen,
                source,
            } => write!(
                f,
                "{version} is given to visitors by a gateway that has the new configuration, and a gateway that has the old one does not see the version of such a page in {source}: another release would answer it. Let every gateway read {source} first"
            ),
            Self::TooEarly { version, held, .. } => write!(
                f,
                "{version} is given to visitors by a gateway that has the new configuration, while {held} for one that has the old one, which would send them back or to another release. Let every gateway have it as live first"
            ),
            Self::Removed { version, until, by } => {
                write!(
                    f,
                    "{version} is taken off the list, and the new configuration leaves versions that it does not know to {}: a tab of {version} would be answered by another release. Safe when no tab of {version} can be open any more",
                    answerer(by.as_ref())
                )?;
                if let Some(until) = until {
                    write!(f, " (it drained until {})", written_time(*until))?;
                }
                f.write_str(
                    "; until then keep it listed as retired, or set unknownVersion to reload",
                )
            }
            Self::StillGivenOut { version } => write!(
                f,
                "{version} is taken off the list, and its routes with it, while a gateway that has the old configuration still sends visitors there. Put it to retired in this step, and take it off the list later"
            ),
            Self::SourceDropped { source, version } => write!(
                f,
                "{source} is not read any more: a tab of {version} that says its version only there would be answered by another release. Safe while one release is served, and no tab of another can be open"
            ),
            Self::ScopeNarrowed { place, version } => write!(
                f,
                "{place} is not guarded any more: a tab of {version} would be answered there by another release. Safe while one release is served, and no tab of another can be open"
            ),
            Self::NotEnforced { version } => write!(
                f,
                "enforce is switched off: a tab of {version} would be answered by another release. Safe while one release is served, and no tab of another can be open"
            ),
            Self::RouteChanged { version, from, to } => write!(
                f,
                "the route of {version} changes from {from} to {to}: no gateway learns plugin and routes at one moment, so that its clients would find no route, or a wrong one. A release keeps its route as long as it is listed"
            ),
            Self::RouteReused { route, from, to } => write!(
                f,
                "the route {route} of {from} goes over to {to}: tabs of {from} would be answered by {to}. Give {to} a route of its own"
            ),
            Self::RouteHeaderChanged { from, to } => write!(
                f,
                "routeHeader changes from {from} to {to}: for a moment plugin and routes speak of different headers, and every request takes the default route. Safe while one release is served"
            ),
            Self::Skewed {
                version,
                source,
                by,
            } => write!(
                f,
                "a tab of {version} that says its version in {source} would be left to {} by a gateway that has the new configuration",
                answerer(by.as_ref())
            ),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unlisted => "it is not listed",
            Self::Staged => "it is staged",
            Self::Retired => "it is retired",
            Self::Refused => "it is denied or below minVersion",
            Self::Unseen => "its version is not seen",
        })
    }
}

fn answerer(by: Option<&Version>) -> String {
    by.map_or_else(|| "any pod".to_owned(), ToString::to_string)
}
