//! The pitfalls of routing by version, each from beginning to end, with the browsers' own headers.

use serde_json::{Value, json};
use skew_guard_behaviour::{
    BROWSERS, Load, behaviours, by, call, fetch, html, refused, script, shop, to, untouched, with,
};

const APP: &str = "https://app.example.com";

/// Every way to carry a version, the cookie last.
fn everywhere() -> Value {
    with(
        shop(),
        json!({
            "sources": [{ "header": "x-bundle-version" }, { "query": "dpl" }, { "path": "/assets/v-{version}/" }],
            "unpinnedPaths": ["/version.json", "/sw.js"],
            "pinCookie": { "name": "pin" },
        }),
    )
}

behaviours! {
    /// The second tab got a page of 2.0.0, and with it a cookie that both tabs send.
    a_second_tab_does_not_move_the_first {
        under(everywhere()) {
            for browser in BROWSERS {
                for (load, target) in [
                    (Load::Fetch, "/api/cart?dpl=1.4.2"),
                    (Load::WebSocket, "/api/cart?dpl=1.4.2"),
                    (Load::Module, "/assets/v-1.4.2/checkout.js"),
                    (Load::Worker, "/assets/v-1.4.2/main.js"),
                ] {
                    by(&browser, load, target).cookie("pin=2.0.0") => to("v1-4-2");
                }
                by(&browser, Load::Fetch, "/api/cart").version("1.4.2").cookie("pin=2.0.0") => to("v1-4-2");
            }
        }
    }

    the_update_probe_and_the_service_worker_see_the_update {
        under(everywhere()) {
            for browser in BROWSERS {
                for (load, target) in [
                    (Load::Fetch, "/version.json"),
                    (Load::ServiceWorker, "/sw.js"),
                    (Load::ServiceWorker, "/elsewhere/worker.js"),
                ] {
                    by(&browser, load, target).cookie("pin=1.4.2") => to("v2-0-0");
                }
            }
        }
    }

    /// The new client sends `x-shop-version`; the old one still asks permission to send `x-bundle-version`.
    a_renamed_version_header_does_not_keep_old_clients_from_being_told {
        under(with(shop(), json!({
            "sources": [{ "header": "x-shop-version" }, { "header": "x-bundle-version" }],
            "cors": { "allowOrigins": [APP] },
        }))) {
            let preflight = fetch("/api/cart").method("OPTIONS").origin(APP).with("access-control-request-method", "GET");
            preflight.with("access-control-request-headers", "x-bundle-version") =>
                to("v2-0-0").status(200).received("access-control-request-headers", &["x-bundle-version"]);
            call("1.3.0").origin(APP) => refused(409).has("access-control-allow-origin", APP)
                .starts("access-control-expose-headers", "x-client-update");
        }
    }

    /// Neither a 304, nor the pin, nor the same release may bring back the page that was told to reload.
    a_reload_brings_another_page_and_that_page_works {
        under(everywhere()) {
            for browser in BROWSERS {
                let api = by(&browser, Load::Fetch, "/api/cart");
                api.clone().version("1.3.0").cookie("pin=1.3.0") => refused(409).has("x-client-update", "required");
                by(&browser, Load::Reload, "/").cookie("pin=1.3.0"), html() => to("v2-0-0").status(200)
                    .received("if-none-match", &[]).starts("set-cookie", "pin=2.0.0;");
                api.version("2.0.0").cookie("pin=2.0.0") => to("v2-0-0").status(200).lacks("x-client-update");
            }
        }
    }

    the_clients_of_a_removed_release_are_gone_and_not_skewed {
        under(everywhere()) {
            call("1.4.2") => to("v1-4-2").status(200);
        }
        under(with(everywhere(), json!({ "releases": [{ "version": "2.0.0", "route": "v2-0-0" }] }))) {
            call("1.4.2") => refused(409);
            script("/main.js?dpl=1.4.2") => refused(404);
        }
    }

    a_page_a_frame_and_a_form_are_never_shown_json {
        under(everywhere()) {
            for browser in BROWSERS {
                for load in [
                    Load::Navigation, Load::Reload, Load::HardReload, Load::NavigationThroughWorker,
                    Load::NavigationRebuiltByWorker, Load::Frame,
                ] {
                    by(&browser, load, "/?dpl=1.3.0").cookie("pin=1.3.0"), html() =>
                        to("v2-0-0").status(200).starts("content-type", "text/html");
                }
                // Declined, because a page that is loaded ahead of the click would move the pin.
                for load in [Load::Prefetch, Load::Prerender] {
                    by(&browser, load, "/?dpl=1.3.0").cookie("pin=1.3.0"), html() => refused(503);
                }
                by(&browser, Load::FormPost, "/order?dpl=1.3.0") =>
                    refused(409).has("content-type", "text/html; charset=utf-8");
            }
        }
    }

    another_application_with_a_version_header_of_its_own_is_left_alone {
        under(with(shop(), json!({ "hosts": ["shop.example.com"] }))) {
            call("0.1.0").host("wiki.example.com").with("x-deployment-id", "7") => untouched()
                .received("x-bundle-version", &["0.1.0"]).received("x-deployment-id", &["7"]).received("x-release", &[]);
        }
    }
}
