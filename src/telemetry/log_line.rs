//! What the debug log says about one request: a single line, whatever the client sends, without the client's secrets.

use std::fmt;

use crate::decision::{Action, Decision};
use crate::request::Request;

/// A request as a line names it: method, host and path. What a client sent is escaped and cut off, and the query is
/// left out, because it may contain a preview key.
pub struct RequestName<'a>(pub &'a Request<'a>);

impl fmt::Display for RequestName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(request) = self;
        escape(request.method(), f)?;
        f.write_str(" ")?;
        escape(request.host().unwrap_or_default(), f)?;
        escape(request.path(), f)
    }
}

/// The most bytes shown of a part of a request.
const MAX_LENGTH: usize = 256;

fn escape(part: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match part.get(..MAX_LENGTH) {
        Some(start) if start.len() < part.len() => write!(f, "{}...", start.escape_ascii()),
        _ => write!(f, "{}", part.escape_ascii()),
    }
}

/// A request and what was decided on it.
pub struct LogLine<'a> {
    /// The request.
    pub request: &'a Request<'a>,
    /// What was decided.
    pub decision: &'a Decision,
    /// Whether it is carried out.
    pub enforced: bool,
}

impl fmt::Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decision = self.decision;
        write!(
            f,
            "{} ({}",
            RequestName(self.request),
            decision.class.name()
        )?;
        match (&decision.client, decision.client_version_for_logs()) {
            (None, _) => f.write_str("), no version")?,
            (Some(_), None) => f.write_str("), version in a cookie")?,
            (Some(_), Some(version)) => write!(f, "), version {version}")?,
        }
        write!(f, ": {}", decision.outcome.name())?;
        match (&decision.action, decision.release()) {
            (Action::Reply(_), _) => f.write_str(", answered here")?,
            (_, Some(release)) => write!(f, ", to {}", release.route)?,
            (_, None) => f.write_str(", left to the mesh")?,
        }
        write!(f, "; {}", decision.rule)?;
        if self.enforced {
            Ok(())
        } else {
            f.write_str("; observed only")
        }
    }
}
