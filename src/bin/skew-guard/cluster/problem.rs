//! Why kubectl had no answer, in our own words if the cause is known.

use std::fmt;
use std::io;

/// Why the cluster did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is no kubectl on the PATH.
    Missing,
    /// It is older than the oldest that is relied on, (major, minor).
    TooOld { version: String, oldest: (u64, u64) },
    /// No API server, or no right to speak to it.
    NoAccess(String),
    /// The API server knows who asks, and says no.
    Forbidden(String),
    /// There is no such object, or no such kind of object.
    NotFound(String),
    /// The object exists already, or was changed in the meantime.
    Conflict(String),
    /// Anything else, in the words of kubectl.
    Failed(String),
}

/// Makes a problem of what kubectl says.
type Kind = fn(String) -> Problem;

/// Words by which kubectl tells what went wrong. It has one exit status for all of it.
const PATTERNS: &[(&str, Kind)] = &[
    ("(Forbidden)", Problem::Forbidden),
    ("is forbidden: ", Problem::Forbidden),
    ("(NotFound)", Problem::NotFound),
    ("the server doesn't have a resource type", Problem::NotFound),
    ("(AlreadyExists)", Problem::Conflict),
    ("(Conflict)", Problem::Conflict),
    ("(Unauthorized)", Problem::NoAccess),
    ("must be logged in to the server", Problem::NoAccess),
    ("Unable to connect to the server", Problem::NoAccess),
    ("The connection to the server", Problem::NoAccess),
    ("error loading config file", Problem::NoAccess),
    ("error: context ", Problem::NoAccess),
    ("context was not found", Problem::NoAccess),
    ("does not exist", Problem::NoAccess),
    ("no configuration has been provided", Problem::NoAccess),
    ("getting credentials", Problem::NoAccess),
    ("dial tcp", Problem::NoAccess),
];

impl Problem {
    /// What kubectl complained about.
    pub(super) fn from_stderr(complaint: &str) -> Self {
        let known = PATTERNS.iter().find(|(words, _)| complaint.contains(words));
        let kind = known.map_or(Self::Failed as Kind, |(_, kind)| *kind);
        kind(last_line(complaint))
    }

    /// Why kubectl could not be run.
    pub(super) fn from_spawn_error(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Failed(format!("kubectl cannot be run: {error}")),
        }
    }

    /// Whether it may be different a moment later without anyone doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NoAccess(_) | Self::Failed(_))
    }
}

/// The last line: kubectl repeats itself before it gives up.
fn last_line(complaint: &str) -> String {
    let mut lines = complaint.lines().map(str::trim);
    let last = lines.rfind(|line| !line.is_empty()).unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "kubectl, which asks the cluster, is not on the PATH: https://kubernetes.io/docs/tasks/tools/",
            ),
            Self::TooOld {
                version,
                oldest: (major, minor),
            } => {
                write!(f, "kubectl is {version}; {major}.{minor} or later is needed")
            }
            Self::NoAccess(why) => write!(f, "the cluster cannot be reached: {why}"),
            Self::Forbidden(why) => write!(f, "the cluster forbids it: {why}"),
            Self::NotFound(why) | Self::Conflict(why) => f.write_str(why),
            Self::Failed(why) if why.is_empty() => f.write_str("kubectl failed and said nothing"),
            Self::Failed(why) => write!(f, "kubectl failed: {why}"),
        }
    }
}

impl std::error::Error for Problem {}
