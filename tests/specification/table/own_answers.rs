//! What the filter answers itself when no release can answer.

use serde_json::{Value, json};
use skew_guard::decision::Outcome::{Compatible, Gone, Unknown};
use skew_guard::request::Class::{Api, Asset};
use skew_guard_behaviour::{
    Expected, Request, behaviours, call, fetch, form, frame, mesh, navigation, plain, refused,
    script, shop, to, with,
};

/// A list that has a retired release, one that is denied, and a floor.
fn strict() -> Value {
    with(
        shop(),
        json!({ "denied": ["1.2.9", "1.4.2"], "minVersion": "1.2.0" }),
    )
}

/// The reload answer to a client of this version.
fn reload(version: &str) -> Expected {
    refused(409)
        .has("content-type", "application/json")
        .has("cache-control", "no-store")
        .has("x-client-update", "required")
        .has("x-client-current", "2.0.0")
        .body(&format!(
            r#"{{"error":"client_outdated","client":"{version}","current":"2.0.0"}}"#
        ))
}

const APP: &str = "https://app.example.com";

/// A call by a server action of Next, from this page.
fn action(page: &str) -> Request {
    call("1.3.0")
        .method("POST")
        .with("next-action", "7f")
        .with("referer", page)
}

/// Whether a page of this origin may read the answer if that origin is allowed.
fn allowing(origin: &str) -> Value {
    with(shop(), json!({ "cors": { "allowOrigins": [origin] } }))
}

behaviours! {
    a_call_of_a_retired_version_gets_the_reload_answer {
        under(shop()) {
            call("1.3.0") => reload("1.3.0").lacks("access-control-allow-origin").counted(Gone).class(Api);
            plain("/api/cart").version("1.3.0") => reload("1.3.0");
        }
    }

    an_asset_of_a_retired_version_gets_an_uncacheable_404 {
        under(shop()) {
            script("/main.js?dpl=1.3.0") =>
                refused(404).has("cache-control", "no-store").has("x-client-update", "required").body("").class(Asset);
        }
    }

    a_head_request_gets_the_reload_answer_without_a_body {
        under(shop()) {
            call("1.3.0").method("HEAD") => refused(409).has("x-client-update", "required").body("");
        }
    }

    grpc_gets_a_status_that_no_client_retries {
        under(shop()) {
            call("1.3.0").method("POST").with("content-type", "application/grpc+proto") =>
                refused(200).has("grpc-status", "9").has("x-client-update", "required");
        }
    }

    grpc_web_gets_its_status_in_the_headers_and_in_a_trailers_frame {
        under(shop()) {
            let grpc_web = call("1.3.0").method("POST").with("content-type", "application/grpc-web");
            grpc_web => refused(200).has("content-type", "application/grpc-web+proto").has("grpc-status", "9")
                .says("\0\0\0\x2dgrpc-status:9\r\ngrpc-message:client_outdated\r\n");
            let grpc_web = call("1.3.0").method("POST").with("content-type", "application/grpc-web+proto");
            grpc_web => refused(200).has("content-type", "application/grpc-web+proto").has("grpc-status", "9")
                .has("x-client-update", "required");
            let text = call("1.3.0").method("POST").with("content-type", "application/grpc-web-text+proto");
            text => refused(200).has("content-type", "application/grpc-web-text+proto").has("grpc-status", "9")
                .says("gAAAA");
        }
    }

    a_form_post_of_a_retired_version_gets_a_page {
        under(shop()) {
            form("/order?dpl=1.3.0") => refused(409).has("content-type", "text/html; charset=utf-8").because("retired")
                .says("<!doctype html>").says("<h1>This page is out of date</h1>");
            fetch("/order?dpl=1.3.0").method("POST").but("accept", "text/html") => reload("1.3.0");
        }
    }

    a_navigation_with_a_retired_version_gets_the_current_page {
        under(shop()) {
            navigation("/?dpl=1.3.0") => to("v2-0-0").status(200);
            frame("/?dpl=1.3.0") => to("v2-0-0").counted(Gone);
        }
    }

    the_access_log_says_why {
        under(strict()) {
            call("1.3.0") => reload("1.3.0").because("retired");
            call("1.4.2") => reload("1.4.2").because("denied");
            call("1.2.9") => reload("1.2.9").because("denied");
            call("1.1.0") => reload("1.1.0").because("below_minimum");
            call("9.9.9") => reload("9.9.9").because("unknown");
        }
    }

    a_denied_version_and_one_below_the_minimum_are_gone_whatever_else_applies {
        under(with(shop(), json!({ "denied": ["1.4.2"], "minVersion": "1.9.5" }))) {
            call("1.4.2") => reload("1.4.2").because("denied");
            call("1.9.4") => reload("1.9.4").because("below_minimum");
            call("1.9.5") => to("v2-0-0").counted(Compatible);
        }
    }

    an_unknown_version_is_gone_where_there_is_a_current {
        under(shop()) {
            for version in ["9.9.9", "7.7.7", "2.1.0"] {
                call(version) => reload(version).because("unknown").counted(Gone);
            }
        }
    }

    the_configuration_can_send_unknown_versions_to_current_or_away {
        under(with(shop(), json!({ "unknownVersion": "current" }))) {
            call("9.9.9") => to("v2-0-0").counted(Unknown);
        }
        under(with(mesh(), json!({ "unknownVersion": "reload" }))) {
            call("2.0.1") => refused(409).because("unknown").lacks("x-client-current");
        }
    }

    a_draining_release_is_retired_at_its_time {
        under(with(shop(), json!({ "releases": [
            { "version": "2.0.0" },
            { "version": "1.4.2", "state": "draining", "until": "2999-01-01T00:00:00Z" },
            { "version": "1.4.1", "state": "draining", "until": "2026-01-01T01:00:00+02:00" },
        ] }))) {
            call("1.4.2") => to("1.4.2").has("x-client-update", "available");
            call("1.4.1") => reload("1.4.1").because("retired");
        }
    }

    the_status_and_body_of_the_reload_answer_are_configurable {
        under(with(shop(), json!({ "reload": { "status": 426, "body": { "code": "RELOAD", "since": 1.10 } } }))) {
            call("1.3.0") => refused(426).body(r#"{"code":"RELOAD","since":1.1}"#);
        }
    }

    options_alone_is_not_a_preflight {
        under(shop()) {
            fetch("/api?dpl=1.3.0").method("OPTIONS") => reload("1.3.0").because("retired");
        }
    }

    a_next_server_action_is_redirected_to_its_own_page_and_nowhere_else {
        under(shop()) {
            action("https://shop.example.com/cart?step=2") =>
                refused(409).has("x-action-redirect", "https://shop.example.com/cart?step=2;replace");
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
                action(elsewhere) => reload("1.3.0").lacks("x-action-redirect");
            }
        }
    }

    only_an_allowed_origin_may_read_the_answer {
        under(with(shop(), json!({ "cors": { "allowOrigins": [APP], "allowCredentials": true } }))) {
            call("1.3.0").origin(APP) => reload("1.3.0").has("access-control-allow-origin", APP)
                .has("access-control-allow-credentials", "true").has("vary", "Origin");
            for origin in ["https://app.example.com.evil.com", "http://app.example.com", "null"] {
                call("1.3.0").origin(origin) =>
                    reload("1.3.0").lacks("access-control-allow-origin").has("vary", "Origin");
            }
        }
    }

    origins_are_compared_as_browsers_send_them {
        under(allowing("https://APP.example:443")) {
            call("1.3.0").origin("https://app.example") =>
                refused(409).has("access-control-allow-origin", "https://app.example");
        }
        under(allowing("http://app:80")) {
            call("1.3.0").origin("http://app") => refused(409).has("access-control-allow-origin", "http://app");
        }
        under(allowing("http://app:443")) {
            call("1.3.0").origin("http://app:443") => refused(409).has("access-control-allow-origin", "http://app:443");
            call("1.3.0").origin("http://app") => refused(409).lacks("access-control-allow-origin");
        }
        under(allowing("http://[::1]:80")) {
            call("1.3.0").origin("http://[::1]") => refused(409).has("access-control-allow-origin", "http://[::1]");
        }
        under(allowing("capacitor://localhost")) {
            call("1.3.0").origin("capacitor://localhost") =>
                refused(409).has("access-control-allow-origin", "capacitor://localhost");
            call("1.3.0").origin("https://localhost") => refused(409).lacks("access-control-allow-origin");
        }
        under(allowing("https://*.app.example")) {
            for origin in ["https://a.app.example", "https://b.a.app.example"] {
                call("1.3.0").origin(origin) => refused(409).has("access-control-allow-origin", origin);
            }
            for origin in [
                "https://app.example",
                "https://evilapp.example",
                "http://a.app.example",
                "https://a.app.example:8443",
                "https://evil/.app.example",
                "https://*.app.example",
            ] {
                call("1.3.0").origin(origin) => refused(409).lacks("access-control-allow-origin");
            }
        }
        under(allowing("https://*.app.example:8443")) {
            call("1.3.0").origin("https://a.app.example:8443") =>
                refused(409).has("access-control-allow-origin", "https://a.app.example:8443");
        }
    }
}
