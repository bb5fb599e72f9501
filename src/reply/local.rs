//! The answers that the filter gives itself, in the request phase.

use crate::decision::{Client, GoneReply, LocalReply};
use crate::policy::{GoneReason, Policy};
use crate::preview::Redirect;
use crate::version::Version;

use super::gone::{self, NO_STORE, owned};
use super::grpc::{self, Headers};

/// An answer that the filter gives itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// Its body, which Envoy leaves out in answer to HEAD.
    pub body: Vec<u8>,
    /// Why, for the access log's `%RESPONSE_CODE_DETAILS%`.
    pub details: &'static str,
    /// The gRPC status, for a request that Envoy knows to be gRPC.
    pub grpc_status: Option<u32>,
}

impl Reply {
    /// The answer as it is sent to a client of this version.
    #[must_use]
    pub fn of(policy: &Policy, client: Option<&Client>, answer: &LocalReply) -> Self {
        match answer {
            LocalReply::Gone { why, reply } => Self::gone(policy, client, *why, reply),
            LocalReply::Declined => Self::plain(503, "skew_guard_declined", ""),
            LocalReply::Preview(redirect) => Self::redirect(redirect),
            LocalReply::NoSuchPreview(version) => Self::no_such_preview(policy, version),
        }
    }

    fn gone(policy: &Policy, client: Option<&Client>, why: GoneReason, reply: &GoneReply) -> Self {
        let message = gone::message(policy, client, reply);
        let mut headers = message.headers;
        headers.extend(gone::cors(policy, reply));
        Self {
            status: message.status.unwrap_or(200),
            headers,
            body: message.body,
            details: details_of(why),
            grpc_status: message
                .status
                .is_none()
                .then_some(grpc::FAILED_PRECONDITION),
        }
    }

    fn plain(status: u16, details: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![owned(NO_STORE)],
            body: body.into(),
            details,
            grpc_status: None,
        }
    }

    fn redirect(redirect: &Redirect) -> Self {
        Self {
            headers: vec![
                ("location", redirect.location.clone()),
                ("set-cookie", redirect.set_cookie.clone()),
                ("cache-control", "private, no-store".to_owned()),
            ],
            ..Self::plain(303, "skew_guard_preview", "")
        }
    }

    fn no_such_preview(policy: &Policy, version: &Version) -> Self {
        let versions: Vec<_> = policy
            .releases
            .iter()
            .map(|release| release.version.as_str())
            .collect();
        let body = format!(
            "No release {version} can be previewed. There are: {}\n",
            versions.join(", ")
        );
        let mut reply = Self::plain(404, "skew_guard_no_such_preview", body);
        reply
            .headers
            .push(("content-type", "text/plain; charset=utf-8".to_owned()));
        reply
    }
}

fn details_of(why: GoneReason) -> &'static str {
    match why {
        GoneReason::Retired => "skew_guard_retired",
        GoneReason::Denied => "skew_guard_denied",
        GoneReason::BelowMinimum => "skew_guard_below_minimum",
        GoneReason::Unknown => "skew_guard_unknown",
    }
}
