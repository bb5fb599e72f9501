//! How a tester, and nobody else, reaches a staged release.

use serde_json::{Value, json};
use skew_guard::decision::Outcome::{Pinned, Preview, Unversioned};
use skew_guard_behaviour::{
    BROWSERS, Load, behaviours, by, call, fetch, navigation, refused, script, shop, to, with,
};

/// The SHA-256 of `open sesame:1`.
const SHA256: &str = "1ff2e6fd7a187a0e5338106edcfda2a1133860b1a6273fc30b89cc6e8fdb5193";
const KEY: &str = "open sesame:1";

/// The cookie as the link sets it.
const COOKIE: &str = "session=1; __preview=open%20sesame%3A1:2.1.0";
const ATTRIBUTES: &str = "; Path=/; SameSite=Lax; Secure; HttpOnly";

fn previewing(keys: Value) -> Value {
    with(
        with(shop(), json!({ "preview": { "sha256": SHA256 } })),
        keys,
    )
}

behaviours! {
    without_the_key_a_staged_release_is_not_reached_by_its_version {
        under(previewing(json!({}))) {
            call("2.1.0") => refused(409).because("unknown");
            call("2.1.0").with("x-preview-key", "open barley") => refused(409).because("unknown");
            call("2.1.0").with("x-preview-key", "") => refused(409);
            call("2.1.0").cookie("__preview=wrong:2.1.0") => refused(409);
            call("2.1.0").cookie("__preview=2.1.0; pin=2.1.0") => refused(409);
            call("2.1.0").with("x-release", "v2-1-0") => refused(409);
            navigation("/?dpl=2.1.0") => to("v2-0-0");
            script("/main.js?dpl=2.1.0") => refused(404);
        }
    }

    the_key_opens_a_staged_release_to_requests_that_name_it {
        under(previewing(json!({}))) {
            call("2.1.0").with("x-preview-key", KEY) => to("v2-1-0").counted(Preview);
            call("2.1.0").cookie(COOKIE) => to("v2-1-0").counted(Preview);
            fetch("/api").with("x-preview-key", KEY) => to("v2-0-0");
            navigation("/?dpl=2.1.0").with("x-preview-key", KEY) => to("v2-1-0");
        }
    }

    the_cookie_opens_its_release_to_navigations_and_to_requests_without_a_version {
        under(previewing(json!({}))) {
            navigation("/?dpl=1.4.2").cookie(COOKIE) => to("v2-1-0").counted(Preview);
            script("/a.js").cookie(COOKIE) => to("v2-1-0").counted(Preview);
            for browser in BROWSERS {
                for load in [Load::Navigation, Load::Reload, Load::Script, Load::Fetch] {
                    by(&browser, load, "/").cookie(COOKIE) => to("v2-1-0");
                }
            }
        }
    }

    a_page_of_another_version_keeps_its_version_despite_the_cookie {
        under(previewing(json!({}))) {
            for (version, route) in [("2.0.0", "v2-0-0"), ("1.4.2", "v1-4-2")] {
                call(version).cookie(COOKIE) => to(route).counted(Pinned);
                script(&format!("/a.js?dpl={version}")).cookie(COOKIE) => to(route);
            }
        }
    }

    the_preview_cookie_wins_over_the_pin_cookie {
        under(previewing(json!({ "pinCookie": { "name": "pin" } }))) {
            for request in [navigation("/"), script("/a.js"), fetch("/api")] {
                request.cookie(&format!("pin=2.0.0; {COOKIE}")) => to("v2-1-0").counted(Preview);
            }
        }
    }

    what_a_preview_key_decides_is_never_cached {
        under(previewing(json!({}))) {
            for request in [navigation("/"), fetch("/api"), script("/assets/v-2.1.0/main.js")] {
                request.cookie(COOKIE), skew_guard_behaviour::file().of("2.1.0") =>
                    to("v2-1-0").has("cache-control", "private, no-store");
            }
        }
    }

    the_link_sets_the_cookie_and_redirects_to_the_url_without_the_key {
        under(previewing(json!({}))) {
            for link in [
                "/cart?a=1&preview=open%20sesame:1:2.1.0&b=2",
                "/cart?a=1&preview=open%20sesame%3A1%3A2.1.0&b=2",
            ] {
                navigation(link) => refused(303).has("location", "/cart?a=1&b=2").body("")
                    .has("set-cookie", &format!("__preview=open%20sesame%3A1:2.1.0{ATTRIBUTES}"))
                    .has("cache-control", "private, no-store");
            }
        }
    }

    the_preview_cookie_can_cover_an_api_on_another_host {
        under(previewing(json!({ "preview": { "sha256": SHA256, "domain": "example.com" } }))) {
            navigation("/?preview=open%20sesame%3A1:2.1.0") => refused(303)
                .has("set-cookie", &format!("__preview=open%20sesame%3A1:2.1.0; Domain=example.com{ATTRIBUTES}"));
        }
    }

    the_link_off_clears_the_cookie {
        under(previewing(json!({}))) {
            for request in [navigation("/?preview=off"), navigation("/?preview=off").cookie(COOKIE)] {
                request => refused(303).has("location", "/")
                    .has("set-cookie", &format!("__preview=; Max-Age=0{ATTRIBUTES}"));
            }
        }
    }

    a_link_never_redirects_to_another_host {
        under(previewing(json!({}))) {
            for (path, location) in [
                ("//evil.com/", "/evil.com/"),
                ("/\\evil.com", "/evil.com"),
                ("/\\evil.com/", "/evil.com/"),
                ("///evil.com/x", "/evil.com/x"),
            ] {
                navigation(&format!("{path}?preview=off")) => refused(303).has("location", location);
                navigation(&format!("{path}?preview=open%20sesame:1:2.1.0")) => refused(303).has("location", location);
            }
        }
    }

    a_link_with_a_wrong_key_is_a_page_like_any_other {
        under(previewing(json!({}))) {
            for value in ["guess:2.1.0", "2.1.0", "", ":2.1.0", "open%20sesame:1", "%ff:%ff"] {
                navigation(&format!("/?preview={value}")) =>
                    to("v2-0-0").status(200).lacks("set-cookie").counted(Unversioned);
            }
        }
    }

    a_link_to_an_unknown_release_lists_the_known_ones {
        under(previewing(json!({}))) {
            navigation("/?preview=open%20sesame:1:7.0.0") => refused(404).lacks("set-cookie")
                .body("No release 7.0.0 can be previewed. There are: 2.1.0, 2.0.0, 1.4.2\n");
        }
    }

    the_key_does_not_open_a_denied_version {
        under(previewing(json!({ "denied": ["2.1.0"] }))) {
            call("2.1.0").cookie(COOKIE) => refused(409).because("denied");
            call("2.1.0").with("x-preview-key", KEY) => refused(409).because("denied");
            navigation("/").cookie(COOKIE) => to("v2-0-0");
        }
    }
}
