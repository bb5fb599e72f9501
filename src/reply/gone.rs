//! "Gone" as headers and bodies, for the filter's own replies and for those of Envoy's that it rewrites.

use crate::decision::{Client, GoneReply};
use crate::policy::Policy;
use crate::request::Grpc;
use crate::version::Version;

use super::grpc::{self, Headers};

/// A message that says that the client's version is gone.
pub struct Message {
    /// The HTTP status; absent in native gRPC, whose replies Envoy makes from [`grpc::status`].
    pub status: Option<u16>,
    /// What describes it, and what the client is told.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

/// `cache-control` for what must not be stored.
pub const NO_STORE: (&str, &str) = ("cache-control", "no-store");

/// Says that a client's version is gone, in a way that the client understands.
pub fn message(policy: &Policy, client: Option<&Client>, reply: &GoneReply) -> Message {
    match reply {
        GoneReply::Reload {
            grpc: None,
            action_from,
            ..
        } => Message {
            status: Some(policy.reload.status),
            headers: described_as("application/json", to_script(policy, action_from.as_ref())),
            body: reload_body(policy, client).into_bytes(),
        },
        GoneReply::Reload {
            grpc: Some(dialect),
            ..
        } => in_grpc(policy, *dialect),
        GoneReply::Page => page(policy, FORM_PAGE),
        GoneReply::Frame => page(policy, FRAME_PAGE),
        GoneReply::Preflight {
            method, headers, ..
        } => Message {
            status: Some(204),
            headers: allowed(method, headers),
            body: Vec::new(),
        },
        GoneReply::NotFound { .. } => Message {
            status: Some(404),
            headers: not_stored(update_required(policy)),
            body: Vec::new(),
        },
    }
}

fn in_grpc(policy: &Policy, dialect: Grpc) -> Message {
    let mut headers = not_stored(update_required(policy));
    match grpc::web(dialect) {
        None => Message {
            status: None,
            headers,
            body: grpc::MESSAGE.into(),
        },
        Some((content_type, body)) => {
            headers.push(("content-type", content_type.to_owned()));
            headers.extend(grpc::status());
            Message {
                status: Some(200),
                headers,
                body: body.into(),
            }
        }
    }
}

fn allowed(method: &str, headers: &str) -> Headers {
    let mut allowed = vec![
        owned(NO_STORE),
        ("access-control-allow-methods", method.to_owned()),
    ];
    if !headers.is_empty() {
        allowed.push(("access-control-allow-headers", headers.to_owned()));
    }
    allowed
}

fn page(policy: &Policy, html: &str) -> Message {
    Message {
        status: Some(policy.reload.status),
        headers: described_as("text/html; charset=utf-8", update_required(policy)),
        body: html.into(),
    }
}

fn described_as(content_type: &str, more: Headers) -> Headers {
    let mut headers = vec![("content-type", content_type.to_owned())];
    headers.extend(not_stored(more));
    headers
}

fn not_stored(more: Headers) -> Headers {
    let mut headers = vec![owned(NO_STORE)];
    headers.extend(more);
    headers
}

/// What tells a script to reload. The router of Next.js 15 and 16 does not look at our headers; if a Server Action's
/// answer is not a component but redirects, it loads that page once
/// ([`server-action-reducer.ts`](https://github.com/vercel/next.js/blob/canary/packages/next/src/client/components/router-reducer/reducers/server-action-reducer.ts)).
fn to_script(policy: &Policy, action_from: Option<&String>) -> Headers {
    let mut headers = update_required(policy);
    headers.extend(action_from.map(|page| ("x-action-redirect", format!("{page};replace"))));
    headers
}

/// What a person sees after sending a form from a page of a release that is gone. The form is not sent again
/// automatically: nobody knows what that would do, since a pod may have done the work before it went.
const FORM_PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>This page is out of date</title>
<h1>This page is out of date</h1>
<p>The site has been updated since you opened the page that sent this form. What you entered may not have been saved.
Please go back, reload the page, see whether it is there, and otherwise send the form again.</p>
</html>
";

/// What a person sees in a frame whose release is gone.
const FRAME_PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>This page is out of date</title>
<p>The site has been updated since you opened this page. Please reload it.</p>
</html>
";

/// What tells a client that it has to reload.
fn update_required(policy: &Policy) -> Headers {
    let mut headers = vec![("x-client-update", "required".to_owned())];
    headers.extend(current_version(policy));
    headers
}

/// The heaviest release in current: for information, not for comparison.
pub fn current_version(policy: &Policy) -> Option<(&'static str, String)> {
    let current = policy.current.as_ref()?;
    Some(("x-client-current", current.heaviest.version.to_string()))
}

fn reload_body(policy: &Policy, client: Option<&Client>) -> String {
    if let Some(body) = &policy.reload.body {
        return body.clone();
    }
    // A version contains nothing that JSON would escape.
    let member = |name: &str, version: &Version| format!(",\"{name}\":\"{version}\"");
    let client = client.map_or_else(String::new, |client| member("client", &client.version));
    let current = policy.current.as_ref().map_or_else(String::new, |current| {
        member("current", &current.heaviest.version)
    });
    format!("{{\"error\":\"client_outdated\"{client}{current}}}")
}

/// The headers that let a script on another origin read the message; none if the configuration says
/// nothing about other origins.
pub fn cors(policy: &Policy, reply: &GoneReply) -> Headers {
    let Some(cors) = &policy.cors else {
        return Vec::new();
    };
    let origin = match reply {
        GoneReply::Reload { origin, .. } | GoneReply::NotFound { origin } => origin.as_ref(),
        GoneReply::Preflight { origin, .. } => Some(origin),
        GoneReply::Page | GoneReply::Frame => return Vec::new(),
    };
    // Even without an allowed origin: a cache must not give that answer to one.
    let mut headers = vec![("vary", "Origin".to_owned())];
    if let Some(origin) = origin {
        headers.push(("access-control-allow-origin", origin.clone()));
        headers.push(("access-control-expose-headers", EXPOSED.to_owned()));
        if cors.allow_credentials {
            headers.push(("access-control-allow-credentials", "true".to_owned()));
        }
    }
    headers
}

/// The filter's headers that a script on another origin may see, gRPC-web's status among them.
const EXPOSED: &str = "x-client-update, x-client-current, grpc-status, grpc-message";

/// A constant header as one of several.
pub fn owned((name, value): (&'static str, &str)) -> (&'static str, String) {
    (name, value.to_owned())
}
