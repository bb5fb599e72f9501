//! Which release answers which request: the rules, one after the other.

use skew_guard::decision::{
    Action, Caching, Decision, Forward, GoneReply, IfGone, LocalReply, Outcome, Rule,
};
use skew_guard::policy::{GoneReason, Policy};
use skew_guard::request::Class;

use crate::wire::{Sent, policy};

/// A list as teams have it: one to come, one current, one to go, one gone.
const RELEASES: &str = r#""releases":[
    {"version":"2.1.0","route":"v2-1-0","state":"staged"},
    {"version":"2.0.0","route":"v2-0-0","accepts":["1.9.*"]},
    {"version":"1.4.2","route":"v1-4-2","state":"draining","until":"2026-12-01T00:00:00Z"},
    {"version":"1.3.0","state":"retired"}],
    "current":"2.0.0""#;

/// When 1.4.2 has drained.
const DRAINED: u64 = 1_796_083_200;

fn shop() -> Policy {
    with("")
}

/// The shop's policy with these keys besides.
fn with(keys: &str) -> Policy {
    let separator = if keys.is_empty() { "" } else { "," };
    policy(&format!("{{{RELEASES}{separator}{keys}}}"))
}

/// A plain rolling update: the mesh has the pods of both, and nothing is current.
fn plain(keys: &str) -> Policy {
    let separator = if keys.is_empty() { "" } else { "," };
    policy(&format!(
        r#"{{"releases":[{{"version":"2.0.0","route":"v2-0-0"}},{{"version":"1.4.2","route":"v1-4-2"}}]{separator}{keys}}}"#
    ))
}

#[track_caller]
fn decide(policy: &Policy, sent: &Sent) -> Decision {
    sent.decided_by(policy)
        .expect("the request is within the scope")
}

/// That a request goes to this route ("" for none) with this outcome.
#[track_caller]
fn assert_routed(policy: &Policy, sent: &Sent, route: &str, outcome: Outcome) {
    let decision = decide(policy, sent);
    assert_eq!(
        (route_of(&decision), decision.outcome, answer_of(&decision)),
        (route, outcome, None)
    );
}

fn route_of(decision: &Decision) -> &str {
    decision
        .release()
        .map_or("", |release| release.route.as_str())
}

fn answer_of(decision: &Decision) -> Option<&LocalReply> {
    match &decision.action {
        Action::Reply(answer) => Some(answer),
        Action::Forward(_) => None,
    }
}

/// What becomes of a request that goes on.
#[track_caller]
fn forwarded(policy: &Policy, sent: &Sent) -> Forward {
    match decide(policy, sent).action {
        Action::Forward(forward) => forward,
        Action::Reply(answer) => panic!("the filter answers: {answer:?}"),
    }
}

/// The reload answer to a script of the page's own origin.
const RELOAD: GoneReply = GoneReply::Reload {
    origin: None,
    grpc: None,
    action_from: None,
};
const NOT_FOUND: GoneReply = GoneReply::NotFound { origin: None };

fn reload(why: GoneReason) -> LocalReply {
    LocalReply::Gone { why, reply: RELOAD }
}

fn reload_page(why: GoneReason) -> LocalReply {
    LocalReply::Gone {
        why,
        reply: GoneReply::Page,
    }
}

fn not_found(why: GoneReason) -> LocalReply {
    LocalReply::Gone {
        why,
        reply: NOT_FOUND,
    }
}

#[track_caller]
fn assert_answered(policy: &Policy, sent: &Sent, answer: LocalReply) {
    assert_eq!(answer_of(&decide(policy, sent)), Some(&answer));
}

mod scope {
    use super::*;

    #[track_caller]
    fn assert_in_scope(keys: &str, sent: &Sent, expected: bool) {
        assert_eq!(sent.decided_by(&with(keys)).is_some(), expected);
    }

    #[test]
    fn a_host_is_guarded_in_any_case_and_on_any_port() {
        let hosts = r#""hosts":["shop.example.com","*.shops.example.com","[::1]"]"#;
        for (authority, expected) in [
            ("shop.example.com", true),
            ("Shop.Example.COM:8443", true),
            ("a.b.shops.example.com:80", true),
            ("shops.example.com", false),
            ("evilshops.example.com", false),
            ("shop.example.com.evil.com", false),
            ("other.example.com", false),
            ("shop.example.com.", true),
            ("shop.example.com.:8443", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("", false),
        ] {
            assert_in_scope(hosts, &Sent::to("/").but(":authority", authority), expected);
        }
    }

    #[test]
    fn a_star_is_every_host() {
        assert_in_scope(
            r#""hosts":["*"]"#,
            &Sent::to("/").but(":authority", "any"),
            true,
        );
    }

    #[test]
    fn a_path_prefix_matches_whole_segments() {
        for (path, expected) in [
            ("/checkout", true),
            ("/checkout/", true),
            ("/checkout/pay?x=/y", true),
            ("/checkout?step=2", true),
            ("/checkout;jsessionid=1", true),
            ("/checkout;jsessionid=1/pay", true),
            ("/checkouts", false),
            ("/", false),
            ("/a/checkout", false),
        ] {
            assert_in_scope(r#""paths":["/checkout/"]"#, &Sent::to(path), expected);
        }
        assert_in_scope(r#""paths":["/"]"#, &Sent::to("/anything"), true);
    }
}

mod sources {
    use super::*;

    #[track_caller]
    fn assert_read(sources: &str, sent: &Sent, route: &str, outcome: Outcome) {
        assert_routed(
            &with(&format!(r#""sources":[{sources}]"#)),
            sent,
            route,
            outcome,
        );
    }

    #[test]
    fn the_first_usable_version_among_the_sources_wins() {
        let sources = r#"{"header":"x-v"},{"query":"v"}"#;
        let both = Sent::fetch("/api?v=1.4.2").with("x-v", "2.0.0");
        assert_read(sources, &both, "v2-0-0", Outcome::Pinned);
        let unusable = Sent::fetch("/api?v=1.4.2").with("x-v", "two point oh");
        assert_read(sources, &unusable, "v1-4-2", Outcome::Pinned);
        let reversed = r#"{"query":"v"},{"header":"x-v"}"#;
        assert_read(reversed, &both, "v1-4-2", Outcome::Pinned);
    }

    #[test]
    fn what_is_no_version_is_invalid_and_never_an_error() {
        for value in [
            &b"caf\xc3\xa9"[..],
            b"\xff\xfe",
            b"1.4.2 ; drop",
            &[b'a'; 65],
            b"-1",
        ] {
            assert_read(
                r#"{"header":"x-v"}"#,
                &Sent::fetch("/api").with("x-v", value),
                "v2-0-0",
                Outcome::Invalid,
            );
        }
        assert_read(
            r#"{"header":"x-v"}"#,
            &Sent::fetch("/api").with("x-v", ""),
            "v2-0-0",
            Outcome::Uncovered,
        );
    }

    #[test]
    fn a_header_that_two_have_added_counts_where_both_say_the_same() {
        let source = r#"{"header":"x-v"}"#;
        let call = |value: &str| Sent::fetch("/api").with("x-v", value);
        assert_read(source, &call("1.4.2, 1.4.2"), "v1-4-2", Outcome::Pinned);
        assert_read(
            source,
            &call("1.4.2,1.4.2 ,1.4.2"),
            "v1-4-2",
            Outcome::Pinned,
        );
        for value in ["1.4.2, 2.0.0", "1.4.2,", "1.4.2 1.4.2"] {
            assert_read(source, &call(value), "v2-0-0", Outcome::Invalid);
        }
    }

    #[test]
    fn what_a_build_writes_that_forgot_its_version_is_invalid() {
        for value in [
            "undefined",
            "null",
            "NaN",
            "None",
            "unknown",
            "TRUE",
            "false",
        ] {
            let call = Sent::fetch("/api").with("x-v", value);
            assert_read(r#"{"header":"x-v"}"#, &call, "v2-0-0", Outcome::Invalid);
        }
    }

    #[test]
    fn an_asset_follows_its_path_whatever_else_it_says() {
        let sources = r#"{"header":"x-v"},{"query":"v"},{"path":"/assets/v-{version}/"}"#;
        let script = Sent::script("/assets/v-1.4.2/main.js?v=2.0.0").with("x-v", "2.0.0");
        assert_read(sources, &script, "v1-4-2", Outcome::Pinned);
        let unnamed = Sent::script("/assets/main.js").with("x-v", "1.4.2");
        assert_read(sources, &unnamed, "v1-4-2", Outcome::Pinned);
        let call = Sent::fetch("/assets/v-1.4.2/data").with("x-v", "2.0.0");
        assert_read(sources, &call, "v2-0-0", Outcome::Pinned);
    }

    #[test]
    fn a_query_survives_duplicates_encoding_and_emptiness() {
        for (target, route, outcome) in [
            ("/api?dpl=1.4.2", "v1-4-2", Outcome::Pinned),
            ("/api?a=b&dpl=1.4.2&c", "v1-4-2", Outcome::Pinned),
            ("/api?dpl=1%2E4%2e2", "v1-4-2", Outcome::Pinned),
            ("/api?%64pl=1.4.2", "v1-4-2", Outcome::Pinned),
            ("/api?dpl=&dpl=1.4.2", "v1-4-2", Outcome::Pinned),
            ("/api?dpl=%zz&dpl=1.4.2", "v1-4-2", Outcome::Pinned),
            ("/api?dpl=1.4.2&dpl=2.0.0", "v1-4-2", Outcome::Pinned),
            ("/api?dpl=1.4.2#dpl=2.0.0", "v1-4-2", Outcome::Pinned),
            ("/api?dpl=", "v2-0-0", Outcome::Uncovered),
            ("/api?dpl", "v2-0-0", Outcome::Uncovered),
            ("/api?dpl=%ff", "v2-0-0", Outcome::Invalid),
            ("/api?xdpl=1.4.2", "v2-0-0", Outcome::Uncovered),
            ("/api?next=/x%3Fdpl=1.4.2", "v2-0-0", Outcome::Uncovered),
            ("/api?q=dpl=1.4.2", "v2-0-0", Outcome::Uncovered),
            ("/api/dpl=1.4.2", "v2-0-0", Outcome::Uncovered),
            ("/api?", "v2-0-0", Outcome::Uncovered),
            ("/api#?dpl=1.4.2", "v2-0-0", Outcome::Uncovered),
        ] {
            assert_read(r#"{"query":"dpl"}"#, &Sent::fetch(target), route, outcome);
        }
    }

    #[test]
    fn a_path_holds_the_version_in_its_segment_only() {
        for (target, route, outcome) in [
            ("/assets/v-1.4.2/main.js", "v1-4-2", Outcome::Pinned),
            ("/assets/v-1%2E4.2/main.js", "v1-4-2", Outcome::Pinned),
            ("/assets/v-1.4.2/a/v-2.0.0/b.js", "v1-4-2", Outcome::Pinned),
            ("/assets/img/x.png", "v2-0-0", Outcome::Uncovered),
            ("/assets/v-1.4.2", "v2-0-0", Outcome::Uncovered),
            ("/assets/v-/main.js", "v2-0-0", Outcome::Uncovered),
            ("/assets/v-%00/main.js", "v2-0-0", Outcome::Invalid),
            ("/x/assets/v-1.4.2/main.js", "v2-0-0", Outcome::Uncovered),
        ] {
            assert_read(
                r#"{"path":"/assets/v-{version}/"}"#,
                &Sent::script(target),
                route,
                outcome,
            );
        }
        assert_read(
            r#"{"path":"/{version}.d"}"#,
            &Sent::script("/1.4.2.d"),
            "v1-4-2",
            Outcome::Pinned,
        );
    }

    #[test]
    fn a_cookie_has_its_exact_name_and_the_first_equals_sign_splits() {
        for (cookie, route, outcome) in [
            ("x-pin=1.4.2", "v1-4-2", Outcome::Pinned),
            ("a=b; x-pin=1.4.2; c=d", "v1-4-2", Outcome::Pinned),
            ("a=b;x-pin = \"1.4.2\"", "v1-4-2", Outcome::Pinned),
            ("my-x-pin=1.4.2", "v2-0-0", Outcome::Uncovered),
            ("x-pin; a=b", "v2-0-0", Outcome::Uncovered),
            ("x-pin", "v2-0-0", Outcome::Uncovered),
            ("=1.4.2; ;;", "v2-0-0", Outcome::Uncovered),
            ("X-Pin=1.4.2", "v2-0-0", Outcome::Uncovered),
            ("x-pin=1.4.2=2", "v2-0-0", Outcome::Invalid),
            ("x-pin=1x4-2", "v2-0-0", Outcome::Gone),
        ] {
            let sent = Sent::fetch("/api").with("cookie", cookie);
            let policy = with(r#""sources":[{"cookie":"x-pin"}]"#);
            let decision = decide(&policy, &sent);
            let route = if outcome == Outcome::Gone { "" } else { route };
            assert_eq!(
                (route_of(&decision), decision.outcome),
                (route, outcome),
                "{cookie}"
            );
        }
    }

    #[test]
    fn cookies_may_come_in_several_lines_of_any_bytes() {
        let sent = Sent::fetch("/api")
            .with("cookie", b"a=\xff\xfe; b")
            .with("cookie", "c=d")
            .with("cookie", "x-pin=1.4.2");
        assert_read(r#"{"cookie":"x-pin"}"#, &sent, "v1-4-2", Outcome::Pinned);
    }

    #[test]
    fn baggage_has_members_with_properties_in_several_lines() {
        let source = r#"{"baggage":"client-version"}"#;
        for lines in [
            &["client-version=1.4.2"][..],
            &["a=b;p=1 , client-version = 1%2E4.2;ttl=9 ,c=d"],
            &["a=b", "client-version=1.4.2"],
        ] {
            let sent = lines
                .iter()
                .fold(Sent::fetch("/api"), |sent, line| sent.with("baggage", line));
            assert_read(source, &sent, "v1-4-2", Outcome::Pinned);
        }
        let other = Sent::fetch("/api").with("baggage", "old-client-version=1.4.2");
        assert_read(source, &other, "v2-0-0", Outcome::Uncovered);
    }
}

mod classes {
    use super::*;

    #[track_caller]
    fn assert_class(sent: &Sent, expected: Class) {
        assert_eq!(decide(&shop(), sent).class, expected);
    }

    fn fetching(mode: &str, dest: &str) -> Sent {
        Sent::to("/")
            .with("sec-fetch-mode", mode)
            .with("sec-fetch-dest", dest)
    }

    #[test]
    fn a_navigation_loads_a_document() {
        assert_class(&fetching("navigate", "document"), Class::Navigation);
        assert_class(
            &fetching("navigate", "document").but(":method", "HEAD"),
            Class::Navigation,
        );
    }

    #[test]
    fn a_service_worker_that_passes_a_navigation_on_makes_it_empty() {
        assert_class(&fetching("navigate", "empty"), Class::Navigation);
    }

    #[test]
    fn a_service_worker_that_rebuilt_a_navigation_still_asks_for_html() {
        let rebuilt = fetching("same-origin", "empty");
        assert_class(
            &rebuilt.clone().with("accept", "text/html, */*;q=0.1"),
            Class::Navigation,
        );
        assert_class(&rebuilt.with("accept", "application/json"), Class::Api);
    }

    #[test]
    fn without_fetch_metadata_a_get_that_names_html_is_a_navigation() {
        let html = "application/xhtml+xml, Text/HTML;q=0.9";
        assert_class(&Sent::to("/").with("accept", html), Class::Navigation);
        assert_class(
            &Sent::to("/").but(":method", "POST").with("accept", html),
            Class::Other,
        );
        assert_class(&Sent::to("/").with("accept", "*/*"), Class::Other);
        assert_class(&Sent::to("/").with("accept", "text/htmlx"), Class::Other);
    }

    #[test]
    fn a_framed_document_is_no_navigation() {
        for dest in ["iframe", "frame", "embed", "object"] {
            assert_class(&fetching("navigate", dest), Class::Framed);
        }
    }

    #[test]
    fn a_form_post_is_a_request_like_any_other() {
        assert_class(
            &fetching("navigate", "document").but(":method", "POST"),
            Class::Api,
        );
    }

    #[test]
    fn what_a_page_includes_is_an_asset() {
        for dest in [
            "script",
            "style",
            "image",
            "font",
            "worker",
            "sharedworker",
            "serviceworker",
            "manifest",
            "video",
            "audio",
            "track",
        ] {
            assert_class(&fetching("no-cors", dest), Class::Asset);
        }
    }

    #[test]
    fn a_prefetch_that_wants_no_page_is_an_asset() {
        let prefetch = fetching("no-cors", "empty").with("sec-purpose", "prefetch");
        assert_class(&prefetch.clone().with("accept", "*/*"), Class::Asset);
        assert_class(&prefetch.with("accept", "text/html"), Class::Api);
        let prerender = fetching("navigate", "document").with("sec-purpose", "prefetch;prerender");
        assert_class(&prerender, Class::Navigation);
    }

    #[test]
    fn without_fetch_metadata_a_file_below_a_path_source_is_an_asset() {
        let policy =
            with(r#""sources":[{"path":"/assets/v-{version}/"},{"path":"/api/v-{version}/"}]"#);
        let class = |sent: &Sent| decide(&policy, sent).class;
        let get = |target: &str| Sent::to(target).with("accept", "*/*");
        assert_eq!(class(&get("/assets/v-1.4.2/main.js")), Class::Asset);
        assert_eq!(
            class(&get("/assets/v-1.4.2/main.js").but(":method", "HEAD")),
            Class::Asset
        );
        assert_eq!(
            class(&get("/assets/v-1.4.2/main.js").but(":method", "POST")),
            Class::Other
        );
        assert_eq!(class(&get("/assets/v-1.4.2/part.html")), Class::Other);
        assert_eq!(class(&get("/api/v-1.4.2/cart")), Class::Other);
        assert_eq!(class(&get("/main.js")), Class::Other);
        let page = Sent::to("/assets/v-1.4.2/a.js").with("accept", "text/html");
        assert_eq!(class(&page), Class::Navigation);
    }

    #[test]
    fn fetch_and_websockets_are_api_calls() {
        assert_class(&fetching("cors", "empty"), Class::Api);
        assert_class(&fetching("websocket", "websocket"), Class::Api);
        assert_class(&fetching("same-origin", "empty"), Class::Api);
    }
}

mod navigations {
    use super::*;

    #[test]
    fn a_navigation_goes_to_current_whatever_version_it_carries() {
        let sources = r#""sources":[{"query":"dpl"},{"cookie":"v"}]"#;
        assert_routed(
            &with(sources),
            &Sent::navigation("/?dpl=1.4.2"),
            "v2-0-0",
            Outcome::Current,
        );
        assert_routed(
            &with(sources),
            &Sent::navigation("/").with("cookie", "v=1.3.0"),
            "v2-0-0",
            Outcome::Current,
        );
        assert_routed(
            &shop(),
            &Sent::navigation("/"),
            "v2-0-0",
            Outcome::Unversioned,
        );
        assert_routed(
            &shop(),
            &Sent::navigation("/?dpl=%00"),
            "v2-0-0",
            Outcome::Invalid,
        );
    }

    #[test]
    fn without_current_the_mesh_chooses_the_page() {
        assert_routed(&plain(""), &Sent::navigation("/"), "", Outcome::Unversioned);
    }

    #[test]
    fn a_pinned_navigation_stays_on_its_version_by_whole_segments() {
        let policy = with(r#""pinnedNavigation":["/checkout"]"#);
        assert_routed(
            &policy,
            &Sent::navigation("/checkout/pay?dpl=1.4.2"),
            "v1-4-2",
            Outcome::Pinned,
        );
        assert_routed(
            &policy,
            &Sent::navigation("/checkouts?dpl=1.4.2"),
            "v2-0-0",
            Outcome::Current,
        );
        assert_routed(
            &policy,
            &Sent::navigation("/checkout"),
            "v2-0-0",
            Outcome::Unversioned,
        );
    }

    #[test]
    fn a_pinned_navigation_whose_version_is_gone_goes_to_current() {
        let policy = with(r#""pinnedNavigation":["/checkout"]"#);
        assert_routed(
            &policy,
            &Sent::navigation("/checkout?dpl=1.3.0"),
            "v2-0-0",
            Outcome::Gone,
        );
    }

    #[test]
    fn a_link_on_another_site_chooses_no_version_but_the_cookie_does() {
        let policy = with(r#""pinnedNavigation":["/"],"sources":[{"query":"dpl"},{"cookie":"v"}]"#);
        let link = Sent::navigation("/?dpl=1.4.2").but("sec-fetch-site", "cross-site");
        assert_routed(&policy, &link, "v2-0-0", Outcome::Unversioned);
        assert_routed(
            &policy,
            &link.clone().with("cookie", "v=1.4.2"),
            "v1-4-2",
            Outcome::Pinned,
        );
        assert_routed(
            &policy,
            &link.but("sec-fetch-site", "same-site"),
            "v1-4-2",
            Outcome::Pinned,
        );
    }

    #[test]
    fn a_framed_document_follows_a_version_that_is_served_else_current() {
        let framed = |target: &str| {
            Sent::navigation(target)
                .but("sec-fetch-dest", "iframe")
                .but("sec-fetch-site", "same-origin")
        };
        assert_routed(&shop(), &framed("/?dpl=1.4.2"), "v1-4-2", Outcome::Pinned);
        assert_routed(&shop(), &framed("/?dpl=1.3.0"), "v2-0-0", Outcome::Gone);
        assert_routed(&shop(), &framed("/?dpl=1.9.1"), "v2-0-0", Outcome::Gone);
        assert_routed(&shop(), &framed("/"), "v2-0-0", Outcome::Uncovered);
    }
}

/// Conditions on what the client has already: a 304 would give it what it has of another release.
mod conditions {
    use super::*;

    const ALL: [&str; 2] = ["if-none-match", "if-modified-since"];

    fn conditional(sent: Sent) -> Sent {
        sent.with("if-none-match", "\"1\"")
            .with("if-modified-since", "Sat, 01 Nov 2025 00:00:00 GMT")
    }

    #[track_caller]
    fn assert_removed(keys: &str, sent: &Sent, expected: &[&str]) {
        assert_eq!(forwarded(&with(keys), sent).removed, expected);
    }

    #[test]
    fn they_go_where_a_header_chose_the_release_whatever_the_outcome() {
        for version in ["2.0.0", "1.4.2", "1.9.1"] {
            let call = conditional(Sent::fetch("/api").with("x-bundle-version", version));
            assert_removed("", &call, &ALL);
        }
        let unknown = conditional(Sent::fetch("/api").with("x-bundle-version", "9.9.9"));
        assert_removed(r#""unknownVersion":"current""#, &unknown, &ALL);
    }

    #[test]
    fn they_go_where_a_cookie_chose_the_release() {
        let pinned = |sent: Sent| conditional(sent).with("cookie", "pin=1.4.2");
        let keys = r#""pinCookie":{"name":"pin"}"#;
        assert_removed(keys, &pinned(Sent::fetch("/api")), &ALL);
        assert_removed(keys, &pinned(Sent::script("/a.js")), &ALL);
    }

    #[test]
    fn they_go_from_every_page_a_pinned_one_and_one_in_a_frame_too() {
        assert_removed("", &conditional(Sent::navigation("/")), &ALL);
        let pinned = conditional(Sent::navigation("/?dpl=1.4.2"));
        assert_removed(r#""pinnedNavigation":["/"]"#, &pinned, &ALL);
        assert_removed("", &pinned.but("sec-fetch-dest", "iframe"), &ALL);
    }

    #[test]
    fn they_go_from_an_asset_whose_url_names_no_served_version() {
        assert_removed("", &conditional(Sent::script("/logo.svg")), &ALL);
        let unknown = conditional(Sent::script("/a.js?dpl=9.9.9"));
        assert_removed(r#""unknownVersion":"current""#, &unknown, &ALL);
    }

    #[test]
    fn they_go_from_an_update_probe() {
        let probe = conditional(Sent::fetch("/version.json"));
        assert_removed(r#""unpinnedPaths":["/version.json"]"#, &probe, &ALL);
    }

    #[test]
    fn they_stay_where_the_url_chose_the_release() {
        assert_removed("", &conditional(Sent::script("/a.js?dpl=1.4.2")), &[]);
        assert_removed("", &conditional(Sent::fetch("/api?dpl=1.4.2")), &[]);
        assert_removed("", &conditional(Sent::to("/api")), &[]);
    }

    #[test]
    fn they_go_from_what_a_page_asks_without_its_version() {
        assert_removed("", &conditional(Sent::fetch("/api")), &ALL);
    }

    #[test]
    fn they_stay_on_other_methods_where_they_guard_a_write() {
        let call = Sent::fetch("/api").with("x-bundle-version", "1.4.2");
        for method in ["PUT", "POST", "DELETE", "PATCH"] {
            assert_removed("", &conditional(call.clone().but(":method", method)), &[]);
        }
        assert_removed("", &conditional(call.but(":method", "HEAD")), &ALL);
    }

    #[test]
    fn a_range_goes_with_its_condition_and_stays_without() {
        let call = Sent::fetch("/api")
            .with("x-bundle-version", "1.4.2")
            .with("range", "bytes=0-1");
        assert_removed("", &call, &[]);
        assert_removed("", &call.with("if-range", "\"1\""), &["if-range", "range"]);
    }

    #[test]
    fn an_application_whose_etags_are_hashes_keeps_them() {
        let keys = r#""conditional":"keep""#;
        assert_removed(keys, &conditional(Sent::navigation("/")), &[]);
        let call = conditional(Sent::fetch("/api").with("x-bundle-version", "1.4.2"));
        assert_removed(keys, &call, &[]);
    }
}

mod coverage {
    use super::*;

    #[test]
    fn what_a_page_of_this_origin_sends_without_a_version_is_uncovered() {
        for sent in [
            Sent::fetch("/api"),
            Sent::script("/logo.svg"),
            Sent::navigation("/frame")
                .but("sec-fetch-dest", "iframe")
                .but("sec-fetch-site", "same-origin"),
            Sent::navigation("/order")
                .but(":method", "POST")
                .but("sec-fetch-site", "same-origin"),
        ] {
            assert_routed(&shop(), &sent, "v2-0-0", Outcome::Uncovered);
        }
    }

    #[test]
    fn what_comes_from_elsewhere_or_is_a_navigation_is_not() {
        let page = Sent::navigation("/").but("sec-fetch-site", "same-origin");
        assert_routed(&shop(), &page, "v2-0-0", Outcome::Unversioned);
        for site in ["cross-site", "same-site", "none"] {
            let call = Sent::fetch("/api").but("sec-fetch-site", site);
            assert_routed(&shop(), &call, "v2-0-0", Outcome::Unversioned);
        }
        assert_routed(&shop(), &Sent::to("/api"), "v2-0-0", Outcome::Unversioned);
    }
}

mod preflights {
    use super::*;

    fn preflight(target: &str) -> Sent {
        Sent::fetch(target)
            .but(":method", "OPTIONS")
            .with("access-control-request-method", "GET")
            .with("origin", "https://app.example.com")
    }

    #[test]
    fn a_preflight_follows_the_version_in_the_url_else_current() {
        assert_routed(
            &shop(),
            &preflight("/api?dpl=1.4.2"),
            "v1-4-2",
            Outcome::Pinned,
        );
        assert_routed(
            &shop(),
            &preflight("/api?dpl=1.9.3"),
            "v2-0-0",
            Outcome::Compatible,
        );
        assert_routed(&shop(), &preflight("/api"), "v2-0-0", Outcome::Unversioned);
    }

    #[test]
    fn a_preflight_is_never_refused() {
        let policy = with(r#""denied":["1.2.3","1.4.2"]"#);
        for version in ["1.3.0", "1.2.3", "1.4.2", "9.9.9"] {
            assert_routed(
                &policy,
                &preflight(&format!("/api?dpl={version}")),
                "v2-0-0",
                Outcome::Current,
            );
        }
        assert!(
            forwarded(&shop(), &preflight("/api?dpl=1.4.2"))
                .if_gone
                .is_none()
        );
    }

    #[test]
    fn options_alone_is_no_preflight() {
        let options = Sent::fetch("/api?dpl=1.3.0").but(":method", "OPTIONS");
        assert_answered(&shop(), &options, reload(GoneReason::Retired));
    }

    #[test]
    fn a_cookie_pins_no_preflight() {
        let policy = with(r#""sources":[{"cookie":"v"}]"#);
        assert_routed(
            &policy,
            &preflight("/api").with("cookie", "v=1.4.2"),
            "v2-0-0",
            Outcome::Unversioned,
        );
    }
}

mod unpinned_paths {
    use super::*;

    #[test]
    fn the_update_probe_is_never_pinned() {
        let policy = with(r#""unpinnedPaths":["/version.json"]"#);
        let probe = Sent::fetch("/version.json?t=1").with("x-bundle-version", "1.4.2");
        assert_routed(&policy, &probe, "v2-0-0", Outcome::Current);
        assert_routed(
            &policy,
            &Sent::fetch("/version.json?dpl=1.3.0"),
            "v2-0-0",
            Outcome::Current,
        );
        assert_routed(
            &policy,
            &Sent::fetch("/version.jsonx?dpl=1.4.2"),
            "v1-4-2",
            Outcome::Pinned,
        );
    }

    #[test]
    fn a_service_workers_own_fetches_are_not_pinned_by_the_cookie() {
        let policy = with(r#""unpinnedPaths":["/sw.js"],"pinCookie":{"name":"pin"}"#);
        let fetch = Sent::fetch("/assets/main.js").with("cookie", "pin=1.4.2");
        assert_routed(&policy, &fetch, "v1-4-2", Outcome::Pinned);
        let by_worker = fetch.with("referer", "https://shop.example.com/sw.js");
        assert_routed(&policy, &by_worker, "v2-0-0", Outcome::Uncovered);
        let named = by_worker.with("x-bundle-version", "1.4.2");
        assert_routed(&policy, &named, "v1-4-2", Outcome::Pinned);
    }

    #[test]
    fn a_service_workers_script_is_not_pinned_by_the_cookie() {
        let policy = with(r#""pinCookie":{"name":"pin"}"#);
        let script = Sent::script("/worker.js")
            .but("sec-fetch-dest", "serviceworker")
            .with("cookie", "pin=1.4.2");
        assert_routed(&policy, &script, "v2-0-0", Outcome::Uncovered);
    }
}

mod versions {
    use super::*;

    fn call(version: &str) -> Sent {
        Sent::fetch("/api").with("x-bundle-version", version)
    }

    #[test]
    fn a_version_of_a_live_or_draining_release_is_pinned() {
        assert_routed(&shop(), &call("2.0.0"), "v2-0-0", Outcome::Pinned);
        assert_routed(&shop(), &call("1.4.2"), "v1-4-2", Outcome::Pinned);
    }

    #[test]
    fn a_draining_release_is_retired_at_its_time() {
        assert_routed(
            &shop(),
            &call("1.4.2").at(DRAINED - 1),
            "v1-4-2",
            Outcome::Pinned,
        );
        assert_answered(
            &shop(),
            &call("1.4.2").at(DRAINED),
            reload(GoneReason::Retired),
        );
    }

    #[test]
    fn a_retired_version_is_gone() {
        assert_answered(&shop(), &call("1.3.0"), reload(GoneReason::Retired));
    }

    #[test]
    fn an_accepted_version_is_compatible_for_api_calls_and_never_for_assets() {
        assert_routed(&shop(), &call("1.9.7"), "v2-0-0", Outcome::Compatible);
        assert_answered(
            &shop(),
            &Sent::script("/a.js?dpl=1.9.7"),
            not_found(GoneReason::Unknown),
        );
        let by_worker = Sent::script("/a.js").with("x-bundle-version", "1.9.7");
        assert_answered(&shop(), &by_worker, not_found(GoneReason::Unknown));
    }

    #[test]
    fn a_release_that_accepts_a_retired_version_serves_its_api_calls() {
        let policy = policy(
            r#"{"releases":[{"version":"2.0.0","accepts":["1.3.0"]},{"version":"1.3.0","state":"retired"}],"current":"2.0.0"}"#,
        );
        assert_routed(&policy, &call("1.3.0"), "2.0.0", Outcome::Compatible);
        assert_answered(
            &policy,
            &Sent::script("/a.js?dpl=1.3.0"),
            not_found(GoneReason::Retired),
        );
    }

    /// 3.0.0 and 2.0.0 accept the same, 1.5.0 drains and does too.
    fn accepting(current: &str) -> Policy {
        policy(&format!(
            r#"{{"releases":[
                {{"version":"3.0.0","accepts":["1.*"]}},
                {{"version":"2.10.0","accepts":["1.*"]}},
                {{"version":"2.9.0","accepts":["1.0.*"]}},
                {{"version":"1.5.0","state":"draining","accepts":["1.*"]}}]{current}}}"#
        ))
    }

    #[test]
    fn of_those_that_accept_a_version_current_serves_it() {
        let policy = accepting(r#","current":"2.10.0""#);
        assert_routed(&policy, &call("1.0.0"), "2.10.0", Outcome::Compatible);
    }

    #[test]
    fn listing_a_release_before_its_pods_takes_no_client_from_another() {
        let before =
            policy(r#"{"releases":[{"version":"2.0.0","accepts":["1.*"]}],"current":"2.0.0"}"#);
        let listed = policy(
            r#"{"releases":[{"version":"2.1.0","accepts":["1.*"]},{"version":"2.0.0","accepts":["1.*"]}],"current":"2.0.0"}"#,
        );
        for policy in [before, listed] {
            assert_routed(&policy, &call("1.9.3"), "2.0.0", Outcome::Compatible);
        }
    }

    #[test]
    fn where_current_does_not_accept_it_the_first_of_the_list_does() {
        let policy = policy(
            r#"{"releases":[{"version":"3.0.0","accepts":["1.*"]},{"version":"2.0.0","accepts":["1.*"]},{"version":"1.9.0"}],"current":"1.9.0"}"#,
        );
        assert_routed(&policy, &call("1.0.0"), "3.0.0", Outcome::Compatible);
    }

    #[test]
    fn without_current_the_oldest_live_release_that_accepts_it_serves_it() {
        let policy = accepting("");
        assert_routed(&policy, &call("1.0.0"), "2.9.0", Outcome::Compatible);
        assert_routed(&policy, &call("1.2.0"), "2.10.0", Outcome::Compatible);
    }

    #[test]
    fn without_current_and_semver_the_oldest_is_the_last_of_the_list() {
        let policy = policy(
            r#"{"releases":[{"version":"c3","accepts":["a.*"]},{"version":"b2","accepts":["a.*"]},{"version":"b1","accepts":["b.*"]}]}"#,
        );
        assert_routed(&policy, &call("a.0"), "b2", Outcome::Compatible);
    }

    #[test]
    fn a_denied_version_and_one_below_the_minimum_are_gone_whatever_else_is_said() {
        let policy = with(r#""denied":["1.4.2"],"minVersion":"1.9.5""#);
        assert_answered(&policy, &call("1.4.2"), reload(GoneReason::Denied));
        assert_answered(&policy, &call("1.9.4"), reload(GoneReason::BelowMinimum));
        assert_routed(&policy, &call("1.9.5"), "v2-0-0", Outcome::Compatible);
        assert_eq!(decide(&policy, &call("1.4.2")).rule, Rule::Refused);
    }

    #[test]
    fn nobody_reaches_a_staged_release_by_its_name() {
        assert_answered(&shop(), &call("2.1.0"), reload(GoneReason::Unknown));
        assert_answered(
            &shop(),
            &Sent::script("/a.js?dpl=2.1.0"),
            not_found(GoneReason::Unknown),
        );
    }

    #[test]
    fn an_unknown_version_is_gone_where_there_is_a_current() {
        assert_answered(&shop(), &call("9.9.9"), reload(GoneReason::Unknown));
    }

    #[test]
    fn without_current_only_a_version_older_than_every_live_release_is_gone() {
        assert_answered(&plain(""), &call("1.4.1"), reload(GoneReason::Unknown));
        assert_routed(&plain(""), &call("1.5.0"), "", Outcome::Unknown);
        assert_routed(&plain(""), &call("2.0.1"), "", Outcome::Unknown);
        assert_routed(&plain(""), &call("9f86d08"), "", Outcome::Unknown);
    }

    #[test]
    fn the_configuration_can_send_unknown_versions_to_current_or_away() {
        assert_routed(
            &with(r#""unknownVersion":"current""#),
            &call("9.9.9"),
            "v2-0-0",
            Outcome::Unknown,
        );
        assert_answered(
            &plain(r#""unknownVersion":"reload""#),
            &call("2.0.1"),
            reload(GoneReason::Unknown),
        );
    }

    #[test]
    fn a_form_post_that_wants_a_page_is_answered_with_one() {
        let post = Sent::navigation("/order?dpl=1.3.0")
            .but(":method", "POST")
            .but("sec-fetch-site", "same-origin");
        assert_answered(&shop(), &post, reload_page(GoneReason::Retired));
        let by_script = Sent::fetch("/order?dpl=1.3.0")
            .but(":method", "POST")
            .but("accept", "text/html");
        assert_answered(&shop(), &by_script, reload(GoneReason::Retired));
    }
}

mod previews {
    use super::*;

    /// The key is `open sesame:1`.
    const PREVIEW: &str = r#""preview":{"sha256":"1ff2e6fd7a187a0e5338106edcfda2a1133860b1a6273fc30b89cc6e8fdb5193"}"#;

    fn previewing() -> Policy {
        with(PREVIEW)
    }

    const COOKIE: &str = "__preview=open%20sesame%3A1:2.1.0";

    #[test]
    fn the_key_opens_a_staged_release_for_what_names_it() {
        let call = Sent::fetch("/api").with("x-bundle-version", "2.1.0");
        assert_routed(
            &previewing(),
            &call.clone().with("x-preview-key", "open sesame:1"),
            "v2-1-0",
            Outcome::Preview,
        );
        assert_routed(
            &previewing(),
            &call.clone().with("cookie", COOKIE),
            "v2-1-0",
            Outcome::Preview,
        );
        assert_answered(
            &previewing(),
            &call.with("x-preview-key", "open barley"),
            reload(GoneReason::Unknown),
        );
    }

    #[test]
    fn the_cookie_opens_its_release_for_navigations_and_for_what_names_no_version() {
        let page = Sent::navigation("/?dpl=1.4.2").with("cookie", COOKIE);
        assert_routed(&previewing(), &page, "v2-1-0", Outcome::Preview);
        assert_routed(
            &previewing(),
            &Sent::script("/a.js").with("cookie", COOKIE),
            "v2-1-0",
            Outcome::Preview,
        );
    }

    #[test]
    fn a_request_that_names_its_version_is_not_moved_by_the_cookie() {
        let call = Sent::fetch("/api")
            .with("x-bundle-version", "1.4.2")
            .with("cookie", COOKIE);
        assert_routed(&previewing(), &call, "v1-4-2", Outcome::Pinned);
    }

    #[test]
    fn the_previews_cookie_wins_over_the_pins() {
        let policy = with(&format!(r#""pinCookie":{{"name":"pin"}},{PREVIEW}"#));
        let both = format!("pin=2.0.0; {COOKIE}");
        for sent in [
            Sent::navigation("/"),
            Sent::script("/a.js"),
            Sent::fetch("/api"),
        ] {
            assert_routed(
                &policy,
                &sent.with("cookie", &both),
                "v2-1-0",
                Outcome::Preview,
            );
        }
    }

    #[test]
    fn its_cookie_can_be_for_an_api_on_another_host_too() {
        let access = PREVIEW.replace(r#""sha256""#, r#""domain":"example.com","sha256""#);
        let link = Sent::navigation("/?preview=open%20sesame%3A1:2.1.0");
        let Action::Reply(LocalReply::Preview(redirect)) = decide(&with(&access), &link).action
        else {
            panic!("the link is followed");
        };
        assert_eq!(
            redirect.set_cookie,
            "__preview=open%20sesame%3A1:2.1.0; Domain=example.com; Path=/; SameSite=Lax; Secure; HttpOnly"
        );
    }

    #[test]
    fn a_key_of_a_megabyte_is_not_even_hashed() {
        let call = Sent::fetch("/api")
            .with("x-bundle-version", "2.1.0")
            .with("x-preview-key", "k".repeat(1 << 20));
        assert_answered(&previewing(), &call, reload(GoneReason::Unknown));
    }

    #[test]
    fn a_preview_is_kept_by_no_cache() {
        let page = Sent::navigation("/").with("cookie", COOKIE);
        assert_eq!(forwarded(&previewing(), &page).caching, Caching::NoStore);
    }

    #[test]
    fn the_link_sets_the_cookie_and_leads_to_the_url_without_the_key() {
        let link = Sent::navigation("/cart?a=1&preview=open%20sesame%3A1:2.1.0&b=2");
        let Action::Reply(LocalReply::Preview(redirect)) = decide(&previewing(), &link).action
        else {
            panic!("the link is followed");
        };
        assert_eq!(redirect.location, "/cart?a=1&b=2");
        assert_eq!(
            redirect.set_cookie,
            "__preview=open%20sesame%3A1:2.1.0; Path=/; SameSite=Lax; Secure; HttpOnly"
        );
    }

    #[test]
    fn the_link_off_clears_the_cookie() {
        let Action::Reply(LocalReply::Preview(redirect)) =
            decide(&previewing(), &Sent::navigation("/?preview=off")).action
        else {
            panic!("the link is followed");
        };
        assert_eq!(redirect.location, "/");
        assert!(redirect.set_cookie.starts_with("__preview=; Max-Age=0;"));
    }

    #[test]
    fn a_link_leads_to_no_other_host() {
        for target in [
            "//evil.com/?preview=off",
            "/\\evil.com?preview=off",
            "///evil.com/x?preview=off",
        ] {
            let Action::Reply(LocalReply::Preview(redirect)) =
                decide(&previewing(), &Sent::navigation(target)).action
            else {
                panic!("the link is followed");
            };
            assert!(
                redirect.location.starts_with("/evil.com"),
                "{}",
                redirect.location
            );
        }
    }

    #[test]
    fn a_link_with_a_wrong_key_is_a_page_like_any_other() {
        assert_routed(
            &previewing(),
            &Sent::navigation("/?preview=guess:2.1.0"),
            "v2-0-0",
            Outcome::Unversioned,
        );
    }

    #[test]
    fn a_link_to_a_release_that_is_not_there_says_so() {
        let link = Sent::navigation("/?preview=open%20sesame%3A1:7.0.0");
        let decision = decide(&previewing(), &link);
        assert!(matches!(
            answer_of(&decision),
            Some(LocalReply::NoSuchPreview(_))
        ));
    }

    #[test]
    fn a_denied_release_is_not_previewed() {
        let policy = with(&format!(r#""denied":["2.1.0"],{PREVIEW}"#));
        let call = Sent::fetch("/api")
            .with("x-bundle-version", "2.1.0")
            .with("cookie", COOKIE);
        assert_answered(&policy, &call, reload(GoneReason::Denied));
    }
}

mod weights {
    use super::*;

    fn weighted(old: u64, new: u64) -> Policy {
        policy(&format!(
            r#"{{"releases":[{{"version":"2.0.0","route":"new"}},{{"version":"1.4.2","route":"old"}}],
                "current":[{{"version":"1.4.2","weight":{old}}},{{"version":"2.0.0","weight":{new}}}],
                "pinCookie":{{"name":"pin"}}}}"#
        ))
    }

    fn route_by(policy: &Policy, bucket: u32) -> String {
        let page = Sent::navigation("/").with("cookie", format!("pin={bucket:08x}~1.4.2"));
        route_of(&decide(policy, &page)).to_owned()
    }

    #[test]
    fn a_navigation_without_a_bucket_draws_one_and_goes_where_it_belongs() {
        let policy = weighted(50, 50);
        for drawn in 0..64 {
            let forward = forwarded(&policy, &Sent::navigation("/").drawing(drawn));
            let visitor = forward.visitor.expect("a navigation has a visitor");
            assert!(visitor.is_new);
            assert_eq!(visitor.bucket.expect("it was drawn").0, drawn);
            let release = forward.release.expect("there is a current");
            assert_eq!(release.route, route_by(&policy, drawn));
        }
    }

    #[test]
    fn nobody_moves_but_at_a_navigation() {
        let call = Sent::fetch("/api").with("cookie", "pin=00000007~1.4.2");
        for policy in [weighted(100, 0), weighted(0, 100)] {
            assert_routed(&policy, &call, "old", Outcome::Pinned);
        }
    }

    #[test]
    fn what_has_neither_version_nor_bucket_takes_the_heaviest_the_first_on_a_tie() {
        assert_routed(
            &weighted(50, 50),
            &Sent::fetch("/api"),
            "old",
            Outcome::Uncovered,
        );
        assert_routed(
            &weighted(49, 51),
            &Sent::fetch("/api"),
            "new",
            Outcome::Uncovered,
        );
    }

    #[test]
    fn a_release_without_weight_gets_no_visitor() {
        let policy = weighted(100, 0);
        assert!((0..1000).all(|bucket| route_by(&policy, bucket) == "old"));
    }

    #[test]
    fn what_weights_decided_is_for_this_visitor_alone() {
        assert_eq!(
            forwarded(&weighted(50, 50), &Sent::navigation("/")).caching,
            Caching::Private
        );
        assert_eq!(
            forwarded(&weighted(50, 50), &Sent::fetch("/api")).caching,
            Caching::Private
        );
    }
}

mod pin_cookie {
    use super::*;

    fn pinning() -> Policy {
        with(r#""pinCookie":{"name":"pin"}"#)
    }

    #[test]
    fn header_query_and_path_win_over_the_cookie() {
        let cookie = |sent: Sent| sent.with("cookie", "pin=2.0.0");
        assert_routed(
            &pinning(),
            &cookie(Sent::fetch("/api").with("x-bundle-version", "1.4.2")),
            "v1-4-2",
            Outcome::Pinned,
        );
        assert_routed(
            &pinning(),
            &cookie(Sent::script("/a.js?dpl=1.4.2")),
            "v1-4-2",
            Outcome::Pinned,
        );
        assert_routed(
            &pinning(),
            &cookie(Sent::script("/a.js")),
            "v2-0-0",
            Outcome::Pinned,
        );
    }

    #[test]
    fn a_bucket_from_earlier_weights_does_no_harm() {
        let call = Sent::fetch("/api").with("cookie", "pin=00ff00ff~1.4.2");
        assert_routed(&pinning(), &call, "v1-4-2", Outcome::Pinned);
        let garbage = Sent::fetch("/api").with("cookie", "pin=zzz~~1.4.2");
        assert_routed(&pinning(), &garbage, "v2-0-0", Outcome::Invalid);
    }

    #[test]
    fn of_several_cookies_the_one_that_names_a_served_release_counts() {
        for cookies in [
            "pin=1.3.0; pin=1.4.2",
            "pin=%%; pin=1.4.2",
            "pin=1.4.2; pin=2.0.0",
        ] {
            let call = Sent::fetch("/api").with("cookie", cookies);
            assert_routed(&pinning(), &call, "v1-4-2", Outcome::Pinned);
        }
        let lines = Sent::fetch("/api")
            .with("cookie", "pin=0.1.0")
            .with("cookie", "pin=1.4.2");
        assert_routed(&pinning(), &lines, "v1-4-2", Outcome::Pinned);
        let none = Sent::fetch("/api").with("cookie", "pin=1.3.0; pin=1.2.0");
        assert_answered(&pinning(), &none, reload(GoneReason::Retired));
    }

    #[test]
    fn a_form_that_is_answered_by_a_page_has_a_visitor_and_draws_no_bucket() {
        let post = Sent::navigation("/order").but(":method", "POST");
        let visitor = forwarded(&pinning(), &post).visitor.expect("a visitor");
        assert_eq!((visitor.is_new, visitor.bucket), (false, None));
        let call = Sent::fetch("/order").but(":method", "POST");
        assert!(forwarded(&pinning(), &call).visitor.is_none());
    }

    #[test]
    fn a_frame_has_a_visitor_only_where_no_cookie_came_and_one_could() {
        let frame = Sent::navigation("/frame").but("sec-fetch-dest", "iframe");
        let embedded = with(r#""pinCookie":{"name":"pin","sameSite":"None"}"#);
        assert!(forwarded(&embedded, &frame).visitor.is_some());
        let pinned = frame.clone().with("cookie", "pin=1.4.2");
        assert!(forwarded(&embedded, &pinned).visitor.is_none());
        assert!(forwarded(&pinning(), &frame).visitor.is_none());
    }

    #[test]
    fn every_page_is_for_this_visitor_alone() {
        let page = Sent::navigation("/").with("cookie", "pin=2.0.0");
        assert_eq!(forwarded(&pinning(), &page).caching, Caching::Private);
        let frame = Sent::navigation("/").but("sec-fetch-dest", "iframe");
        assert_eq!(forwarded(&pinning(), &frame).caching, Caching::Private);
    }

    #[test]
    fn what_a_cookie_decided_is_for_this_visitor_alone() {
        let call = Sent::fetch("/api").with("cookie", "pin=1.4.2");
        assert_eq!(forwarded(&pinning(), &call).caching, Caching::Private);
    }

    #[test]
    fn a_speculative_load_that_would_change_the_pin_is_declined() {
        let prefetch = Sent::navigation("/").with("sec-purpose", "prefetch;prerender");
        assert_answered(
            &pinning(),
            &prefetch.clone().with("cookie", "pin=1.4.2"),
            LocalReply::Declined,
        );
        assert_routed(
            &pinning(),
            &prefetch.with("cookie", "pin=2.0.0"),
            "v2-0-0",
            Outcome::Current,
        );
        assert_routed(
            &shop(),
            &Sent::navigation("/").with("sec-purpose", "prefetch"),
            "v2-0-0",
            Outcome::Unversioned,
        );
    }
}

mod caching {
    use super::*;

    #[test]
    fn an_answer_that_is_not_of_the_version_in_the_request_is_kept_by_no_cache() {
        let policy = with(r#""unknownVersion":"current""#);
        assert_eq!(
            forwarded(&policy, &Sent::script("/main.js?dpl=2.2.0")).caching,
            Caching::NoStore
        );
        assert_eq!(
            forwarded(&plain(""), &Sent::script("/main.js?dpl=2.2.0")).caching,
            Caching::NoStoreUnlessItsVersion
        );
    }

    #[test]
    fn a_document_from_another_site_is_not_kept_under_a_url_that_names_another_version() {
        for dest in ["iframe", "document"] {
            let framed = Sent::navigation("/?dpl=1.4.2")
                .but("sec-fetch-dest", dest)
                .but("sec-fetch-site", "cross-site");
            assert_eq!(
                forwarded(&shop(), &framed).caching,
                Caching::NoStore,
                "{dest}"
            );
            let same = framed.but(":path", "/?dpl=2.0.0");
            assert_eq!(
                forwarded(&shop(), &same).caching,
                Caching::AsUpstreamSays,
                "{dest}"
            );
        }
    }

    #[test]
    fn what_the_url_decided_is_cached_as_the_upstream_says() {
        assert_eq!(
            forwarded(&shop(), &Sent::script("/main.js?dpl=1.4.2")).caching,
            Caching::AsUpstreamSays
        );
        assert_eq!(
            forwarded(&shop(), &Sent::navigation("/")).caching,
            Caching::AsUpstreamSays
        );
    }
}

mod failures {
    use super::*;

    #[test]
    fn a_reload_is_only_promised_where_it_helps() {
        let call = |version: &str| Sent::fetch("/api").with("x-bundle-version", version);
        let reload = Some(IfGone::Reply(RELOAD));
        assert_eq!(forwarded(&shop(), &call("1.4.2")).if_gone, reload);
        assert_eq!(forwarded(&shop(), &call("2.0.0")).if_gone, None);
        assert_eq!(forwarded(&shop(), &Sent::fetch("/api")).if_gone, None);
        assert_eq!(forwarded(&plain(""), &call("2.0.0")).if_gone, None);
        assert_eq!(forwarded(&plain(""), &call("1.4.2")).if_gone, reload);
    }

    #[test]
    fn each_class_is_told_in_its_own_way() {
        assert_eq!(
            forwarded(&shop(), &Sent::script("/a.js?dpl=1.4.2")).if_gone,
            Some(IfGone::Reply(NOT_FOUND))
        );
        let post = Sent::navigation("/order?dpl=1.4.2")
            .but(":method", "POST")
            .but("sec-fetch-site", "same-origin");
        assert_eq!(
            forwarded(&shop(), &post).if_gone,
            Some(IfGone::Reply(GoneReply::Page))
        );
        let framed = Sent::navigation("/?dpl=1.4.2").but("sec-fetch-dest", "iframe");
        assert_eq!(
            forwarded(&shop(), &framed).if_gone,
            Some(IfGone::Reply(GoneReply::Frame))
        );
    }

    #[test]
    fn a_pinned_page_is_led_to_the_url_without_its_version() {
        let policy = with(r#""pinnedNavigation":["/"],"pinCookie":{"name":"pin"}"#);
        let leave = |sent: &Sent| forwarded(&policy, sent).if_gone;
        let by_query = Sent::navigation("//cart?a=1&dpl=1.4.2&b=2");
        let left = |location: Option<&str>, expires_pin| {
            let location = location.map(str::to_owned);
            Some(IfGone::Leave {
                location,
                expires_pin,
            })
        };
        assert_eq!(leave(&by_query), left(Some("/cart?a=1&b=2"), false));
        let both = by_query.with("cookie", "pin=1.4.2");
        assert_eq!(leave(&both), left(Some("/cart?a=1&b=2"), true));
        let by_cookie = Sent::navigation("/cart").with("cookie", "pin=1.4.2");
        assert_eq!(leave(&by_cookie), left(None, true));
        let current = Sent::navigation("/cart?dpl=2.0.0");
        assert_eq!(leave(&current), None);
    }

    #[test]
    fn a_page_that_is_pinned_by_its_path_stays_there() {
        let policy = with(r#""pinnedNavigation":["/"],"sources":[{"path":"/v-{version}/"}]"#);
        let page = Sent::navigation("/v-1.4.2/cart");
        assert_eq!(forwarded(&policy, &page).if_gone, None);
    }

    #[test]
    fn a_server_action_of_next_is_led_to_its_page() {
        let action = |referer: &str| {
            let call = Sent::fetch("/cart")
                .but(":method", "POST")
                .with("next-action", "7f")
                .with("x-bundle-version", "1.3.0")
                .with("referer", referer);
            match decide(&shop(), &call).action {
                Action::Reply(LocalReply::Gone {
                    reply: GoneReply::Reload { action_from, .. },
                    ..
                }) => action_from,
                other => panic!("{other:?}"),
            }
        };
        let page = action("https://shop.example.com/cart?step=2#pay");
        assert_eq!(
            page.as_deref(),
            Some("https://shop.example.com/cart?step=2")
        );
        for elsewhere in [
            "https://shop.example.com//evil.com/",
            "https://shop.example.com/\\evil.com",
            "https://shop.example.com.evil.com/cart",
            "https://evil.com/cart",
            "https://shop.example.com:8443/cart",
            "https://shop.example.com/cart;x-action=1",
            "https://shop.example.com",
            "/cart",
            "",
        ] {
            assert_eq!(action(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_visitor_whose_page_cannot_be_had_is_pinned_no_more() {
        let policy = with(r#""pinCookie":{"name":"pin"}"#);
        let page = Sent::navigation("/").with("cookie", "pin=1.4.2");
        let expired = IfGone::Leave {
            location: None,
            expires_pin: true,
        };
        assert_eq!(forwarded(&policy, &page).if_gone, Some(expired));
        assert_eq!(forwarded(&policy, &Sent::navigation("/")).if_gone, None);
    }
}
