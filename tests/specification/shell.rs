//! The shell around the decision: what it asks the host, what it counts, and which configuration it keeps.
//! `tests/envoy/wrong_configuration.rs` shows what a wrong configuration does to traffic.

use std::rc::Rc;

use skew_guard::filter::{Exchange, Flow, Installation};
use skew_guard::host::Host;
use skew_guard_behaviour::{Request, call, navigation, plain, script};
use skew_guard_invariants::host::FakeHost;

use crate::fake_host::answer;

const SHOP: &str = r#"{"releases":[{"version":"2.0.0","route":"v2"},{"version":"1.4.2","route":"v1","state":"draining"}],"current":"2.0.0","revision":7}"#;
const WRONG: &str =
    r#"{"hosts":["shop.example.com"],"routeHeader":"x-shop-release","releases":[{"version":2}]}"#;

/// A gateway with this plugin.
fn gateway(name: &str) -> FakeHost {
    let host = FakeHost::default();
    host.attribute_is("plugin_name", name.as_bytes());
    host.attribute_is("plugin_root_id", b"root");
    host
}

fn configured(host: &FakeHost, configuration: &str) -> Rc<Installation> {
    Rc::new(Installation::configure(host, configuration.as_bytes()))
}

/// A request within this installation, up to its answer.
fn request(
    host: &FakeHost,
    installation: &Rc<Installation>,
    request: &Request,
) -> (Exchange<FakeHost>, Flow) {
    host.receive(&request.lines());
    let mut exchange = Exchange::new(host.clone(), Rc::clone(installation));
    let flow = exchange.on_request_headers();
    (exchange, flow)
}

/// The script of an old page.
fn old_script() -> Request {
    script("/main.js?dpl=1.4.2")
}

/// A call of a current page.
fn current_call() -> Request {
    call("2.0.0")
}

const JSON: &[(&str, &str)] = &[
    (":status", "200"),
    ("content-type", "application/json"),
    ("x-envoy-upstream-service-time", "1"),
];

/// Adding a host call is a deliberate decision, and these tests record it.
mod cost {
    use super::*;

    const FORWARDED: &[&str] = &["read the request", "count", "set x-release"];

    /// [`SHOP`] with these keys instead of its revision.
    fn shop(keys: &str) -> String {
        SHOP.replace(r#""revision":7"#, keys)
    }

    #[track_caller]
    fn assert_calls(
        configuration: &str,
        sent: &Request,
        on_request: &[&str],
        answered: &[(&str, &str)],
        on_response: &[&str],
    ) {
        let host = gateway("shop");
        let installation = configured(&host, configuration);
        let (mut exchange, _) = request(&host, &installation, sent);
        assert_eq!(host.calls(), on_request);
        answer(&host, &mut exchange, answered, "");
        assert_eq!(host.calls(), on_response);
    }

    #[test]
    fn a_fetch_costs_one_read_one_write_one_count_and_vary() {
        assert_calls(
            SHOP,
            &current_call(),
            FORWARDED,
            JSON,
            &["read the answer", "add vary"],
        );
    }

    #[test]
    fn without_vary_the_answer_to_a_current_client_costs_nothing() {
        let quiet = shop(r#""vary":false"#);
        assert_calls(&quiet, &current_call(), FORWARDED, JSON, &[]);
    }

    #[test]
    fn hosts_and_paths_cost_no_call() {
        let hosts = shop(
            r#""hosts":["shop.example.com"],"paths":["/api"],"unpinnedPaths":["/v"],"vary":false"#,
        );
        assert_calls(&hosts, &current_call(), FORWARDED, JSON, &[]);
    }

    #[test]
    fn the_answer_to_a_stale_client_costs_two_hints_more() {
        assert_calls(
            SHOP,
            &call("1.4.2"),
            FORWARDED,
            JSON,
            &[
                "read the answer",
                "add vary",
                "set x-client-update",
                "set x-client-current",
            ],
        );
    }

    #[test]
    fn a_script_costs_no_vary() {
        assert_calls(
            SHOP,
            &old_script(),
            FORWARDED,
            &[
                (":status", "200"),
                ("content-type", "text/javascript"),
                ("x-envoy-upstream-service-time", "1"),
            ],
            &["read the answer"],
        );
    }

    #[test]
    fn a_navigation_costs_as_much_as_a_fetch_and_its_answer_nothing() {
        assert_calls(
            SHOP,
            &navigation("/"),
            FORWARDED,
            &[(":status", "200"), ("content-type", "text/html")],
            &[],
        );
    }

    #[test]
    fn log_outcome_costs_one_attribute() {
        let noted = shop(r#""logOutcome":true,"vary":false"#);
        assert_calls(
            &noted,
            &current_call(),
            &[
                "read the request",
                "count",
                "set attribute skew_guard.outcome",
                "set x-release",
            ],
            JSON,
            &[],
        );
    }

    #[test]
    fn a_request_outside_the_scope_costs_one_read() {
        let other = shop(r#""hosts":["other.example.com"]"#);
        assert_calls(&other, &current_call(), &["read the request"], JSON, &[]);
    }
}

mod streams {
    use super::*;

    const OPEN: &str = "plugin=.=shop;.;release=.=v1;.;skew_guard_open_streams";

    fn of_the_old_release((name, value): (&str, &str)) -> Request {
        plain("/api/events").version("1.4.2").with(name, value)
    }

    #[test]
    fn websockets_event_streams_and_grpc_are_open_until_their_exchange_is_dropped() {
        for opening in [
            ("upgrade", "websocket"),
            ("upgrade", "WebSocket"),
            ("accept", "text/event-stream"),
            ("accept", "application/json, text/event-stream;q=0.9"),
            ("content-type", "application/grpc"),
            ("content-type", "application/grpc+proto"),
            ("content-type", "application/grpc-web"),
        ] {
            let host = gateway("shop");
            let installation = configured(&host, SHOP);
            let (first, _) = request(&host, &installation, &of_the_old_release(opening));
            assert_eq!(
                host.calls(),
                [
                    "read the request",
                    "count",
                    "+1 skew_guard_open_streams",
                    "set x-release"
                ],
                "{opening:?}"
            );
            let (second, _) = request(&host, &installation, &of_the_old_release(opening));
            assert_eq!(host.metric(OPEN), 2, "{opening:?}");
            drop(first);
            assert_eq!(host.metric(OPEN), 1, "{opening:?}");
            drop(second);
            assert_eq!(host.metric(OPEN), 0, "{opening:?}");
        }
    }

    #[test]
    fn other_requests_are_not_counted_and_cost_no_call_at_their_end() {
        for other in [
            ("accept", "text/html, */*"),
            ("accept", "text/event-streams"),
            ("content-type", "application/grpcx"),
            ("upgrade", "h2c"),
        ] {
            let host = gateway("shop");
            let installation = configured(&host, SHOP);
            let (exchange, _) = request(&host, &installation, &of_the_old_release(other));
            drop(exchange);
            assert_eq!(
                host.calls(),
                ["read the request", "count", "set x-release"],
                "{other:?}"
            );
        }
    }

    #[test]
    fn a_stream_that_the_filter_refuses_was_never_open() {
        let host = gateway("shop");
        let installation = configured(&host, SHOP);
        let gone = plain("/api/events")
            .version("1.3.0")
            .with("accept", "text/event-stream");
        let (_, flow) = request(&host, &installation, &gone);
        assert_eq!(flow, Flow::Answered);
        assert_eq!(host.calls(), ["read the request", "count", "reply"]);
    }

    #[test]
    fn without_current_a_stream_belongs_to_no_release() {
        let host = gateway("shop");
        let installation = configured(&host, &SHOP.replace(r#","current":"2.0.0""#, ""));
        let events = plain("/api/events").with("accept", "text/event-stream");
        let _open = request(&host, &installation, &events);
        let none = "plugin=.=shop;.;release=.=none;.;skew_guard_open_streams";
        assert_eq!(host.metric(none), 1);
    }
}

mod series {
    use super::*;

    const STATES: &str = r#"{"releases":[
        {"version":"2.1.0","route":"v3","state":"staged"},
        {"version":"2.0.0","route":"v2"},
        {"version":"1.9.0","route":"v19"},
        {"version":"1.4.2","route":"v1","state":"draining"},
        {"version":"1.3.0","route":"v0","state":"retired"}],"current":"2.0.0"}"#;

    fn stage(host: &FakeHost, route: &str) -> u64 {
        host.metric(&format!(
            "plugin=.=shop;.;release=.={route};.;skew_guard_release_state"
        ))
    }

    fn of(host: &FakeHost, part: &str) -> Vec<String> {
        let mut names = host.defined();
        names.retain(|name| name.contains(part));
        names
    }

    #[test]
    fn every_release_has_four_series_before_its_first_request() {
        let host = gateway("shop");
        configured(&host, STATES);
        for route in ["v3", "v2", "v19", "v1"] {
            let tags = format!("plugin=.=shop;.;release=.={route};.;");
            assert_eq!(
                of(&host, &format!("release=.={route};.;")),
                [
                    format!("{tags}outcome=.=pinned;.;class=.=api;.;skew_guard_requests_total"),
                    format!("{tags}outcome=.=pinned;.;class=.=asset;.;skew_guard_requests_total"),
                    format!("{tags}skew_guard_open_streams"),
                    format!("{tags}skew_guard_release_state"),
                ]
            );
        }
        assert_eq!(of(&host, "release=.=v0"), [""; 0]);
        assert_eq!(of(&host, "release=.=none"), [""; 0]);
    }

    #[test]
    fn each_release_shows_its_state() {
        let host = gateway("shop");
        configured(&host, STATES);
        let shown = ["v3", "v2", "v19", "v1"].map(|route| stage(&host, route));
        assert_eq!(shown, [1, 3, 2, 4]);
    }

    #[test]
    fn every_release_with_a_weight_is_in_current() {
        let host = gateway("shop");
        let weighted = r#"{"releases":[{"version":"2.0.0","route":"v2"},{"version":"1.4.2","route":"v1"}],
            "current":[{"version":"2.0.0","weight":1},{"version":"1.4.2","weight":99}],"pinCookie":{"name":"pin"}}"#;
        configured(&host, weighted);
        assert_eq!([stage(&host, "v2"), stage(&host, "v1")], [3, 3]);
    }

    #[test]
    fn a_release_that_is_retired_or_removed_has_state_zero() {
        let host = gateway("shop");
        configured(&host, STATES);
        let next = STATES
            .replace(
                r#""route":"v1","state":"draining""#,
                r#""route":"v1","state":"retired""#,
            )
            .replace(r#"{"version":"1.9.0","route":"v19"},"#, "");
        configured(&host, &next);
        assert_eq!([stage(&host, "v1"), stage(&host, "v19")], [0, 0]);
        assert_eq!([stage(&host, "v3"), stage(&host, "v2")], [1, 3]);
    }

    #[test]
    fn another_application_under_the_same_name_does_not_change_a_releases_state() {
        let host = gateway("shop");
        configured(&host, STATES);
        let other = r#"{"hosts":["other.example.com"],"releases":[{"version":"7.0.0"}]}"#;
        configured(&host, other);
        assert_eq!([stage(&host, "v1"), stage(&host, "7.0.0")], [4, 2]);
    }

    #[test]
    fn two_applications_with_the_same_route_are_counted_separately() {
        let host = gateway("shop.skew-guard~istio-translated-wasmplugin");
        let shop = configured(&host, SHOP);
        host.attribute_is("plugin_name", b"blog.skew-guard");
        let blog = configured(&host, SHOP);
        for installation in [&shop, &blog, &blog] {
            request(&host, installation, &current_call());
        }
        for (plugin, requests) in [("shop.skew-guard", 1), ("blog.skew-guard", 2)] {
            let count = format!(
                "plugin=.={plugin};.;release=.=v2;.;outcome=.=pinned;.;class=.=api;.;skew_guard_requests_total"
            );
            assert_eq!(host.metric(&count), requests, "{plugin}");
        }
    }
}

mod wrong_configurations {
    use super::*;

    /// [`SHOP`] with a mistake.
    const TYPO: &str = r#"{"releases":[{"version":"2.0.0","route":"v2"}],"curent":"2.0.0"}"#;

    fn route_of_a_call(host: &FakeHost, installation: &Rc<Installation>) -> Vec<String> {
        request(
            host,
            installation,
            &current_call().with("x-release", "forged"),
        );
        host.request_lines("x-release")
    }

    #[test]
    fn a_kept_configuration_is_found_whatever_istio_appends_to_the_plugins_name() {
        let host = gateway("default.shop~istio-translated-wasmplugin");
        configured(&host, SHOP);
        host.attribute_is("plugin_name", b"default.other");
        let other = configured(&host, TYPO);
        assert!(route_of_a_call(&host, &other).is_empty());
        host.attribute_is("plugin_name", b"default.shop");
        let again = configured(&host, TYPO);
        assert_eq!(route_of_a_call(&host, &again), ["v2"]);
    }

    #[test]
    fn an_old_installation_does_not_restore_a_replaced_configuration() {
        let host = gateway("shop");
        let old = configured(&host, SHOP);
        configured(&host, &SHOP.replace("\"v2\"", "\"v2-next\""));
        old.note(&host);
        drop(old);
        let installation = configured(&host, TYPO);
        assert_eq!(route_of_a_call(&host, &installation), ["v2-next"]);
    }

    #[test]
    fn a_kept_configuration_that_is_no_longer_good_is_not_used() {
        let host = gateway("shop");
        host.keep(
            "skew-guard/kept/shop/root",
            b"{\"releases\":\"written by a newer version\"}",
        );
        let installation = configured(&host, WRONG);
        assert_eq!(route_of_a_call(&host, &installation), ["forged"]);
    }
}

mod replies {
    use super::*;

    #[test]
    fn a_reply_goes_no_further_and_its_own_headers_are_not_amended() {
        let host = gateway("shop");
        let installation = configured(
            &host,
            &SHOP.replace(r#""revision":7"#, r#""denied":["1.0.0"]"#),
        );
        let (mut exchange, flow) = request(&host, &installation, &call("1.0.0"));
        assert_eq!(flow, Flow::Answered);
        answer(&host, &mut exchange, &[(":status", "409")], "");
        assert!(host.calls().is_empty());
    }

    #[test]
    fn a_forged_route_header_is_not_in_the_log_of_a_request_that_goes_no_further() {
        let host = gateway("shop");
        let installation = configured(&host, SHOP);
        let gone = call("1.0.0");
        let forged = gone.clone().with("x-release", "v2");
        let (_, flow) = request(&host, &installation, &forged);
        assert_eq!(flow, Flow::Answered);
        assert!(host.request_lines("x-release").is_empty());
        request(&host, &installation, &gone);
        assert_eq!(host.calls(), ["read the request", "count", "reply"]);
    }

    #[test]
    fn a_page_in_place_of_a_script_loses_its_body_in_every_chunk() {
        let host = gateway("shop");
        let installation = configured(&host, SHOP);
        let (mut exchange, _) = request(&host, &installation, &old_script());
        host.respond(
            &[
                (":status", b"200"),
                ("content-type", b"text/html"),
                ("content-length", b"10"),
            ],
            b"<html>",
        );
        exchange.on_response_headers(true);
        exchange.on_response_body(6);
        assert_eq!(host.body(), "");
        host.respond(&[], b"more");
        exchange.on_response_body(4);
        assert_eq!(host.body(), "");
    }
}
