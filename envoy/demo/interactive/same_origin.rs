//! Only the demo's own page may press its buttons, not another site that is open in the same browser.

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Lets a request through if it comes from a page of this origin.
pub async fn of_the_page_only(request: Request, next: Next) -> Response {
    match judge(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(reason) => (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response(),
    }
}

/// The host must be loopback's own name, or a site whose name is made to resolve to it could read and press as if it
/// were the page (DNS rebinding). Browsers say the origin with every POST: <https://fetch.spec.whatwg.org/#origin-header>.
fn judge(method: &Method, headers: &HeaderMap) -> Result<(), &'static str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST.as_str()).unwrap_or_default();
    let is_loopback = host
        .parse::<Authority>()
        .is_ok_and(|authority| ["127.0.0.1", "localhost", "[::1]"].contains(&authority.host()));
    if !is_loopback {
        return Err("this only answers to 127.0.0.1 and localhost");
    }
    if text("sec-fetch-site").is_some_and(|site| !["same-origin", "none"].contains(&site)) {
        return Err("this only answers to the demo's own page");
    }
    let from_page = text(ORIGIN.as_str()).is_some_and(|origin| origin == format!("http://{host}"));
    if method != Method::GET && !from_page {
        return Err(
            "only the demo's own page may press buttons: the origin is missing, or that of another page",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(method: Method, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers
            .iter()
            .filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
        judge(&method, &headers.collect()).is_ok()
    }

    #[test]
    fn the_page_may_look_and_press() {
        for host in ["127.0.0.1:10000", "localhost:10000", "[::1]:10000"] {
            let origin = format!("http://{host}");
            assert!(may(
                Method::GET,
                &[("host", host), ("sec-fetch-site", "same-origin")]
            ));
            assert!(may(
                Method::POST,
                &[
                    ("host", host),
                    ("origin", &origin),
                    ("sec-fetch-site", "same-origin")
                ]
            ));
        }
    }

    #[test]
    fn another_site_may_not() {
        let host = ("host", "127.0.0.1:10000");
        for origin in [
            "https://example.com",
            "http://127.0.0.1:3000",
            "http://localhost:10000",
            "null",
        ] {
            assert!(!may(Method::POST, &[host, ("origin", origin)]), "{origin}");
        }
        assert!(!may(Method::POST, &[host]));
        assert!(!may(Method::GET, &[host, ("sec-fetch-site", "cross-site")]));
        assert!(!may(Method::GET, &[host, ("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn a_name_that_was_made_to_lead_here_may_not() {
        for host in [
            "rebound.example.com:10000",
            "127.0.0.1.example.com",
            "example.com",
            "",
        ] {
            let origin = format!("http://{host}");
            assert!(
                !may(Method::POST, &[("host", host), ("origin", &origin)]),
                "{host}"
            );
            assert!(!may(Method::GET, &[("host", host)]), "{host}");
        }
    }
}
