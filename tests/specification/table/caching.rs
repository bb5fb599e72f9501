//! What caches are told, and what a client is told when there is a newer version.

use serde_json::{Value, json};
use skew_guard_behaviour::{
    Load, Request, Upstream, answer, behaviours, call, fetch, file, frame, html, json, load, mesh,
    navigation, plain, script, shop, to, with,
};

const LONG: &str = "public, max-age=600, s-maxage=900";

/// An answer that every cache may keep.
fn long() -> Upstream {
    json().and("cache-control", LONG)
}

/// The headers by which vendors overrule `cache-control` (RFC 9213 has the first).
const VENDORS: [&str; 7] = [
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "edge-control",
    "netlify-cdn-cache-control",
    "surrogate-control",
    "vercel-cdn-cache-control",
    "x-accel-expires",
];

fn overruled(answer: Upstream) -> Upstream {
    VENDORS
        .iter()
        .fold(answer, |answer, name| answer.and(name, "max-age=600"))
}

fn by_cookie() -> Value {
    with(
        shop(),
        json!({ "sources": [{ "header": "x-bundle-version" }, { "cookie": "pin" }] }),
    )
}

fn pinning() -> Value {
    with(shop(), json!({ "pinCookie": { "name": "pin" } }))
}

fn weighted() -> Value {
    with(
        mesh(),
        json!({
            "current": [{ "version": "2.0.0", "weight": 50 }, { "version": "1.4.2", "weight": 50 }],
            "pinCookie": { "name": "pin" },
        }),
    )
}

/// The mesh chooses, and the pods state their version.
fn by_pods() -> Value {
    with(
        mesh(),
        json!({ "upstreamVersion": { "responseHeader": "x-app-version" } }),
    )
}

/// Three releases: the current one, one beside it, and one that drains.
fn three() -> Value {
    json!({
        "releases": [
            { "version": "2.0.0", "route": "v2-0-0", "accepts": ["1.9.*"] },
            { "version": "1.5.0", "route": "v1-5-0" },
            { "version": "1.4.2", "route": "v1-4-2", "state": "draining" },
        ],
        "current": "2.0.0",
    })
}

const EXPOSED: &str = "access-control-expose-headers";

fn elsewhere() -> Request {
    call("1.4.2").origin("https://app.example.com")
}

behaviours! {
    vary_names_the_header_sources_on_answers_to_calls {
        under(shop()) {
            for request in [call("2.0.0"), call("1.4.2"), fetch("/api"), plain("/api")] {
                request => answer(200).has("vary", "x-bundle-version, x-deployment-id");
            }
        }
        under(with(shop(), json!({ "sources": [
            { "header": "x-bundle-version" },
            { "query": "dpl" },
            { "header": "x-deployment-id" },
            { "baggage": "client-version" },
        ] }))) {
            for request in [fetch("/api"), call("1.4.2")] {
                request => answer(200).lists("vary", &["x-bundle-version", "x-deployment-id", "baggage"]);
            }
        }
    }

    vary_repeats_no_name_and_keeps_a_star {
        under(shop()) {
            for (upstream, expected) in [
                (&["Origin"][..], &["Origin", "x-bundle-version", "x-deployment-id"][..]),
                (&["Origin, X-Bundle-Version"], &["Origin, X-Bundle-Version", "x-deployment-id"]),
                (&["Accept-Encoding", "X-Bundle-Version"], &["Accept-Encoding", "X-Bundle-Version", "x-deployment-id"]),
                (&["x-deployment-id", "Accept,x-bundle-version"], &["x-deployment-id", "Accept,x-bundle-version"]),
                (&["x-deployment-id,x-bundle-version"], &["x-deployment-id,x-bundle-version"]),
                (&["*"], &["*"]),
                (&["Origin", "*"], &["Origin", "*"]),
            ] {
                let lines = upstream.iter().map(|line| ("vary", *line)).collect::<Vec<_>>();
                let expected = expected.join(",");
                let members = expected.split(',').map(str::trim).collect::<Vec<_>>();
                call("2.0.0"), json().and_all(&lines) => answer(200).lists("vary", &members);
            }
        }
    }

    documents_and_assets_get_no_vary {
        under(shop()) {
            navigation("/"), html() => answer(200).lacks("vary");
            script("/a.js"), file() => answer(200).lacks("vary");
            for kind in [Load::Navigation, Load::Script, Load::Frame] {
                load(kind, "/") => answer(200).lacks("vary");
            }
        }
    }

    vary_can_be_switched_off {
        under(with(shop(), json!({ "vary": false }))) {
            call("1.4.2") => answer(200).lacks("vary");
            fetch("/api") => answer(200).lacks("vary");
        }
    }

    what_a_cookie_decides_is_private {
        under(by_cookie()) {
            for (kind, expected) in [
                (Load::Fetch, "private, no-cache"),
                (Load::Frame, "private, no-cache"),
                (Load::Script, "private, max-age=600"),
            ] {
                load(kind, "/").cookie("pin=1.4.2"), long() => to("v1-4-2").has("cache-control", expected);
                load(kind, "/").cookie("pin=1.4.2").version("2.0.0"), long() => to("v2-0-0").has("cache-control", LONG);
            }
        }
        under(pinning()) {
            script("/a.js").cookie("pin=1.4.2"), file() => to("v1-4-2").has("cache-control", "private, max-age=600");
            fetch("/api").cookie("pin=1.4.2") => to("v1-4-2").has("cache-control", "private, no-cache");
        }
    }

    /// A robot without cookies asks first; a shared cache would then serve current's file to a visitor pinned to 1.4.2.
    what_a_cookie_could_decide_is_private_without_the_cookie_too {
        under(pinning()) {
            script("/main.js"), file() => to("v2-0-0").has("cache-control", "private, max-age=600");
        }
        under(by_cookie()) {
            script("/main.js"), file() => to("v2-0-0").has("cache-control", "private, max-age=600");
        }
    }

    with_a_pin_cookie_every_page_is_private {
        under(pinning()) {
            for request in [navigation("/"), navigation("/").cookie("pin=2.0.0"), frame("/"), frame("/").cookie("pin=2.0.0")] {
                request, overruled(html().and("cache-control", "public, max-age=60")) =>
                    to("v2-0-0").has("cache-control", "private, no-cache").lacks_all(&VENDORS);
            }
        }
    }

    what_weights_decide_is_private {
        under(weighted()) {
            for (kind, expected) in [
                (Load::Navigation, "private, no-cache"),
                (Load::Fetch, "private, no-cache"),
                (Load::Script, "private, max-age=600"),
            ] {
                load(kind, "/"), long() => answer(200).has("cache-control", expected);
            }
        }
    }

    a_file_of_another_version_than_its_url_names_is_never_cached {
        under(with(shop(), json!({ "unknownVersion": "current" }))) {
            script("/main.js?dpl=2.2.0"), file() => to("v2-0-0").has("cache-control", "private, no-store");
            script("/main.js?dpl=2.1.0"), file() => to("v2-0-0").has("cache-control", "private, no-store");
            script("/main.js?dpl=2.0.0"), long() => to("v2-0-0").has("cache-control", LONG);
            script("/main.js?dpl=1.4.2"), long() => to("v1-4-2").has("cache-control", LONG);
            script("/main.js"), long() => to("v2-0-0").has("cache-control", LONG);
        }
    }

    what_the_url_decides_is_cached_as_the_upstream_says {
        under(shop()) {
            script("/main.js?dpl=1.4.2"), long() => to("v1-4-2").has("cache-control", LONG);
            navigation("/"), long() => to("v2-0-0").has("cache-control", LONG);
        }
    }

    a_document_opened_from_another_site_is_not_cached_under_a_url_that_names_another_version {
        under(shop()) {
            for request in [navigation("/"), frame("/")] {
                request.clone().but(":path", "/?dpl=1.4.2").site("cross-site"), long() =>
                    to("v2-0-0").has("cache-control", "private, no-store");
                request.but(":path", "/?dpl=2.0.0").site("cross-site"), long() =>
                    to("v2-0-0").has("cache-control", LONG);
            }
        }
    }

    without_current_a_versioned_url_is_cached_only_if_the_pod_states_that_version {
        under(by_pods()) {
            script("/main.js?dpl=2.1.0"), long().of("2.1.0") => to("").has("cache-control", LONG);
            script("/main.js?dpl=2.1.0"), long().of("2.0.0") => to("").has("cache-control", "private, no-store");
            script("/main.js?dpl=2.1.0"), long().of("") => to("").has("cache-control", "private, no-store");
        }
    }

    /// A cache that ignores `Vary` would give it to pages of 2.0.0.
    what_a_header_decides_is_not_cached_under_a_url_that_names_another_version {
        under(with(shop(), json!({ "sources": [
            { "header": "x-bundle-version" },
            { "path": "/assets/v-{version}/" },
        ] }))) {
            fetch("/assets/v-2.0.0/main.js").version("1.4.2"), file() =>
                to("v1-4-2").has("cache-control", "private, no-store");
        }
        under(shop()) {
            script("/main.js?dpl=2.0.0").version("1.4.2"), file() =>
                to("v1-4-2").has("cache-control", "private, no-store");
        }
    }

    an_upstreams_no_store_stays {
        under(by_cookie()) {
            for kind in [Load::Fetch, Load::Script] {
                load(kind, "/").cookie("pin=1.4.2"), json().and("cache-control", "no-store") =>
                    to("v1-4-2").has("cache-control", "no-store");
            }
        }
    }

    vendor_headers_that_override_cache_control_are_removed_with_it {
        under(by_cookie()) {
            fetch("/").cookie("pin=1.4.2"), overruled(json()) => to("v1-4-2").lacks_all(&VENDORS);
        }
        under(with(shop(), json!({ "unknownVersion": "current" }))) {
            script("/main.js?dpl=2.2.0"), overruled(file()) => to("v2-0-0").lacks_all(&VENDORS);
        }
        under(shop()) {
            for name in VENDORS {
                call("1.4.2"), json().and(name, "max-age=600") => to("v1-4-2").has(name, "max-age=600");
            }
        }
    }

    a_stale_client_is_told_so {
        under(three()) {
            for version in ["1.4.2", "1.5.0", "1.9.3"] {
                call(version) => answer(200).has("x-client-update", "available").has("x-client-current", "2.0.0");
            }
            script("/a.js?dpl=1.4.2") => answer(200).lacks("x-client-update");
        }
    }

    a_client_of_current_is_told_nothing {
        under(three()) {
            for request in [call("2.0.0"), fetch("/api"), navigation("/"), navigation("/?dpl=1.4.2")] {
                request => answer(200).lacks_all(&["x-client-update", "x-client-current", EXPOSED]);
            }
        }
    }

    without_current_only_a_draining_client_is_stale {
        under(with(three(), json!({ "current": null }))) {
            for version in ["2.0.0", "1.5.0"] {
                call(version) => answer(200).lacks_all(&["x-client-update", "x-client-current"]);
            }
            call("1.4.2") => answer(200).has("x-client-update", "available").lacks("x-client-current");
        }
    }

    hints_are_exposed_to_other_origins_in_addition_to_what_is_exposed {
        under(three()) {
            elsewhere() => answer(200).has("x-client-update", "available").has("x-client-current", "2.0.0")
                .lists(EXPOSED, &["x-client-update", "x-client-current"]);
            elsewhere(), json().and(EXPOSED, "x-request-id") =>
                answer(200).lists(EXPOSED, &["x-request-id", "x-client-update", "x-client-current"]);
            elsewhere(), json().and(EXPOSED, "X-Client-Update") =>
                answer(200).lists(EXPOSED, &["X-Client-Update", "x-client-current"]);
        }
    }

    without_an_origin_nothing_is_exposed {
        under(three()) {
            call("1.4.2"), json().and(EXPOSED, "x-request-id") =>
                answer(200).has("x-client-update", "available").has(EXPOSED, "x-request-id");
        }
    }

    hints_can_be_switched_off {
        under(with(three(), json!({ "hints": false }))) {
            call("1.4.2") => to("v1-4-2").lacks("x-client-update");
        }
    }
}
