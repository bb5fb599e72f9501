//! What happens to Envoy's own failures, when a release has no pod or no cluster.

use serde_json::{Value, json};
use skew_guard::telemetry::AnswerKind::Gone;
use skew_guard_behaviour::{
    Expected, answer, behaviours, call, fetch, form, frame, mesh, navigation, no_cluster, no_pods,
    refusing, says, script, shop, with,
};

/// Of 1.4.2, as Istio names clusters.
const CLUSTER: &str = "outbound|8080|v1-4-2|api.shop.svc.cluster.local";
const ABSENT: &str = "skew-guard-absent";
const APP: &str = "https://app.example.com";

/// For telling failures that are passed on from those that are not.
fn quiet() -> Value {
    with(shop(), json!({ "hints": false }))
}

/// Pages, too, stay with their version.
fn pinning() -> Value {
    with(
        shop(),
        json!({ "pinnedNavigation": ["/"], "pinCookie": { "name": "pin" } }),
    )
}

fn reload() -> Expected {
    answer(409)
        .has("cache-control", "no-store")
        .has("x-client-update", "required")
        .has("x-client-current", "2.0.0")
}

fn envoys_own() -> Expected {
    answer(503)
        .body("no healthy upstream")
        .lacks("x-client-update")
}

/// Envoy's own answer, whatever its text.
fn passed_on() -> Expected {
    answer(503).never("x-client-update", "required")
}

behaviours! {
    a_release_without_pods_becomes_the_reload_answer_in_place {
        under(shop()) {
            let body = r#"{"error":"client_outdated","client":"1.4.2","current":"2.0.0"}"#;
            call("1.4.2"), no_pods(CLUSTER) => reload().has("content-type", "application/json").body(body)
                .has("content-length", &body.len().to_string()).counted_answer("v1-4-2", Gone);
        }
    }

    a_release_without_a_route_becomes_the_reload_answer_without_a_body {
        under(shop()) {
            for route in [ABSENT, "v1-4-2", "api/v1-4-2", "v1-4-2|/api"] {
                call("1.4.2"), no_cluster(route) => reload().has("content-length", "0").body("");
            }
        }
    }

    a_head_request_gets_no_body {
        under(shop()) {
            call("1.4.2").method("HEAD"), no_pods(CLUSTER) => reload().body("");
        }
    }

    grpc_keeps_its_status_200 {
        under(shop()) {
            let grpc = call("1.4.2").method("POST").with("content-type", "application/grpc");
            for failure in [no_pods(CLUSTER), no_cluster(ABSENT)] {
                grpc.clone(), failure => answer(200).has("grpc-status", "9").has("x-client-update", "required");
            }
        }
    }

    grpc_web_is_answered_in_its_own_format {
        under(shop()) {
            call("1.4.2").method("POST").with("content-type", "application/grpc-web+proto"), no_pods(CLUSTER) =>
                answer(200).has("content-type", "application/grpc-web+proto").has("grpc-status", "9")
                    .says("grpc-message:client_outdated\r\n");
        }
    }

    an_asset_becomes_404 {
        under(shop()) {
            for failure in [no_pods(CLUSTER), no_cluster(ABSENT)] {
                script("/a.js?dpl=1.4.2"), failure => answer(404).has("cache-control", "no-store").body("");
            }
        }
    }

    a_form_post_becomes_a_page {
        under(shop()) {
            form("/order?dpl=1.4.2"), no_pods(CLUSTER) =>
                reload().has("content-type", "text/html; charset=utf-8").says("<!doctype html>");
        }
    }

    a_frame_becomes_a_small_page {
        under(shop()) {
            frame("/?dpl=1.4.2"), no_pods(CLUSTER) =>
                reload().has("content-type", "text/html; charset=utf-8").says("Please reload it");
        }
    }

    a_page_pinned_by_its_url_is_redirected_to_the_url_without_the_version {
        under(pinning()) {
            let led = answer(303).has("location", "/cart?a=1&b=2").has("cache-control", "no-store")
                .has("content-length", "0").body("");
            let page = navigation("//cart?a=1&dpl=1.4.2&b=2");
            page.clone(), no_pods(CLUSTER) => led.clone().lacks("set-cookie");
            page.cookie("pin=1.4.2"), no_pods(CLUSTER) => led.starts("set-cookie", "pin=; Max-Age=0;");
            navigation("/cart?dpl=1.4.2"), no_cluster(ABSENT) => answer(303).has("location", "/cart");
            navigation("/cart?dpl=2.0.0"), no_pods("shop-v2-0-0-gone") => passed_on();
        }
    }

    a_page_pinned_by_its_path_is_not_redirected {
        under(with(shop(), json!({ "pinnedNavigation": ["/"], "sources": [{ "path": "/v-{version}/" }] }))) {
            navigation("/v-1.4.2/cart"), no_pods(CLUSTER) => passed_on().lacks("location");
        }
    }

    a_page_keeps_envoys_answer_and_the_visitor_loses_the_pin {
        under(with(pinning(), json!({ "pinnedNavigation": ["/checkout"] }))) {
            let expired = "pin=; Max-Age=0; Path=/; SameSite=Lax; Secure; HttpOnly";
            navigation("/").cookie("pin=00ff00ff~1.4.2"), no_pods("outbound|80|v2-0-0|web") =>
                answer(503).body("no healthy upstream").has("set-cookie", expired);
            navigation("/checkout").cookie("a=b; pin=00ff00ff~1.4.2"), no_pods(CLUSTER) =>
                answer(503).body("no healthy upstream").has("set-cookie", expired).never("x-client-update", "required");
            navigation("/"), no_pods("outbound|80|v2-0-0|web") => answer(503).lacks("set-cookie");
        }
    }

    an_outage_of_current_is_not_turned_into_a_reload {
        under(shop()) {
            for request in [call("2.0.0"), fetch("/api")] {
                request, no_pods("outbound|8080|v2-0-0|api") => envoys_own();
            }
        }
    }

    without_current_the_first_live_release_is_an_outage_and_the_next_one_a_reload {
        under(mesh()) {
            call("2.0.0"), no_pods("outbound|8080|v2-0-0|api") => envoys_own();
            call("1.4.2"), no_pods(CLUSTER) => answer(409).has("x-client-update", "required").lacks("x-client-current");
        }
    }

    a_cluster_name_contains_the_route_as_a_whole_word {
        under(quiet()) {
            for cluster in ["v1-4-2", "web-v1-4-2", "api_v1-4-2", "v1-4-2|api"] {
                call("1.4.2"), no_pods(cluster) => reload();
            }
            for cluster in ["rev1-4-2", "shop-v1-4-2-canary", "shop-v1-4-20"] {
                call("1.4.2"), no_pods(cluster) => envoys_own();
            }
        }
    }

    an_unrelated_services_outage_is_passed_on {
        under(quiet()) {
            for cluster in ["outbound|8080||payments", "outbound|8080|v1-4-20|api", "outbound|8080|v1-4|api", "catalog"] {
                call("1.4.2"), no_pods(cluster) => envoys_own();
            }
            call("1.4.2"), no_cluster("payments") => passed_on();
        }
    }

    a_connection_failure_is_passed_on {
        under(with(quiet(), json!({ "releases": [
            { "version": "2.0.0" },
            { "version": "1.2.0", "route": "v1-2-0", "state": "draining" },
        ] }))) {
            call("1.2.0"), refusing("shop-v1-2-0") => passed_on();
        }
    }

    an_upstreams_own_503_is_passed_on {
        under(shop()) {
            call("1.4.2"), says(503).body("mine") => answer(503).body("mine").has("x-client-update", "available");
        }
    }

    /// A build number may look like the port of another service's cluster.
    a_version_that_looks_like_a_port_does_not_match_another_services_cluster {
        under(json!({
            "releases": [{ "version": "8081" }, { "version": "8080", "state": "draining" }],
            "current": "8081",
            "hints": false,
        })) {
            for cluster in ["outbound|8080||payments.svc", "outbound|80|v-8080|api.svc", "outbound|80||8080.svc"] {
                call("8080"), no_pods(cluster) => envoys_own();
            }
            for cluster in ["outbound|80|8080|api.svc", "shop-8080"] {
                call("8080"), no_pods(cluster) => answer(409);
            }
        }
    }

    a_cluster_shared_by_releases_counts_where_the_configuration_names_it {
        under(with(quiet(), json!({ "reload": { "clusters": ["catalog"] } }))) {
            call("1.4.2"), no_pods("catalog") => reload();
        }
        under(with(quiet(), json!({ "reload": { "clusters": ["another"] } }))) {
            call("1.4.2"), no_pods("catalog") => envoys_own();
        }
    }

    a_reload_is_only_asked_for_where_it_helps {
        under(shop()) {
            fetch("/api?dpl=1.4.2").method("OPTIONS").with("access-control-request-method", "GET"), no_pods(CLUSTER) =>
                passed_on();
        }
    }

    /// Where the preflight fails, the browser never makes the request that would be told to reload.
    a_preflight_of_a_vanished_release_does_not_hide_the_reload_answer {
        under(with(shop(), json!({ "cors": { "allowOrigins": [APP] } }))) {
            let put = fetch("/api/cart?dpl=1.4.2").method("PUT").origin(APP);
            let preflight = put.clone().method("OPTIONS").with("access-control-request-method", "PUT");
            put, no_pods(CLUSTER) => reload();
            preflight, no_pods(CLUSTER) => answer(204).has("access-control-allow-origin", APP);
        }
    }

    cors_headers_are_set {
        under(with(shop(), json!({ "cors": { "allowOrigins": [APP] } }))) {
            call("1.4.2").origin(APP), no_pods(CLUSTER) => reload().has("access-control-allow-origin", APP)
                .has("vary", "Origin")
                .has("access-control-expose-headers", "x-client-update, x-client-current, grpc-status, grpc-message");
        }
    }

    /// The second gateway finds no pod and makes the reload answer; the first sees only an upstream's answer.
    the_first_of_two_gateways_passes_on_the_reload_answer_of_the_second {
        under(shop()) {
            let second = says(409).and("content-type", "application/json").and("x-client-update", "required");
            call("1.4.2"), second.and("x-client-current", "2.0.0") => answer(409).has("x-client-update", "required");
        }
    }
}
