//! `"enforce": false`: everything is decided and counted, and nothing is changed but a forged route.

use serde_json::{Value, json};
use skew_guard::decision::Outcome::{Gone, Pinned, Uncovered, Unversioned};
use skew_guard::request::Class::{Api, Navigation, Other};
use skew_guard_behaviour::{
    Load, answer, behaviours, call, fetch, html, load, navigation, no_pods, plain, shop, to, with,
};

/// A configuration that would affect every request and answer.
fn busy() -> Value {
    with(
        shop(),
        json!({
            "pinCookie": { "name": "pin" },
            "upstreamVersion": { "responseHeader": "x-app-version" },
            "enforce": false,
        }),
    )
}

behaviours! {
    only_a_forged_route_header_is_removed_from_a_request {
        under(busy()) {
            let reload = load(Load::Reload, "/").version("1.4.2").with("if-modified-since", "yesterday");
            reload.with("x-release", "v1").with("x-release", "v2") => to("").status(200)
                .received("x-bundle-version", &["1.4.2"])
                .received("if-none-match", &["\"page\""])
                .received("if-modified-since", &["yesterday"])
                .received("cache-control", &["max-age=0"]);
            navigation("/").with("if-none-match", "\"1\"") =>
                to("").received("if-none-match", &["\"1\""]).counted(Unversioned).class(Navigation);
        }
    }

    an_answer_is_unchanged {
        under(busy()) {
            let page = html().and("cache-control", "max-age=60").of("9.9.9");
            for kind in [Load::Navigation, Load::Prerender, Load::Script, Load::Fetch] {
                for more in [&[][..], &[("x-bundle-version", "1.4.2")], &[("x-bundle-version", "1.3.0")], &[("cookie", "pin=1.4.2")]] {
                    load(kind, "/").with_all(more), page.clone() => answer(200).body("<!doctype html>")
                        .has("content-type", "text/html; charset=utf-8").has("cache-control", "max-age=60")
                        .has("x-app-version", "9.9.9").lacks_all(&["vary", "set-cookie", "x-client-update"]);
                }
            }
        }
    }

    an_outdated_client_is_counted_but_not_told {
        under(busy()) {
            call("1.3.0") => to("").status(200).lacks("x-client-update").counted(Gone).class(Api);
        }
    }

    envoys_own_failure_is_unchanged {
        under(busy()) {
            call("1.4.2"), no_pods("shop-v1-4-2-gone") => answer(503).body("no healthy upstream").lacks("x-client-update");
        }
    }

    every_decision_is_counted_with_browsers_distinguished_from_other_clients {
        under(busy()) {
            call("1.4.2") => to("").counted(Pinned).class(Api);
            plain("/api?dpl=1.4.2") => to("").counted(Pinned).class(Other);
            fetch("/api") => to("").counted(Uncovered).class(Api);
            navigation("/") => to("").counted(Unversioned).class(Navigation);
        }
    }
}
