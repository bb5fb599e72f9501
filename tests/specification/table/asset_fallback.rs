//! A page where a file should be: how most servers of single-page applications answer for a missing file.

use serde_json::json;
use skew_guard::telemetry::AnswerKind::Fallback;
use skew_guard_behaviour::{
    BROWSERS, Expected, Load, Upstream, answer, behaviours, by, fetch, file, frame, html, load,
    mesh, navigation, plain, says, script, shop, to, with,
};

/// The application's answer for a missing file.
fn page() -> Upstream {
    html().and_all(&[
        ("cache-control", "public, max-age=31536000, immutable"),
        ("cdn-cache-control", "max-age=600"),
        ("surrogate-control", "max-age=600"),
        ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
        ("etag", "\"page\""),
        ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("accept-ranges", "bytes"),
        ("x-kept", "yes"),
    ])
}

/// Only what the operator adds is left of the page.
fn missing() -> Expected {
    answer(404)
        .body("")
        .has("cache-control", "no-store")
        .has("x-kept", "yes")
        .lacks_all(&[
            "accept-ranges",
            "cdn-cache-control",
            "content-type",
            "etag",
            "expires",
            "last-modified",
            "surrogate-control",
        ])
}

behaviours! {
    a_page_in_place_of_an_asset_becomes_an_uncacheable_404 {
        under(shop()) {
            for (target, route) in [
                ("/assets/main.js", "v2-0-0"),
                ("/assets/main.js?dpl=2.0.0", "v2-0-0"),
                ("/assets/main.js?dpl=1.4.2", "v1-4-2"),
            ] {
                script(target), page() => missing().has("content-length", "0").counted_answer(route, Fallback);
            }
            let assets = Load::ASSETS;
            for browser in BROWSERS {
                for load in assets {
                    by(&browser, load, "/assets/v-0.9.0/main.js"), page() => missing();
                }
            }
            script("/main.js").method("HEAD"), page() => missing();
        }
        // As during a plain rolling update, in which some pods lack the file.
        under(mesh()) {
            let assets = Load::ASSETS;
            for browser in BROWSERS {
                for load in assets {
                    by(&browser, load, "/assets/v-0.9.0/main.js"), page() => missing().has("content-length", "0");
                }
            }
        }
    }

    a_compressed_page_is_replaced_too {
        under(shop()) {
            let compressed = says(200).and("content-type", "Text/HTML").and("content-encoding", "br");
            load(Load::Module, "/main.js"), compressed.body(&"not really Brotli ".repeat(500)) =>
                answer(404).body("").lacks("content-encoding");
            script("/main.js"), page().and("content-encoding", "gzip") => missing().lacks("content-encoding");
        }
    }

    partial_and_prefetched_pages_are_replaced_too {
        under(shop()) {
            let part = html().status(206).and("content-range", "bytes 0-4/15").body("<!doc");
            script("/main.js").with("range", "bytes=0-4"), part => answer(404).body("").lacks("content-range");
            load(Load::LinkPrefetch, "/next.js"), page() => missing();
        }
    }

    other_answers_and_other_requests_are_left_alone {
        under(shop()) {
            script("/a.js"), file() => answer(200).body("run()").no_counted_answer();
            let gone = html().and("cache-control", "max-age=9").body("<h1>Not found</h1>");
            for status in [404, 410] {
                script("/a.js"), gone.clone().status(status) =>
                    answer(status).body("<h1>Not found</h1>").has("cache-control", "max-age=9").no_counted_answer();
            }
            for request in [fetch("/a"), navigation("/"), frame("/")] {
                request, page() => answer(200).body("<!doctype html>").no_counted_answer();
            }
        }
    }

    without_fetch_metadata_a_file_is_recognised_by_the_version_in_its_path {
        under(with(shop(), json!({ "sources": [
            { "path": "/assets/v-{version}/" },
            { "path": "/api/v-{version}/" },
        ] }))) {
            for (path, status) in [
                ("/assets/v-2.0.0/main.js", 404),
                ("/assets/v-2.0.0/part.html", 200),
                ("/api/v-2.0.0/cart", 200),
                ("/main.js", 200),
            ] {
                plain(path).with("accept", "*/*"), page() => answer(status);
            }
        }
    }

    it_can_be_switched_off {
        under(with(shop(), json!({ "assetFallback": false }))) {
            script("/main.js"), page() => to("v2-0-0").status(200).body("<!doctype html>").no_counted_answer();
        }
    }
}
