//! The cookie that remembers a visitor's version, for applications that cannot put it in their URLs.

use serde_json::{Value, json};
use skew_guard::decision::Outcome::{Current, Declined, Invalid, Pinned, Unversioned};
use skew_guard_behaviour::{
    BROWSERS, Expected, Load, Upstream, answer, behaviours, by, fetch, form, frame, html, json,
    load, mesh, navigation, refused, says, script, shop, to, with,
};

const PIN: &str = "pin=2.0.0; Path=/; SameSite=Lax; Secure; HttpOnly";

fn pinning(keys: Value) -> Value {
    with(
        with(shop(), json!({ "pinCookie": { "name": "pin" } })),
        keys,
    )
}

/// A pin cookie that a frame on another site gets too.
fn embedded() -> Value {
    pinning(json!({ "pinCookie": { "name": "pin", "sameSite": "None" } }))
}

/// Without `current` the mesh chooses the pod, and only the pod knows its version.
fn by_pods() -> Value {
    with(
        mesh(),
        json!({
            "pinCookie": { "name": "pin" },
            "upstreamVersion": { "responseHeader": "x-app-version" },
        }),
    )
}

fn html_of_status(status: u16) -> Upstream {
    says(status).and("content-type", "text/html")
}

behaviours! {
    a_page_pins_its_visitor_beside_the_applications_own_cookies {
        under(pinning(json!({}))) {
            let own = html().and("set-cookie", "session=1; Path=/").and("set-cookie", "theme=dark");
            for browser in BROWSERS {
                by(&browser, Load::Navigation, "/"), own.clone() => to("v2-0-0").body("<!doctype html>")
                    .has_all("set-cookie", &["session=1; Path=/", "theme=dark", PIN])
                    .has("cache-control", "private, no-cache");
            }
        }
    }

    its_attributes_are_those_of_the_configuration {
        under(pinning(json!({ "pinCookie": {
            "name": "pin", "maxAgeSeconds": 60, "domain": ".example.com", "path": "/shop", "sameSite": "None",
        } }))) {
            navigation("/shop"), html() => answer(200).has(
                "set-cookie",
                "pin=2.0.0; Max-Age=60; Domain=example.com; Path=/shop; SameSite=None; Secure; HttpOnly",
            );
        }
        under(pinning(json!({ "pinCookie": { "name": "shop.release", "secure": false } }))) {
            navigation("/"), html() => answer(200).has("set-cookie", "shop.release=2.0.0; Path=/; SameSite=Lax; HttpOnly");
        }
    }

    it_is_written_only_when_it_changes {
        under(pinning(json!({}))) {
            for cookie in ["pin=2.0.0", "a=b; pin=2.0.0; c=d", "pin=\"2.0.0\""] {
                navigation("/").cookie(cookie), html() => answer(200).lacks("set-cookie");
            }
            for cookie in ["pin=1.4.2", "pin=", "pin=%%%", "mypin=2.0.0"] {
                navigation("/").cookie(cookie), html() => answer(200).has("set-cookie", PIN);
            }
        }
    }

    it_is_not_written_if_a_gateway_behind_wrote_its_own {
        under(pinning(json!({}))) {
            let theirs = ["pin=1.4.2; Path=/", "a=b"];
            navigation("/"), html().and_all(&theirs.map(|cookie| ("set-cookie", cookie))) =>
                answer(200).has_all("set-cookie", &theirs).has("cache-control", "private, no-cache");
            let similar = ["mypin=1", "a=pin=2"];
            navigation("/"), html().and_all(&similar.map(|cookie| ("set-cookie", cookie))) =>
                answer(200).has_all("set-cookie", &["mypin=1", "a=pin=2", PIN]);
        }
    }

    only_a_page_pins {
        under(pinning(json!({}))) {
            let loads = Load::ALL;
            let pins = |load| Load::NAVIGATIONS.contains(&load) || load == Load::FormPost;
            let others = loads.into_iter().filter(|load| !pins(*load)).collect::<Vec<_>>();
            for kind in others {
                load(kind, "/"), html() => Expected::default().lacks("set-cookie");
            }
            for answered in [
                json(),
                json().and("content-type", "application/pdf"),
                html_of_status(500),
                html_of_status(302),
            ] {
                navigation("/"), answered => Expected::default().lacks("set-cookie");
            }
            form("/order"), json() => answer(200).lacks("set-cookie");
            frame("/"), html() => answer(200).lacks("set-cookie");
        }
    }

    a_404_a_304_and_the_answer_to_a_form_pin_too {
        under(pinning(json!({}))) {
            navigation("/"), html_of_status(404).body("no such page") => answer(404).has("set-cookie", PIN);
            load(Load::Reload, "/"), says(304).and("etag", "\"page\"") => answer(304).has("set-cookie", PIN);
            form("/order"), html() => answer(200).has("set-cookie", PIN);
        }
    }

    a_form_post_answered_by_a_page_draws_no_bucket {
        under(pinning(json!({ "releases": mesh()["releases"], "current": [
            { "version": "2.0.0", "weight": 90 },
            { "version": "1.4.2", "weight": 10 },
        ] }))) {
            form("/order"), html() => to("v2-0-0").has("set-cookie", PIN);
            fetch("/order").method("POST"), html() => to("v2-0-0").lacks("set-cookie");
        }
    }

    a_frame_on_another_site_gets_the_cookie_where_same_site_allows_it {
        under(embedded()) {
            frame("/"), html() => answer(200).has("set-cookie", "pin=2.0.0; Path=/; SameSite=None; Secure; HttpOnly");
            frame("/").cookie("pin=1.4.2"), html() => answer(200).lacks("set-cookie");
        }
    }

    its_age_is_renewed_by_each_page_except_on_a_draining_release {
        under(pinning(json!({
            "pinCookie": { "name": "pin", "maxAgeSeconds": 60 },
            "pinnedNavigation": ["/exam"],
        }))) {
            navigation("/").cookie("pin=2.0.0"), html() =>
                answer(200).has("set-cookie", "pin=2.0.0; Max-Age=60; Path=/; SameSite=Lax; Secure; HttpOnly");
            load(Load::Prefetch, "/").cookie("pin=2.0.0"), html() => answer(200).lacks("set-cookie");
            navigation("/exam").cookie("pin=1.4.2"), html() => to("v1-4-2").lacks("set-cookie");
        }
    }

    the_bucket_is_kept_in_front_of_the_version {
        under(pinning(json!({}))) {
            navigation("/").cookie("pin=00ff00ff~1.4.2"), html() => answer(200).starts("set-cookie", "pin=00ff00ff~2.0.0;");
            fetch("/api").cookie("pin=00ff00ff~1.4.2") => to("v1-4-2").counted(Pinned);
            fetch("/api").cookie("pin=zzz~~1.4.2") => to("v2-0-0").counted(Invalid);
        }
    }

    of_several_pin_cookies_the_one_of_a_served_release_counts {
        under(pinning(json!({}))) {
            for cookies in ["pin=1.3.0; pin=1.4.2", "pin=%%; pin=1.4.2", "pin=%; pin=1.4.2", "pin=1.4.2; pin=2.0.0"] {
                fetch("/api").cookie(cookies) => to("v1-4-2").counted(Pinned);
            }
            fetch("/api").cookie("pin=0.1.0").cookie("pin=1.4.2") => to("v1-4-2").counted(Pinned);
            fetch("/api").cookie("pin=1.3.0; pin=1.2.0") => refused(409).because("retired");
        }
    }

    everything_a_page_loads_keeps_the_pages_version {
        under(pinning(json!({}))) {
            for browser in BROWSERS {
                for kind in [Load::Script, Load::Image, Load::Fetch, Load::Frame] {
                    by(&browser, kind, "/x").cookie("session=1; pin=1.4.2") => to("v1-4-2");
                }
            }
            fetch("/api").cookie("pin=1.4.2") => to("v1-4-2").lacks("set-cookie");
        }
    }

    a_page_load_moves_a_pinned_visitor_to_current {
        under(pinning(json!({}))) {
            for kind in [Load::Navigation, Load::Reload] {
                load(kind, "/").cookie("pin=1.4.2"), html() => to("v2-0-0").has("set-cookie", PIN);
            }
        }
    }

    a_pinned_navigation_does_not_pin_anew {
        under(pinning(json!({ "pinnedNavigation": ["/checkout"] }))) {
            navigation("/checkout/pay").cookie("pin=1.4.2"), html() => to("v1-4-2").lacks("set-cookie");
        }
    }

    /// Only an answer of 200 to 299 is kept for the click: <https://github.com/WICG/nav-speculation/pull/144>.
    a_speculative_page_load_that_would_move_the_visitor_is_declined {
        under(pinning(json!({}))) {
            for kind in [Load::Prefetch, Load::Prerender] {
                for cookie in ["pin=1.4.2", "session=1"] {
                    load(kind, "/").cookie(cookie), html() =>
                        refused(503).has("cache-control", "no-store").lacks("set-cookie").counted(Declined);
                }
                load(kind, "/").cookie("pin=2.0.0"), html() => to("v2-0-0").status(200).lacks("set-cookie").counted(Current);
            }
        }
        under(shop()) {
            for kind in [Load::Prefetch, Load::Prerender] {
                load(kind, "/"), html() => to("v2-0-0").status(200).counted(Unversioned);
            }
        }
    }

    without_current_the_pod_states_the_version_to_pin {
        under(by_pods()) {
            navigation("/"), html().of("1.4.2") => to("").starts("set-cookie", "pin=1.4.2; Path=/; SameSite=Lax; Secure; HttpOnly");
            navigation("/").cookie("pin=1.4.2"), html().of("1.4.2") => to("").lacks("set-cookie");
            load(Load::Prerender, "/"), html().of("1.4.2") => answer(503).body("").lacks("set-cookie");
            script("/a.js"), skew_guard_behaviour::file().of("1.4.2") => to("").lacks("set-cookie");
        }
    }

    a_page_of_an_unknown_version_sets_no_pin {
        under(by_pods()) {
            for answered in [html(), html().of("not a version"), html().of("")] {
                navigation("/"), answered => to("").status(200).lacks("set-cookie");
            }
        }
    }

    /// The gateway behind this one still has the neighbouring configuration, in which 1.4.2 is current.
    a_page_from_another_release_than_the_one_asked_for_is_not_pinned_to_it {
        under(pinning(json!({ "upstreamVersion": { "responseHeader": "x-app-version" } }))) {
            navigation("/").cookie("pin=1.4.2"), html().of("1.4.2") => to("v2-0-0").never("set-cookie", "2.0.0");
        }
    }
}
