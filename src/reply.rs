//! Answers and response headers, as data: what the filter says itself, and what it changes in what
//! others say.

use crate::config::CorsConfig;
use crate::decision::{Client, Decision, OwnAnswer};
use crate::policy::{Gone, Policy};
use crate::preview::Redirect;
use crate::request::Request;
use crate::version::Version;

mod amend;
mod caching;
mod grpc;

pub use amend::{Amendment, Change, Outgoing, amend};

/// An answer that the filter gives itself, in the request phase.
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
    /// The gRPC status, for a request of which Envoy knows that it is gRPC.
    pub grpc_status: Option<u32>,
}

/// Headers and their values.
pub type Headers = Vec<(&'static str, String)>;

const NO_STORE: (&str, &str) = ("cache-control", "no-store");

impl Reply {
    /// The filter's own answer to a request, where the decision is that it gives one.
    #[must_use]
    pub fn to(policy: &Policy, request: &Request<'_>, decision: &Decision) -> Option<Self> {
        Some(match decision.answer.as_ref()? {
            OwnAnswer::Reload(why) => Self::reload(policy, request, decision.client.as_ref(), *why),
            OwnAnswer::ReloadPage(why) => Self::page(policy, *why),
            OwnAnswer::NoAsset(why) => {
                Self::plain(404, details_of(*why), "").with(cors(policy, request))
            }
            OwnAnswer::Declined => Self::plain(503, "skew_guard_declined", ""),
            OwnAnswer::Preview(redirect) => Self::redirect(redirect),
            OwnAnswer::NoSuchPreview(version) => Self::no_such_preview(policy, version),
        })
    }

    fn plain(status: u16, details: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![own(NO_STORE)],
            body: body.into(),
            details,
            grpc_status: None,
        }
    }

    fn with(mut self, headers: Headers) -> Self {
        self.headers.extend(headers);
        self
    }

    fn reload(policy: &Policy, request: &Request<'_>, client: Option<&Client>, why: Gone) -> Self {
        let details = details_of(why);
        let reply = match request.grpc() {
            None => Self {
                headers: reload_headers(policy),
                ..Self::plain(policy.reload.status, details, reload_body(policy, client))
            },
            Some(dialect) => match grpc::web(dialect) {
                None => Self {
                    grpc_status: Some(grpc::FAILED_PRECONDITION),
                    ..Self::plain(200, details, grpc::MESSAGE)
                },
                Some((content_type, body)) => Self::plain(200, details, body)
                    .with(vec![("content-type", content_type.to_owned())])
                    .with(grpc::status()),
            }
            .with(update_required(policy)),
        };
        reply.with(cors(policy, request))
    }

    fn page(policy: &Policy, why: Gone) -> Self {
        Self {
            headers: page_headers(policy),
            ..Self::plain(policy.reload.status, details_of(why), RELOAD_PAGE)
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
        Self::plain(404, "skew_guard_no_such_preview", body).with(vec![(
            "content-type",
            "text/plain; charset=utf-8".to_owned(),
        )])
    }
}

/// What a person sees whose form was sent from a page of a release that is gone. It does not send the
/// form again by itself: nobody knows what that would do.
const RELOAD_PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>This page is out of date</title>
<h1>This page is out of date</h1>
<p>The site has been updated since you opened the page that sent this form, and nothing was saved.
Please go back, reload the page, and send the form again.</p>
</html>
";

fn details_of(why: Gone) -> &'static str {
    match why {
        Gone::Retired => "skew_guard_retired",
        Gone::Denied => "skew_guard_denied",
        Gone::BelowMinimum => "skew_guard_below_minimum",
        Gone::Unknown => "skew_guard_unknown",
    }
}

/// What tells a client that it has to reload.
fn update_required(policy: &Policy) -> Headers {
    let mut headers = vec![("x-client-update", "required".to_owned())];
    headers.extend(current_version(policy));
    headers
}

/// The heaviest release of current: for information, and not for comparing.
fn current_version(policy: &Policy) -> Option<(&'static str, String)> {
    let current = policy.current.as_ref()?;
    Some(("x-client-current", current.heaviest.version.to_string()))
}

fn reload_headers(policy: &Policy) -> Headers {
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        own(NO_STORE),
    ];
    headers.extend(update_required(policy));
    headers
}

fn page_headers(policy: &Policy) -> Headers {
    let mut headers = vec![
        ("content-type", "text/html; charset=utf-8".to_owned()),
        own(NO_STORE),
    ];
    headers.extend(update_required(policy));
    headers
}

fn reload_body(policy: &Policy, client: Option<&Client>) -> String {
    if let Some(body) = &policy.reload.body {
        return body.clone();
    }
    // A version holds nothing that JSON would want escaped.
    let member = |name: &str, version: &Version| format!(",\"{name}\":\"{version}\"");
    let client = client.map_or_else(String::new, |client| member("client", &client.version));
    let current = policy.current.as_ref().map_or_else(String::new, |current| {
        member("current", &current.heaviest.version)
    });
    format!("{{\"error\":\"client_outdated\"{client}{current}}}")
}

/// The headers by which a script on another origin may read the filter's own answer; none where the
/// configuration says nothing about other origins.
fn cors(policy: &Policy, request: &Request<'_>) -> Headers {
    let Some(cors) = &policy.cors else {
        return Vec::new();
    };
    cors_for(cors, policy.allowed_origin(request))
}

fn cors_for(cors: &CorsConfig, origin: Option<String>) -> Headers {
    // Also without an allowed origin: a cache must not give that answer to one.
    let mut headers = vec![("vary", "Origin".to_owned())];
    if let Some(origin) = origin {
        headers.push(("access-control-allow-origin", origin));
        headers.push(("access-control-expose-headers", EXPOSED.to_owned()));
        if cors.allow_credentials {
            headers.push(("access-control-allow-credentials", "true".to_owned()));
        }
    }
    headers
}

/// What a script on another origin is to see of the filter's headers, gRPC-web's status among them.
const EXPOSED: &str = "x-client-update, x-client-current, grpc-status, grpc-message";

fn own((name, value): (&'static str, &str)) -> (&'static str, String) {
    (name, value.to_owned())
}
