//! Conditional requests: a 304 would make the client keep what it has from another release.

use serde_json::{Value, json};
use skew_guard_behaviour::{
    Expected, Request, answer, behaviours, call, fetch, frame, navigation, plain, script, shop,
    with,
};

const CONDITIONS: [(&str, &str); 2] = [
    ("if-none-match", "\"65920080-352\""),
    ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT"),
];

fn conditional(request: Request) -> Request {
    request.with_all(&CONDITIONS)
}

fn kept() -> Expected {
    CONDITIONS.iter().fold(answer(200), |kept, (name, value)| {
        kept.received(name, &[value])
    })
}

fn removed() -> Expected {
    CONDITIONS.iter().fold(answer(200), |removed, (name, _)| {
        removed.received(name, &[])
    })
}

fn pinning() -> Value {
    with(shop(), json!({ "pinCookie": { "name": "pin" } }))
}

behaviours! {
    they_are_removed_where_a_header_chose_the_release_whatever_the_outcome {
        under(with(shop(), json!({ "unknownVersion": "current" }))) {
            for version in ["2.0.0", "1.4.2", "1.9.1", "9.9.9"] {
                conditional(call(version)) => removed();
            }
        }
    }

    they_are_removed_where_a_cookie_chose_the_release {
        under(pinning()) {
            for request in [fetch("/api"), script("/a.js"), navigation("/"), frame("/")] {
                conditional(request).cookie("pin=1.4.2") => removed();
            }
        }
    }

    they_are_removed_from_every_navigation_and_framed_document {
        under(with(shop(), json!({ "pinnedNavigation": ["/"] }))) {
            for request in [navigation("/"), navigation("/?dpl=1.4.2"), frame("/?dpl=1.4.2"), frame("/")] {
                conditional(request) => removed();
            }
        }
    }

    they_are_removed_from_an_asset_whose_url_names_no_served_version {
        under(with(shop(), json!({ "unknownVersion": "current" }))) {
            conditional(script("/logo.svg")) => removed();
            conditional(script("/a.js?dpl=9.9.9")) => removed();
            conditional(script("/a.js").version("1.4.2")) => removed();
        }
    }

    they_are_removed_from_an_update_probe {
        under(with(shop(), json!({ "unpinnedPaths": ["/version.json"] }))) {
            conditional(fetch("/version.json")) => removed();
        }
    }

    /// The page of 2.0.0 revalidates what it has from when 1.4.2 was current, and both share the ETag.
    they_are_removed_from_a_same_origin_call_without_a_version {
        under(shop()) {
            conditional(fetch("/api")) => removed();
        }
    }

    they_are_kept_where_the_url_chose_the_release {
        under(shop()) {
            conditional(script("/a.js?dpl=1.4.2")) => kept();
            conditional(fetch("/api?dpl=1.4.2")) => kept();
            conditional(plain("/api")) => kept();
            conditional(plain("/api").with("accept", "*/*")) => kept();
        }
    }

    they_are_kept_on_writes {
        under(shop()) {
            for method in ["PUT", "POST", "DELETE", "PATCH"] {
                conditional(call("1.4.2").method(method)).with("if-match", "\"2\"") =>
                    kept().received("if-match", &["\"2\""]);
            }
            conditional(call("1.4.2").method("HEAD")) => removed();
            conditional(call("1.4.2")).with("if-match", "\"2\"") => removed().received("if-match", &["\"2\""]);
        }
    }

    a_range_is_removed_with_if_range_and_kept_without_it {
        under(shop()) {
            call("1.4.2").with("range", "bytes=0-9") => answer(200).received("range", &["bytes=0-9"]);
            call("1.4.2").with("range", "bytes=0-9").with("if-range", "\"1\"") =>
                answer(200).received("range", &[]).received("if-range", &[]);
        }
    }

    they_are_all_kept_where_the_configuration_says_so {
        under(with(shop(), json!({ "conditional": "keep" }))) {
            for request in [navigation("/"), call("1.4.2"), script("/a.js"), fetch("/api")] {
                conditional(request) => kept();
            }
        }
    }
}
