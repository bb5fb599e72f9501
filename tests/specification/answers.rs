//! What happens to answers: the filter's own, and what it changes in others'.

use std::rc::Rc;

use skew_guard::decision::Action;
use skew_guard::filter::{Exchange, Installation};
use skew_guard::reply::local::Reply;
use skew_guard_invariants::host::FakeHost;

use crate::wire::{Sent, policy};

/// 2.1.0 and 2.0.0 are live, 1.4.2 is draining, 1.3.0 is gone.
fn shop(keys: &str) -> String {
    let separator = if keys.is_empty() { "" } else { "," };
    format!(
        r#"{{"releases":[
            {{"version":"2.1.0","route":"v2-1-0"}},
            {{"version":"2.0.0","route":"v2-0-0","accepts":["1.9.*"]}},
            {{"version":"1.4.2","route":"v1-4-2","state":"draining"}},
            {{"version":"1.3.0","state":"retired"}}],
            "current":"2.0.0"{separator}{keys}}}"#
    )
}

/// An answer after the filter has seen it.
struct Answer(FakeHost);

impl Answer {
    fn lines(&self, name: &str) -> Vec<String> {
        self.0.response_lines(name)
    }

    /// The one line of a header; "" where there is none.
    #[track_caller]
    fn line(&self, name: &str) -> String {
        let lines = self.lines(name);
        assert!(lines.len() < 2, "{name} is there twice: {lines:?}");
        lines.into_iter().next().unwrap_or_default()
    }

    fn count(&self, route: &str, sight: &str) -> u64 {
        self.0.metric(&format!(
            "plugin=.=;.;release=.={route};.;sight=.={sight};.;skew_guard_answers_total"
        ))
    }
}

/// Sends a request through a filter of this configuration, and this answer back.
fn exchange(
    configuration: &str,
    sent: &Sent,
    attributes: &[(&str, &[u8])],
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let host = FakeHost::default();
    let installation = Rc::new(Installation::configure(&host, configuration.as_bytes()));
    for (path, value) in attributes {
        host.attribute_is(path, value);
    }
    host.receive(&sent.headers());
    let mut exchange = Exchange::new(host.clone(), installation);
    exchange.on_request_headers();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    host.respond(&headers, body.as_bytes());
    exchange.on_response_headers(!body.is_empty());
    if !body.is_empty() {
        exchange.on_response_body(body.len());
    }
    Answer(host)
}

fn answered(keys: &str, sent: &Sent, headers: &[(&str, &str)]) -> Answer {
    exchange(&shop(keys), sent, &[], headers, "body")
}

fn call(version: &str) -> Sent {
    Sent::fetch("/api").with("x-bundle-version", version)
}

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const HTML: &[(&str, &str)] = &[
    (":status", "200"),
    ("content-type", "text/html; charset=utf-8"),
];

fn and<'a>(headers: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [headers, more].concat()
}

mod own_replies {
    use super::*;

    fn reply(keys: &str, sent: &Sent) -> Reply {
        let policy = policy(&shop(keys));
        let decision = sent
            .decided_by(&policy)
            .expect("the request is within the scope");
        match &decision.action {
            Action::Reply(answer) => Reply::of(&policy, decision.client.as_ref(), answer),
            Action::Forward(forward) => panic!("the request goes on: {forward:?}"),
        }
    }

    fn header<'r>(reply: &'r Reply, name: &str) -> Vec<&'r str> {
        reply
            .headers
            .iter()
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    fn body(reply: &Reply) -> &str {
        std::str::from_utf8(&reply.body).expect("it is text")
    }

    #[test]
    fn the_reload_answer_says_what_is_gone_and_what_is_current() {
        let reply = reply("", &call("1.3.0"));
        assert_eq!(reply.status, 409);
        assert_eq!(reply.details, "skew_guard_retired");
        assert_eq!(
            body(&reply),
            r#"{"error":"client_outdated","client":"1.3.0","current":"2.0.0"}"#
        );
        assert_eq!(header(&reply, "content-type"), ["application/json"]);
        assert_eq!(header(&reply, "cache-control"), ["no-store"]);
        assert_eq!(header(&reply, "x-client-update"), ["required"]);
        assert_eq!(header(&reply, "x-client-current"), ["2.0.0"]);
        assert!(header(&reply, "access-control-allow-origin").is_empty());
    }

    #[test]
    fn its_status_and_body_can_be_chosen() {
        let reply = reply(
            r#""reload":{"status":410,"body":{"code":"OLD", "n":1.10}}"#,
            &call("1.3.0"),
        );
        assert_eq!(
            (reply.status, body(&reply)),
            (410, r#"{"code":"OLD", "n":1.10}"#)
        );
    }

    #[test]
    fn the_details_say_why() {
        let keys = r#""denied":["1.4.2"],"minVersion":"1.0.0""#;
        for (version, details) in [
            ("1.3.0", "skew_guard_retired"),
            ("1.4.2", "skew_guard_denied"),
            ("0.9.0", "skew_guard_below_minimum"),
            ("9.9.9", "skew_guard_unknown"),
        ] {
            assert_eq!(reply(keys, &call(version)).details, details);
        }
    }

    #[test]
    fn an_asset_gets_404_that_no_cache_keeps() {
        let reply = reply("", &Sent::script("/main.js?dpl=1.3.0"));
        assert_eq!((reply.status, body(&reply)), (404, ""));
        assert_eq!(header(&reply, "cache-control"), ["no-store"]);
    }

    #[test]
    fn a_form_post_gets_a_page() {
        let post = Sent::navigation("/order?dpl=1.3.0")
            .but(":method", "POST")
            .but("sec-fetch-site", "same-origin");
        let reply = reply("", &post);
        assert_eq!(reply.status, 409);
        assert_eq!(header(&reply, "content-type"), ["text/html; charset=utf-8"]);
        assert!(body(&reply).starts_with("<!doctype html>"));
    }

    #[test]
    fn grpc_gets_a_status_that_no_client_retries() {
        let reply = reply(
            "",
            &call("1.3.0").with("content-type", "application/grpc+proto"),
        );
        assert_eq!((reply.status, reply.grpc_status), (200, Some(9)));
        assert_eq!(header(&reply, "x-client-update"), ["required"]);
        assert!(header(&reply, "content-type").is_empty());
    }

    #[test]
    fn grpc_web_gets_it_in_the_headers_and_as_a_frame_of_trailers() {
        for (content_type, format, start) in [
            (
                "application/grpc-web",
                "application/grpc-web+proto",
                &b"\x80\0\0\0"[..],
            ),
            (
                "application/grpc-web-text+proto",
                "application/grpc-web-text+proto",
                b"gAAAA",
            ),
        ] {
            let reply = reply("", &call("1.3.0").with("content-type", content_type));
            assert_eq!((reply.status, reply.grpc_status), (200, None));
            assert_eq!(header(&reply, "content-type"), [format]);
            assert_eq!(header(&reply, "grpc-status"), ["9"]);
            assert!(reply.body.starts_with(start));
        }
    }

    #[test]
    fn only_an_exact_origin_may_read_it() {
        let cors = r#""cors":{"allowOrigins":["https://app.example.com"],"allowCredentials":true}"#;
        let allowed = reply(
            cors,
            &call("1.3.0").with("origin", "https://app.example.com"),
        );
        assert_eq!(
            header(&allowed, "access-control-allow-origin"),
            ["https://app.example.com"]
        );
        assert_eq!(
            header(&allowed, "access-control-allow-credentials"),
            ["true"]
        );
        assert_eq!(header(&allowed, "vary"), ["Origin"]);
        for origin in [
            "https://app.example.com.evil.com",
            "http://app.example.com",
            "null",
        ] {
            let refused = reply(cors, &call("1.3.0").with("origin", origin));
            assert!(header(&refused, "access-control-allow-origin").is_empty());
            assert_eq!(header(&refused, "vary"), ["Origin"]);
        }
    }

    #[test]
    fn an_origin_is_meant_as_browsers_send_it() {
        for (allowed, origin, is_allowed) in [
            ("https://app:443", "https://app", true),
            ("https://APP.example:443", "https://app.example", true),
            ("http://app:80", "http://app", true),
            ("http://app:443", "http://app:443", true),
            ("http://app:443", "http://app", false),
            ("http://[::1]:80", "http://[::1]", true),
            ("capacitor://localhost", "capacitor://localhost", true),
            ("capacitor://localhost", "https://localhost", false),
            ("https://*.app.example", "https://a.app.example", true),
            ("https://*.app.example", "https://b.a.app.example", true),
            ("https://*.app.example", "https://app.example", false),
            ("https://*.app.example", "https://evilapp.example", false),
            ("https://*.app.example", "http://a.app.example", false),
            ("https://*.app.example", "https://a.app.example:8443", false),
            ("https://*.app.example", "https://evil/.app.example", false),
            ("https://*.app.example", "https://*.app.example", false),
            (
                "https://*.app.example:8443",
                "https://a.app.example:8443",
                true,
            ),
        ] {
            let cors = format!(r#""cors":{{"allowOrigins":["{allowed}"]}}"#);
            let reply = reply(&cors, &call("1.3.0").with("origin", origin));
            let answered = header(&reply, "access-control-allow-origin");
            let expected: &[&str] = if is_allowed { &[origin] } else { &[] };
            assert_eq!(answered, expected, "{allowed} and {origin}");
        }
    }
}

mod vary {
    use super::*;

    #[test]
    fn an_api_answer_names_the_header_sources() {
        assert_eq!(
            answered("", &call("2.0.0"), JSON).line("vary"),
            "x-bundle-version, x-deployment-id"
        );
        assert_eq!(
            answered("", &Sent::to("/api"), JSON).line("vary"),
            "x-bundle-version, x-deployment-id"
        );
    }

    #[test]
    fn what_the_upstream_says_is_not_said_again() {
        let half = and(
            JSON,
            &[("vary", "Accept-Encoding"), ("vary", "X-Bundle-Version")],
        );
        assert_eq!(
            answered("", &call("2.0.0"), &half).lines("vary"),
            ["Accept-Encoding", "X-Bundle-Version", "x-deployment-id"]
        );
        let all = and(JSON, &[("vary", "x-deployment-id,x-bundle-version")]);
        assert_eq!(
            answered("", &call("2.0.0"), &all).line("vary"),
            "x-deployment-id,x-bundle-version"
        );
    }

    #[test]
    fn a_star_is_left_alone() {
        let star = and(JSON, &[("vary", "*")]);
        assert_eq!(answered("", &call("2.0.0"), &star).line("vary"), "*");
    }

    #[test]
    fn documents_and_assets_vary_by_nothing_of_ours() {
        assert_eq!(answered("", &Sent::navigation("/"), HTML).line("vary"), "");
        let script = [(":status", "200"), ("content-type", "text/javascript")];
        assert_eq!(
            answered("", &Sent::script("/a.js"), &script).line("vary"),
            ""
        );
    }
}

mod hints {
    use super::*;

    #[test]
    fn a_stale_client_is_told_on_every_origin() {
        let exposing = and(JSON, &[("access-control-expose-headers", "x-request-id")]);
        let elsewhere = call("1.4.2").with("origin", "https://app.example.com");
        let answer = answered("", &elsewhere, &exposing);
        assert_eq!(answer.line("x-client-update"), "available");
        assert_eq!(answer.line("x-client-current"), "2.0.0");
        assert_eq!(
            answer.lines("access-control-expose-headers"),
            ["x-request-id", "x-client-update, x-client-current"]
        );
    }

    #[test]
    fn nothing_is_exposed_where_the_browser_names_no_origin() {
        let exposing = and(JSON, &[("access-control-expose-headers", "x-request-id")]);
        let answer = answered("", &call("1.4.2"), &exposing);
        assert_eq!(answer.line("x-client-update"), "available");
        assert_eq!(answer.line("access-control-expose-headers"), "x-request-id");
    }

    #[test]
    fn a_release_that_is_live_and_not_in_current_is_stale_too() {
        assert_eq!(
            answered("", &call("2.1.0"), JSON).line("x-client-update"),
            "available"
        );
    }

    #[test]
    fn a_client_of_an_accepted_version_is_stale() {
        assert_eq!(
            answered("", &call("1.9.1"), JSON).line("x-client-update"),
            "available"
        );
    }

    #[test]
    fn a_current_client_is_told_nothing() {
        for sent in [call("2.0.0"), Sent::fetch("/api"), Sent::navigation("/")] {
            let answer = answered("", &sent, JSON);
            assert_eq!(
                (
                    answer.line("x-client-update"),
                    answer.line("x-client-current")
                ),
                Default::default()
            );
        }
    }

    #[test]
    fn hints_can_be_switched_off() {
        assert_eq!(
            answered(r#""hints":false"#, &call("1.4.2"), JSON).line("x-client-update"),
            ""
        );
    }
}

mod asset_fallback {
    use super::*;

    #[test]
    fn a_page_in_the_place_of_an_asset_becomes_404_that_no_cache_keeps() {
        let page = and(
            HTML,
            &[
                ("cache-control", "max-age=31536000"),
                ("etag", "\"1\""),
                ("content-length", "4"),
                ("content-encoding", "gzip"),
            ],
        );
        for target in [
            "/assets/main.js",
            "/assets/main.js?dpl=2.0.0",
            "/assets/main.js?dpl=1.4.2",
        ] {
            let answer = answered("", &Sent::script(target), &page);
            assert_eq!(answer.line(":status"), "404");
            assert_eq!(answer.line("cache-control"), "no-store");
            assert_eq!(answer.line("content-length"), "0");
            assert_eq!(
                (
                    answer.line("etag"),
                    answer.line("content-type"),
                    answer.line("content-encoding")
                ),
                Default::default()
            );
            assert_eq!(answer.0.body(), "");
        }
        assert_eq!(
            answered("", &Sent::script("/a.js?dpl=1.4.2"), &page).count("v1-4-2", "fallback"),
            1
        );
    }

    #[test]
    fn what_is_no_page_or_no_success_or_no_asset_stays() {
        let script = [(":status", "200"), ("content-type", "text/javascript")];
        assert_eq!(
            answered("", &Sent::script("/a.js"), &script).line(":status"),
            "200"
        );
        let missing = [(":status", "410"), ("content-type", "text/html")];
        assert_eq!(
            answered("", &Sent::script("/a.js"), &missing).line(":status"),
            "410"
        );
        assert_eq!(
            answered("", &Sent::fetch("/a"), HTML).line(":status"),
            "200"
        );
        assert_eq!(
            answered(r#""assetFallback":false"#, &Sent::script("/a.js"), HTML).line(":status"),
            "200"
        );
    }
}

mod pin_cookie {
    use super::*;

    const PIN: &str = r#""pinCookie":{"name":"pin"}"#;

    #[test]
    fn a_page_pins_its_visitor_for_the_session() {
        let answer = answered(
            PIN,
            &Sent::navigation("/"),
            &and(HTML, &[("set-cookie", "sid=1")]),
        );
        assert_eq!(
            answer.lines("set-cookie"),
            ["sid=1", "pin=2.0.0; Path=/; SameSite=Lax; Secure; HttpOnly"]
        );
    }

    #[test]
    fn its_attributes_are_those_of_the_configuration() {
        let keys = r#""pinCookie":{"name":"pin","maxAgeSeconds":60,"domain":".example.com","path":"/shop","sameSite":"None"}"#;
        assert_eq!(
            answered(keys, &Sent::navigation("/"), HTML).line("set-cookie"),
            "pin=2.0.0; Max-Age=60; Domain=example.com; Path=/shop; SameSite=None; Secure; HttpOnly"
        );
        let insecure = r#""pinCookie":{"name":"pin","secure":false}"#;
        assert_eq!(
            answered(insecure, &Sent::navigation("/"), HTML).line("set-cookie"),
            "pin=2.0.0; Path=/; SameSite=Lax; HttpOnly"
        );
    }

    #[test]
    fn it_is_written_only_when_it_changes() {
        let page = |cookie: &str| {
            answered(PIN, &Sent::navigation("/").with("cookie", cookie), HTML)
                .lines("set-cookie")
                .len()
        };
        assert_eq!(page("pin=2.0.0"), 0);
        assert_eq!(page("pin=1.4.2"), 1);
        assert_eq!(page("pin=%%%"), 1);
    }

    #[test]
    fn it_is_written_only_on_pages_that_answer_navigations_and_forms() {
        let is_written = |sent: &Sent, answer: &[(&str, &str)]| {
            !answered(PIN, sent, answer).lines("set-cookie").is_empty()
        };
        assert!(is_written(&Sent::navigation("/"), &[(":status", "304")]));
        assert!(!is_written(&Sent::navigation("/"), JSON));
        assert!(!is_written(
            &Sent::navigation("/"),
            &[(":status", "302"), ("content-type", "text/html")]
        ));
        assert!(is_written(
            &Sent::navigation("/"),
            &[(":status", "404"), ("content-type", "text/html")]
        ));
        assert!(!is_written(
            &Sent::navigation("/"),
            &[(":status", "500"), ("content-type", "text/html")]
        ));
        let post = Sent::navigation("/order").but(":method", "POST");
        assert!(is_written(&post, HTML));
        assert!(!is_written(&post, JSON));
        assert!(!is_written(&Sent::fetch("/"), HTML));
        assert!(!is_written(
            &Sent::navigation("/").but("sec-fetch-dest", "iframe"),
            HTML
        ));
    }

    #[test]
    fn every_page_is_for_this_visitor_alone_not_only_one_that_sets_it() {
        let page = and(
            HTML,
            &[
                ("cache-control", "public, max-age=60"),
                ("cdn-cache-control", "max-age=60"),
            ],
        );
        let answer = answered(PIN, &Sent::navigation("/"), &page);
        assert_eq!(
            (
                answer.line("cache-control").as_str(),
                answer.line("cdn-cache-control").as_str()
            ),
            ("private, no-cache", "")
        );
        let unchanged = answered(
            PIN,
            &Sent::navigation("/").with("cookie", "pin=2.0.0"),
            &page,
        );
        assert_eq!(unchanged.line("cache-control"), "private, no-cache");
    }

    #[test]
    fn what_it_decided_is_for_this_visitor_alone() {
        let sent = Sent::script("/a.js").with("cookie", "pin=1.4.2");
        let script = [
            (":status", "200"),
            ("content-type", "text/javascript"),
            ("cache-control", "public, max-age=60"),
        ];
        assert_eq!(
            answered(PIN, &sent, &script).line("cache-control"),
            "private, max-age=60"
        );
        let call = Sent::fetch("/api").with("cookie", "pin=1.4.2");
        assert_eq!(
            answered(PIN, &call, JSON).line("cache-control"),
            "private, no-cache"
        );
    }

    #[test]
    fn without_current_it_takes_the_version_that_the_pod_names() {
        let configuration = r#"{"releases":[{"version":"2.0.0"},{"version":"1.4.2"}],"pinCookie":{"name":"pin"},"upstreamVersion":{"responseHeader":"x-app-version"}}"#;
        let page = and(HTML, &[("x-app-version", "1.4.2")]);
        let cookie = |sent: &Sent, page: &[(&str, &str)]| {
            exchange(configuration, sent, &[], page, "page").line("set-cookie")
        };
        assert!(cookie(&Sent::navigation("/"), &page).starts_with("pin=1.4.2;"));
        assert_eq!(
            cookie(&Sent::navigation("/").with("cookie", "pin=1.4.2"), &page),
            ""
        );
        assert_eq!(
            cookie(
                &Sent::navigation("/"),
                &and(HTML, &[("x-app-version", "1\r\n2")])
            ),
            ""
        );
        let prefetch = Sent::navigation("/").with("sec-purpose", "prefetch");
        let declined = exchange(configuration, &prefetch, &[], &page, "page");
        assert_eq!(
            (
                declined.line(":status").as_str(),
                declined.line("set-cookie").as_str(),
                declined.0.body().as_str()
            ),
            ("503", "", "")
        );
    }

    #[test]
    fn its_age_begins_again_with_each_page_but_on_a_draining_release() {
        let aged = r#""pinCookie":{"name":"pin","maxAgeSeconds":60},"pinnedNavigation":["/exam"]"#;
        let written = |sent: Sent| answered(aged, &sent, HTML).line("set-cookie");
        let current = Sent::navigation("/").with("cookie", "pin=2.0.0");
        assert_eq!(
            written(current.clone()),
            "pin=2.0.0; Max-Age=60; Path=/; SameSite=Lax; Secure; HttpOnly"
        );
        assert_eq!(written(current.with("sec-purpose", "prefetch")), "");
        let draining = Sent::navigation("/exam").with("cookie", "pin=1.4.2");
        assert_eq!(written(draining), "");
    }

    #[test]
    fn a_frame_that_comes_without_it_gets_it_where_it_may_be_sent_there() {
        let embedded = r#""pinCookie":{"name":"pin","sameSite":"None"}"#;
        let frame = Sent::navigation("/").but("sec-fetch-dest", "iframe");
        assert_eq!(
            answered(embedded, &frame, HTML).line("set-cookie"),
            "pin=2.0.0; Path=/; SameSite=None; Secure; HttpOnly"
        );
        let pinned = frame.with("cookie", "pin=1.4.2");
        assert_eq!(answered(embedded, &pinned, HTML).line("set-cookie"), "");
    }

    #[test]
    fn a_bucket_stays_in_front_of_the_version() {
        let sent = Sent::navigation("/").with("cookie", "pin=00ff00ff~1.4.2");
        assert!(
            answered(PIN, &sent, HTML)
                .line("set-cookie")
                .starts_with("pin=00ff00ff~2.0.0;")
        );
    }
}

mod caching {
    use super::*;

    #[test]
    fn an_answer_of_another_version_than_the_url_names_is_stored_nowhere() {
        let keys = r#""unknownVersion":"current""#;
        let script = [
            (":status", "200"),
            ("content-type", "text/javascript"),
            ("cache-control", "public, max-age=60"),
        ];
        assert_eq!(
            answered(keys, &Sent::script("/main.js?dpl=2.2.0"), &script).line("cache-control"),
            "private, no-store"
        );
    }

    #[test]
    fn no_header_of_a_vendor_says_otherwise() {
        let vendors = [
            "cdn-cache-control",
            "cloudflare-cdn-cache-control",
            "edge-control",
            "netlify-cdn-cache-control",
            "surrogate-control",
            "vercel-cdn-cache-control",
            "x-accel-expires",
        ];
        let mut script = vec![(":status", "200"), ("content-type", "text/javascript")];
        script.extend(vendors.map(|name| (name, "max-age=600")));
        let sent = Sent::script("/main.js?dpl=2.2.0");
        let answer = answered(r#""unknownVersion":"current""#, &sent, &script);
        for name in vendors {
            assert!(answer.lines(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn where_the_mesh_chose_the_pods_own_word_counts() {
        let configuration = r#"{"releases":[{"version":"2.0.0"},{"version":"1.4.2"}],"upstreamVersion":{"responseHeader":"x-app-version"}}"#;
        let cached = |pod: &str| {
            let script = [
                (":status", "200"),
                ("content-type", "text/javascript"),
                ("cache-control", "public"),
                ("x-app-version", pod),
            ];
            exchange(
                configuration,
                &Sent::script("/main.js?dpl=2.1.0"),
                &[],
                &script,
                "x",
            )
            .line("cache-control")
        };
        assert_eq!(cached("2.1.0"), "public");
        assert_eq!(cached("2.0.0"), "private, no-store");
        assert_eq!(cached(""), "private, no-store");
    }
}

mod skew {
    use super::*;

    const NAMED: &str = r#""upstreamVersion":{"responseHeader":"x-app-version"}"#;

    #[track_caller]
    fn assert_skewed(keys: &str, sent: &Sent, pod: &str, route: &str, expected: u64) {
        let answer = answered(keys, sent, &and(JSON, &[("x-app-version", pod)]));
        assert_eq!(answer.count(route, "skewed"), expected);
        assert_eq!(answer.line(":status"), "200");
    }

    #[test]
    fn an_answer_of_another_release_is_counted_and_not_changed() {
        assert_skewed(NAMED, &call("1.4.2"), "2.0.0", "v1-4-2", 1);
        assert_skewed(NAMED, &call("1.4.2"), "1.4.2", "v1-4-2", 0);
        assert_skewed(NAMED, &call("1.4.2"), "", "v1-4-2", 0);
    }

    #[test]
    fn a_release_that_accepts_the_version_is_no_skew() {
        assert_skewed(NAMED, &call("1.9.1"), "2.0.0", "v2-0-0", 0);
        assert_skewed(NAMED, &call("1.9.1"), "1.4.2", "v2-0-0", 1);
    }

    #[test]
    fn a_page_from_another_release_than_current_is_a_wrong_label() {
        assert_skewed(NAMED, &Sent::navigation("/"), "1.4.2", "v2-0-0", 1);
        assert_skewed(
            NAMED,
            &Sent::navigation("/?dpl=1.4.2"),
            "2.0.0",
            "v2-0-0",
            0,
        );
    }

    #[test]
    fn an_observer_counts_what_clients_would_have_been_spared() {
        let observing = format!(r#"{NAMED},"enforce":false"#);
        assert_skewed(&observing, &call("1.4.2"), "2.0.0", "v1-4-2", 1);
        assert_skewed(&observing, &call("1.3.0"), "2.0.0", "none", 1);
        assert_skewed(&observing, &Sent::navigation("/"), "1.4.2", "v2-0-0", 0);
    }
}

mod failures {
    use super::*;

    const NO_HEALTHY: u64 = 0x2;
    const NO_CLUSTER: u64 = 0x100_0000;
    const CONNECT_FAILED: u64 = 0x20;

    /// Envoy's answer where it could reach nobody, with these flags, from this cluster or route.
    fn failed(keys: &str, sent: &Sent, flags: u64, cluster: &str, route: &str) -> Answer {
        let answer: &[(&str, &str)] = &[
            (":status", "503"),
            ("content-type", "text/plain"),
            ("content-length", "19"),
        ];
        failed_with(
            keys,
            sent,
            flags,
            cluster,
            route,
            answer,
            "no healthy upstream",
        )
    }

    fn failed_with(
        keys: &str,
        sent: &Sent,
        flags: u64,
        cluster: &str,
        route: &str,
        answer: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let flags = flags.to_le_bytes();
        let attributes: &[(&str, &[u8])] = &[
            ("response.flags", &flags),
            ("response.code_details", b"no_healthy_upstream"),
            ("xds.cluster_name", cluster.as_bytes()),
            ("xds.route_name", route.as_bytes()),
        ];
        exchange(&shop(keys), sent, attributes, answer, body)
    }

    const CLUSTER: &str = "outbound|8080|v1-4-2|api.shop.svc.cluster.local";

    #[test]
    fn a_pinned_call_whose_release_has_no_pods_becomes_the_reload_answer_in_place() {
        let answer = failed("", &call("1.4.2"), NO_HEALTHY, CLUSTER, "");
        let body = r#"{"error":"client_outdated","client":"1.4.2","current":"2.0.0"}"#;
        assert_eq!(answer.line(":status"), "409");
        assert_eq!(answer.line("content-type"), "application/json");
        assert_eq!(answer.line("content-length"), body.len().to_string());
        assert_eq!(answer.line("x-client-update"), "required");
        assert_eq!(answer.0.body(), body);
        assert_eq!(answer.count("v1-4-2", "gone"), 1);
    }

    #[test]
    fn an_answer_without_body_gets_none() {
        let answer = failed_with(
            "",
            &call("1.4.2"),
            NO_CLUSTER,
            "",
            "skew-guard-absent",
            &[(":status", "503")],
            "",
        );
        assert_eq!(
            (
                answer.line(":status").as_str(),
                answer.line("content-length").as_str()
            ),
            ("409", "0")
        );
        assert_eq!(answer.line("x-client-update"), "required");
    }

    #[test]
    fn a_pinned_asset_becomes_404() {
        let answer = failed(
            "",
            &Sent::script("/a.js?dpl=1.4.2"),
            NO_HEALTHY,
            CLUSTER,
            "",
        );
        assert_eq!(
            (
                answer.line(":status").as_str(),
                answer.line("cache-control").as_str(),
                answer.0.body().as_str()
            ),
            ("404", "no-store", "")
        );
    }

    #[test]
    fn a_form_post_becomes_a_page() {
        let post = Sent::navigation("/order?dpl=1.4.2")
            .but(":method", "POST")
            .but("sec-fetch-site", "same-origin");
        let answer = failed("", &post, NO_HEALTHY, CLUSTER, "");
        assert_eq!(answer.line("content-type"), "text/html; charset=utf-8");
        assert!(answer.0.body().starts_with("<!doctype html>"));
    }

    #[test]
    fn grpc_keeps_its_status_200() {
        let grpc: &[(&str, &str)] = &[
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "14"),
            ("grpc-message", "no healthy upstream"),
        ];
        let answer = failed_with(
            "",
            &call("1.4.2").with("content-type", "application/grpc"),
            NO_HEALTHY,
            CLUSTER,
            "",
            grpc,
            "",
        );
        assert_eq!(
            (
                answer.line(":status").as_str(),
                answer.line("grpc-status").as_str()
            ),
            ("200", "9")
        );
        assert_eq!(answer.line("x-client-update"), "required");
    }

    #[test]
    fn grpc_web_is_answered_in_its_own_format() {
        let sent = call("1.4.2").with("content-type", "application/grpc-web+proto");
        let answer = failed("", &sent, NO_HEALTHY, CLUSTER, "");
        assert_eq!(answer.line(":status"), "200");
        assert_eq!(answer.line("content-type"), "application/grpc-web+proto");
        assert_eq!(answer.line("grpc-status"), "9");
        assert!(
            answer
                .0
                .body()
                .ends_with("grpc-message:client_outdated\r\n")
        );
    }

    #[track_caller]
    fn assert_untouched(answer: &Answer) {
        assert_eq!(answer.line(":status"), "503");
        assert_eq!(
            (
                answer.line("x-client-update").as_str(),
                answer.0.body().as_str()
            ),
            ("", "no healthy upstream")
        );
    }

    #[test]
    fn an_outage_of_current_is_an_outage() {
        assert_untouched(&failed(
            "",
            &call("2.0.0"),
            NO_HEALTHY,
            "outbound|8080|v2-0-0|api",
            "",
        ));
        assert_untouched(&failed(
            "",
            &Sent::fetch("/api"),
            NO_HEALTHY,
            "outbound|8080|v2-0-0|api",
            "",
        ));
    }

    #[test]
    fn an_unrelated_services_outage_is_passed_on() {
        let quiet = r#""hints":false"#;
        for cluster in [
            "outbound|8080||payments",
            "outbound|8080|v1-4-20|api",
            "outbound|8080|v1-4|api",
            "",
        ] {
            assert_untouched(&failed(
                quiet,
                &call("1.4.2"),
                NO_HEALTHY,
                cluster,
                "v1-4-2",
            ));
        }
        assert_untouched(&failed(
            quiet,
            &call("1.4.2"),
            NO_CLUSTER,
            CLUSTER,
            "payments",
        ));
        assert_untouched(&failed(
            quiet,
            &call("1.4.2"),
            CONNECT_FAILED,
            CLUSTER,
            "v1-4-2",
        ));
    }

    #[test]
    fn an_upstreams_own_503_is_passed_on() {
        let answer = exchange(
            &shop(r#""hints":false"#),
            &call("1.4.2"),
            &[("response.flags", &0_u64.to_le_bytes())],
            &[(":status", "503")],
            "mine",
        );
        assert_eq!(
            (answer.line(":status").as_str(), answer.0.body().as_str()),
            ("503", "mine")
        );
    }

    #[test]
    fn a_version_that_looks_like_a_port_is_no_part_of_anothers_cluster() {
        let build = r#"{"releases":[{"version":"8081"},{"version":"8080","state":"draining"}],"current":"8081","hints":false}"#;
        let failed = |cluster: &str| {
            let attributes: &[(&str, &[u8])] = &[
                ("response.flags", &NO_HEALTHY.to_le_bytes()),
                ("xds.cluster_name", cluster.as_bytes()),
            ];
            exchange(build, &call("8080"), attributes, &[(":status", "503")], "x").line(":status")
        };
        assert_eq!(failed("outbound|8080||payments.svc"), "503");
        assert_eq!(failed("outbound|80|v-8080|api.svc"), "503");
        assert_eq!(failed("outbound|80||8080.svc"), "503");
        assert_eq!(failed("outbound|80|8080|api.svc"), "409");
        assert_eq!(failed("shop-8080"), "409");
    }

    #[test]
    fn a_frame_becomes_a_small_page() {
        let framed = Sent::navigation("/?dpl=1.4.2").but("sec-fetch-dest", "iframe");
        let answer = failed("", &framed, NO_HEALTHY, CLUSTER, "");
        assert_eq!(answer.line(":status"), "409");
        assert_eq!(answer.line("content-type"), "text/html; charset=utf-8");
        assert!(answer.0.body().contains("Please reload it"));
    }

    #[test]
    fn a_page_that_its_url_pins_is_led_to_the_url_without_the_version() {
        let keys = r#""pinnedNavigation":["/"],"pinCookie":{"name":"pin"}"#;
        let page = Sent::navigation("/cart?dpl=1.4.2&a=1").with("cookie", "pin=1.4.2");
        let answer = failed(keys, &page, NO_HEALTHY, CLUSTER, "");
        assert_eq!(answer.line(":status"), "303");
        assert_eq!(answer.line("location"), "/cart?a=1");
        assert_eq!(answer.line("cache-control"), "no-store");
        assert_eq!(answer.line("content-length"), "0");
        assert!(answer.line("set-cookie").starts_with("pin=; Max-Age=0;"));
        assert_eq!(answer.0.body(), "");
    }

    #[test]
    fn a_cluster_holds_its_release_as_a_whole_word() {
        for cluster in ["v1-4-2", "shop-v1-4-2", "api_v1-4-2", "v1-4-2|api"] {
            let answer = failed("", &call("1.4.2"), NO_HEALTHY, cluster, "");
            assert_eq!(answer.line(":status"), "409", "{cluster}");
        }
        for cluster in ["rev1-4-2", "shop-v1-4-2-canary", "shop-v1-4-20"] {
            assert_untouched(&failed(
                r#""hints":false"#,
                &call("1.4.2"),
                NO_HEALTHY,
                cluster,
                "",
            ));
        }
    }

    #[test]
    fn a_cluster_of_several_releases_can_be_named() {
        let keys = r#""reload":{"clusters":["shop"]}"#;
        assert_eq!(
            failed(keys, &call("1.4.2"), NO_HEALTHY, "shop", "").line(":status"),
            "409"
        );
        assert_untouched(&failed(
            "\"hints\":false",
            &call("1.4.2"),
            NO_HEALTHY,
            "shop",
            "",
        ));
    }

    #[test]
    fn a_route_of_the_release_without_a_cluster_is_gone_too() {
        for route in ["v1-4-2", "api/v1-4-2", "skew-guard-absent"] {
            assert_eq!(
                failed("", &call("1.4.2"), NO_CLUSTER, "", route).line(":status"),
                "409"
            );
        }
    }

    #[test]
    fn a_navigation_keeps_envoys_answer_and_loses_its_pin() {
        let page = Sent::navigation("/").with("cookie", "pin=00ff00ff~1.4.2");
        let answer = failed(
            r#""pinCookie":{"name":"pin"}"#,
            &page,
            NO_HEALTHY,
            "outbound|80|v2-0-0|web",
            "",
        );
        assert_eq!(answer.line(":status"), "503");
        assert_eq!(
            answer.line("set-cookie"),
            "pin=; Max-Age=0; Path=/; SameSite=Lax; Secure; HttpOnly"
        );
        assert_eq!(answer.0.body(), "no healthy upstream");
    }

    #[test]
    fn cors_headers_are_set_and_never_doubled() {
        let keys = r#""cors":{"allowOrigins":["https://app.example.com"]}"#;
        let by_envoy: &[(&str, &str)] = &[
            (":status", "503"),
            ("content-length", "19"),
            ("access-control-allow-origin", "https://app.example.com"),
            ("vary", "Origin"),
        ];
        let sent = call("1.4.2").with("origin", "https://app.example.com");
        let answer = failed_with(
            keys,
            &sent,
            NO_HEALTHY,
            CLUSTER,
            "",
            by_envoy,
            "no healthy upstream",
        );
        assert_eq!(
            answer.line("access-control-allow-origin"),
            "https://app.example.com"
        );
        assert_eq!(answer.line("vary"), "Origin");
        assert_eq!(
            answer.line("access-control-expose-headers"),
            "x-client-update, x-client-current, grpc-status, grpc-message"
        );
    }
}
