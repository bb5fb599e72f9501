//! Where a version is read from, among everything else in real requests.

use serde_json::{Value, json};
use skew_guard::decision::Outcome::{Invalid, Pinned, Uncovered};
use skew_guard_behaviour::{
    Request, behaviours, call, fetch, plain, refused, script, shop, to, with,
};

/// The shop, whose clients state their version there.
fn at(sources: Value) -> Value {
    with(shop(), json!({ "sources": sources }))
}

fn header(value: &str) -> Request {
    fetch("/api").with("x-v", value)
}

/// A request with a different version in each place.
fn everywhere() -> Request {
    call("1.9.3")
        .but(":path", "/api?dpl=2.0.0")
        .cookie("pin=1.4.2")
}

behaviours! {
    the_first_usable_version_among_the_sources_wins {
        under(at(json!([{ "header": "x-v" }, { "query": "v" }]))) {
            fetch("/api?v=1.4.2").with("x-v", "2.0.0") => to("v2-0-0").counted(Pinned);
            fetch("/api?v=1.4.2").with("x-v", "two point oh") => to("v1-4-2").counted(Pinned);
        }
        under(at(json!([{ "query": "v" }, { "header": "x-v" }]))) {
            fetch("/api?v=1.4.2").with("x-v", "2.0.0") => to("v1-4-2").counted(Pinned);
        }
    }

    the_order_of_sources_decides {
        under(at(json!([{ "header": "x-bundle-version" }, { "query": "dpl" }, { "cookie": "pin" }]))) {
            everywhere() => to("v2-0-0").counted(skew_guard::decision::Outcome::Compatible);
        }
        under(at(json!([{ "query": "dpl" }, { "header": "x-bundle-version" }, { "cookie": "pin" }]))) {
            everywhere() => to("v2-0-0").counted(Pinned);
        }
        under(at(json!([{ "cookie": "pin" }, { "query": "dpl" }, { "header": "x-bundle-version" }]))) {
            everywhere() => to("v1-4-2").counted(Pinned);
        }
    }

    a_source_without_a_valid_version_yields_to_the_next {
        under(at(json!([{ "header": "x-v" }, { "query": "dpl" }, { "cookie": "pin" }]))) {
            plain("/api?dpl=%20").with("x-v", "undefined; null").cookie("pin=1.4.2") => to("v1-4-2");
        }
    }

    a_malformed_version_is_invalid_and_never_an_error {
        under(at(json!([{ "header": "x-v" }]))) {
            for value in [&b"caf\xc3\xa9"[..], b"\xff\xfe", b"1.4.2 ; drop", &[b'a'; 65], b"-1"] {
                fetch("/api").with("x-v", value) => to("v2-0-0").counted(Invalid);
            }
            header("") => to("v2-0-0").counted(Uncovered);
        }
    }

    placeholders_of_a_build_without_a_version_are_invalid {
        under(at(json!([{ "header": "x-v" }]))) {
            for value in ["undefined", "null", "NaN", "None", "unknown", "TRUE", "false"] {
                header(value) => to("v2-0-0").counted(Invalid);
            }
        }
    }

    a_repeated_value_in_one_header_counts_once {
        under(at(json!([{ "header": "x-v" }]))) {
            for value in ["1.4.2, 1.4.2", "1.4.2,1.4.2 ,1.4.2"] {
                header(value) => to("v1-4-2").counted(Pinned);
            }
            for value in ["1.4.2, 2.0.0", "1.4.2,", "1.4.2 1.4.2"] {
                header(value) => to("v2-0-0").counted(Invalid);
            }
        }
    }

    an_asset_follows_its_path_whatever_other_sources_say {
        under(at(json!([{ "header": "x-v" }, { "query": "v" }, { "path": "/assets/v-{version}/" }]))) {
            script("/assets/v-1.4.2/main.js?v=2.0.0").with("x-v", "2.0.0") => to("v1-4-2").counted(Pinned);
            script("/assets/main.js").with("x-v", "1.4.2") => to("v1-4-2").counted(Pinned);
            fetch("/assets/v-1.4.2/data").with("x-v", "2.0.0") => to("v2-0-0").counted(Pinned);
        }
    }

    a_query_may_have_duplicates_encoding_and_empty_values {
        under(at(json!([{ "query": "dpl" }]))) {
            for (query, route, outcome) in [
                ("?dpl=1.4.2", "v1-4-2", Pinned),
                ("?a=b&dpl=1.4.2&c", "v1-4-2", Pinned),
                ("?page=3&dpl=1.4.2&sort=up", "v1-4-2", Pinned),
                ("?dpl=1%2E4%2e2", "v1-4-2", Pinned),
                ("?%64pl=1.4.2", "v1-4-2", Pinned),
                ("?dpl=&dpl=1.4.2", "v1-4-2", Pinned),
                ("?dpl=&dpl=1.4.2&dpl=2.0.0", "v1-4-2", Pinned),
                ("?dpl=%20&d%70l=1%2E4.2", "v1-4-2", Pinned),
                ("?dpl=%zz&dpl=1.4.2", "v1-4-2", Pinned),
                ("?dpl=1.4.2&dpl=2.0.0", "v1-4-2", Pinned),
                ("?dpl=", "v2-0-0", Uncovered),
                ("?dpl", "v2-0-0", Uncovered),
                ("?dpl=%ff", "v2-0-0", Invalid),
                ("?xdpl=1.4.2", "v2-0-0", Uncovered),
                ("?next=/x%3Fdpl=1.4.2", "v2-0-0", Uncovered),
                ("?q=dpl=1.4.2", "v2-0-0", Uncovered),
                ("/dpl=1.4.2", "v2-0-0", Uncovered),
                ("?", "v2-0-0", Uncovered),
            ] {
                fetch(&format!("/api{query}")) => to(route).counted(outcome);
            }
        }
    }

    a_path_source_matches_one_whole_segment {
        under(at(json!([{ "path": "/assets/v-{version}/" }]))) {
            for (target, route, outcome) in [
                ("/assets/v-1.4.2/main.js", "v1-4-2", Pinned),
                ("/assets/v-2.0.0/main.js", "v2-0-0", Pinned),
                ("/assets/v-1%2E4.2/main.js", "v1-4-2", Pinned),
                ("/assets/v-1.4.2/a/v-2.0.0/b.js", "v1-4-2", Pinned),
                ("/assets/img/x.png", "v2-0-0", Uncovered),
                ("/assets/v-1.4.2", "v2-0-0", Uncovered),
                ("/assets/v-/main.js", "v2-0-0", Uncovered),
                ("/assets/v-%00/main.js", "v2-0-0", Invalid),
                ("/x/assets/v-1.4.2/main.js", "v2-0-0", Uncovered),
            ] {
                script(target) => to(route).counted(outcome);
            }
        }
        under(at(json!([{ "path": "/{version}.d" }]))) {
            script("/1.4.2.d") => to("v1-4-2").counted(Pinned);
        }
    }

    a_cookie_is_matched_by_its_exact_name_up_to_the_first_equals_sign {
        under(at(json!([{ "cookie": "x-pin" }]))) {
            for (cookie, route, outcome) in [
                ("x-pin=1.4.2", "v1-4-2", Pinned),
                ("a=b; x-pin=1.4.2; c=d", "v1-4-2", Pinned),
                ("a=b;x-pin=1.4.2", "v1-4-2", Pinned),
                ("a=b;x-pin = \"1.4.2\"", "v1-4-2", Pinned),
                ("x-pin = 1.4.2 ", "v1-4-2", Pinned),
                ("consent; x-pin=1.4.2", "v1-4-2", Pinned),
                ("token=abc==; x-pin=1.4.2", "v1-4-2", Pinned),
                ("x-pin=1.4.2; x-pin=2.0.0", "v1-4-2", Pinned),
                ("my-x-pin=1.4.2", "v2-0-0", Uncovered),
                ("x-pin-2=1.4.2", "v2-0-0", Uncovered),
                ("x-pin; a=b", "v2-0-0", Uncovered),
                ("x-pin", "v2-0-0", Uncovered),
                ("x-pin=", "v2-0-0", Uncovered),
                ("last=x-pin=1.4.2", "v2-0-0", Uncovered),
                ("=1.4.2; ;;", "v2-0-0", Uncovered),
                ("X-Pin=1.4.2", "v2-0-0", Uncovered),
                ("x-pin=1.4.2=2", "v2-0-0", Invalid),
            ] {
                fetch("/api").cookie(cookie) => to(route).counted(outcome).received("cookie", &[cookie.trim()]);
            }
            fetch("/api").cookie("x-pin=1x4-2") => refused(409);
        }
    }

    baggage_may_have_properties_and_several_lines {
        under(at(json!([{ "baggage": "client-version" }]))) {
            for (baggage, route) in [
                ("client-version=1.4.2", "v1-4-2"),
                ("user=7, client-version = 1.4.2 ;ttl=5,x=y", "v1-4-2"),
                ("a=b;p=1 , client-version = 1%2E4.2;ttl=9 ,c=d", "v1-4-2"),
                ("client-version=1%2E4.2", "v1-4-2"),
                ("old-client-version=1.4.2", "v2-0-0"),
                ("client-version", "v2-0-0"),
                ("client-version=", "v2-0-0"),
                ("user=client-version=1.4.2", "v2-0-0"),
            ] {
                fetch("/api").with("baggage", baggage) => to(route).received("baggage", &[baggage]);
            }
            fetch("/api").with("baggage", "a=b").with("Baggage", "client-version=1.4.2") => to("v1-4-2").counted(Pinned);
            fetch("/api").with("baggage", "old-client-version=1.4.2") => to("v2-0-0").counted(Uncovered);
        }
    }

    header_query_and_path_win_over_the_pin_cookie {
        under(with(shop(), json!({ "pinCookie": { "name": "pin" } }))) {
            call("1.4.2").cookie("pin=2.0.0") => to("v1-4-2").counted(Pinned);
            script("/a.js?dpl=1.4.2").cookie("pin=2.0.0") => to("v1-4-2").counted(Pinned);
            script("/a.js").cookie("pin=2.0.0") => to("v2-0-0").counted(Pinned);
        }
    }
}
