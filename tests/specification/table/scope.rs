//! Requests outside our scope.

use serde_json::{Value, json};
use skew_guard_behaviour::{
    Load, behaviours, call, html, load, navigation, plain, refused, script, shop, to, untouched,
    with,
};

fn of(keys: Value) -> Value {
    with(shop(), keys)
}

/// A configuration that would affect every request and answer.
fn busy() -> Value {
    of(json!({
        "hosts": ["shop.example.com"],
        "unknownVersion": "reload",
        "pinCookie": { "name": "pin" },
        "upstreamVersion": { "responseHeader": "x-app-version" },
    }))
}

const WIKI: &str = "wiki.example.com";

behaviours! {
    hosts_are_exact_names_or_all_below_one_whatever_the_port {
        under(of(json!({ "hosts": ["shop.example.com", "*.shops.example.com", "[::1]"] }))) {
            for host in [
                "shop.example.com",
                "Shop.Example.COM:8443",
                "de.shops.example.com",
                "a.b.shops.example.com:80",
                "shop.example.com.",
                "shop.example.com.:8443",
                "[::1]:8080",
                "[::1]",
            ] {
                plain("/").host(host) => to("v2-0-0");
            }
            for host in [
                "shops.example.com",
                "evilshops.example.com",
                "myshop.example.com",
                "shop.example.com.evil.com",
                "other.example.com",
                "example.com",
            ] {
                plain("/").host(host) => to("").uncounted();
            }
        }
        under(of(json!({ "hosts": ["*"] }))) {
            plain("/").host("any") => to("v2-0-0");
        }
    }

    paths_are_prefixes_of_whole_segments {
        under(of(json!({ "paths": ["/checkout/"] }))) {
            for target in [
                "/checkout",
                "/checkout/",
                "/checkout/pay?x=/y",
                "/checkout?step=2",
                "/checkout;jsessionid=1",
                "/checkout;jsessionid=1/pay",
            ] {
                plain(target) => to("v2-0-0");
            }
            for target in ["/checkouts", "/", "/a/checkout", "/Checkout", "/x?y=/checkout/"] {
                plain(target) => to("").uncounted();
            }
        }
        under(of(json!({ "paths": ["/api/request"] }))) {
            for target in ["/api/request", "/api/request?x=/api/req/"] {
                plain(target) => to("v2-0-0");
            }
            for target in ["/api", "/api/req", "/api/requests"] {
                plain(target) => to("");
            }
        }
        under(of(json!({ "paths": ["/"] }))) {
            plain("/anything") => to("v2-0-0");
        }
    }

    a_request_outside_the_scope_is_untouched {
        under(busy()) {
            let request = load(Load::Navigation, "/").host(WIKI).version("1.4.2").with("if-none-match", "\"1\"");
            request.with("x-release", "mine").with("x-release", "too") => untouched().uncounted()
                .received("x-release", &["mine", "too"])
                .received("x-bundle-version", &["1.4.2"])
                .received("if-none-match", &["\"1\""])
                .received("sec-fetch-mode", &["navigate"])
                .received("sec-fetch-dest", &["document"]);
        }
    }

    an_answer_outside_the_scope_is_untouched {
        under(busy()) {
            let page = html().and("cache-control", "max-age=5").of("9.9.9").and("set-cookie", "session=1");
            for request in [script("/a.js").version("1.4.2"), navigation("/")] {
                request.host(WIKI), page.clone() => skew_guard_behaviour::answer(200).body("<!doctype html>")
                    .has("cache-control", "max-age=5").has("x-app-version", "9.9.9").has("set-cookie", "session=1")
                    .lacks("vary").lacks("x-client-update").no_counted_answer();
            }
        }
    }

    an_outdated_client_outside_the_scope_is_not_told_to_reload {
        under(busy()) {
            call("0.0.1") => refused(409);
            call("0.0.1").host(WIKI) => untouched().status(200);
        }
    }

    /// The back end treats `//api` as `/api`, as nginx does.
    a_doubled_slash_does_not_leave_the_scope {
        under(of(json!({ "paths": ["/api"] }))) {
            for target in ["/api/cart", "//api/cart", "///api//cart"] {
                plain(target).with("x-release", "v1-4-2") => to("v2-0-0");
            }
        }
    }
}
