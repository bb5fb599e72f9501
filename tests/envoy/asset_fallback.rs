//! A page where a file should be: the answer of most servers of single-page applications to a file that they lack.

use anyhow::Result;
use serde_json::{Value, json};

use crate::application::answer_of;
use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{BROWSERS, Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const ON_EVERY_ENVOY: &[Behaviour] =
    behaviours![a_file_that_a_pod_lacks_is_404_that_no_cache_keeps];

pub const ON_THE_NEWEST_ENVOY: &[Behaviour] = behaviours![
    nothing_of_the_page_is_left,
    a_compressed_page_is_replaced_too,
    pages_files_and_answers_of_the_api_stay,
    a_part_of_a_page_and_a_prefetched_one_are_no_file_either,
    without_fetch_metadata_a_file_is_known_by_the_version_in_its_path,
    an_upstreams_own_404_stays,
    it_is_counted,
    it_can_be_switched_off,
];

async fn gateway_to<'l>(
    lab: &'l Lab,
    name: &str,
    cluster: &str,
    changes: Value,
) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&shop(changes))?
        .one_route_to(cluster)
        .open(lab)
        .await
}

/// What the application answers where it has no such file.
fn page() -> String {
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("cdn-cache-control", "max-age=600"),
        ("surrogate-control", "max-age=600"),
        ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
        ("etag", "\"page\""),
        ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("accept-ranges", "bytes"),
        ("x-kept", "yes"),
    ];
    answer_of(200, &headers, "<!doctype html>")
}

/// The pods of the shop are those of every release, as during a rolling update.
async fn a_file_that_a_pod_lacks_is_404_that_no_cache_keeps(lab: &Lab) -> Result<()> {
    let plain = json!({ "current": null });
    let gateway = gateway_to(lab, "lacking", "shop", plain).await?;
    for browser in BROWSERS {
        for load in Load::ASSETS {
            let path = "/assets/v-0.9.0/main.js";
            let answer = gateway.get(path, &browser.sends(load)).await?;
            let what = format!("{load:?} of {}", browser.name);
            assert_eq!(
                (answer.status, answer.text()),
                (404, String::new()),
                "{what}"
            );
            assert_eq!(answer.values("cache-control"), ["no-store"], "{what}");
            assert_eq!(answer.values("content-length"), ["0"], "{what}");
            assert!(answer.values("content-type").is_empty(), "{what}");
            assert!(answer.values("x-pod")[0].contains('-'), "a pod was asked");
        }
    }
    Ok(())
}

async fn nothing_of_the_page_is_left(lab: &Lab) -> Result<()> {
    let gateway = gateway_to(lab, "nothing-left", "application", json!({})).await?;
    for method in ["GET", "HEAD"] {
        let answer = gateway
            .answered(method, &page(), "/main.js", &chrome(Load::Script))
            .await?;
        assert_eq!((answer.status, answer.text()), (404, String::new()));
        for gone in [
            "accept-ranges",
            "cdn-cache-control",
            "content-type",
            "etag",
            "expires",
            "last-modified",
            "surrogate-control",
        ] {
            assert_eq!(answer.value(gone), None, "{method}: {gone}");
        }
        assert_eq!(answer.values("cache-control"), ["no-store"], "{method}");
        assert_eq!(answer.values("x-kept"), ["yes"], "{method}");
    }
    Ok(())
}

async fn a_compressed_page_is_replaced_too(lab: &Lab) -> Result<()> {
    let gateway = gateway_to(lab, "compressed", "application", json!({})).await?;
    let page = answer_of(
        200,
        &[("Content-Type", "Text/HTML"), ("content-encoding", "br")],
        &"not really Brotli ".repeat(500),
    );
    let answer = gateway
        .get_answered(&page, "/main.js", &chrome(Load::Module))
        .await?;
    assert_eq!((answer.status, answer.text()), (404, String::new()));
    assert_eq!(answer.value("content-encoding"), None);
    Ok(())
}

async fn pages_files_and_answers_of_the_api_stay(lab: &Lab) -> Result<()> {
    let gateway = gateway_to(lab, "staying", "application", json!({})).await?;
    for load in [Load::Navigation, Load::Frame, Load::Fetch] {
        let answer = gateway.get_answered(&page(), "/", &chrome(load)).await?;
        assert_eq!(answer.status, 200, "{load:?}");
        assert_eq!(answer.text(), "<!doctype html>", "{load:?}");
    }
    let script = answer_of(200, &[("content-type", "text/javascript")], "run()");
    let answer = gateway
        .get_answered(&script, "/main.js", &chrome(Load::Script))
        .await?;
    assert_eq!((answer.status, answer.text().as_str()), (200, "run()"));
    Ok(())
}

async fn an_upstreams_own_404_stays(lab: &Lab) -> Result<()> {
    let gateway = gateway_to(lab, "own-404", "application", json!({})).await?;
    let headers = [
        ("content-type", "text/html"),
        ("cache-control", "max-age=9"),
    ];
    let own = answer_of(404, &headers, "<h1>Not found</h1>");
    let answer = gateway
        .get_answered(&own, "/main.js", &chrome(Load::Script))
        .await?;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.text(), "<h1>Not found</h1>");
    assert_eq!(answer.values("cache-control"), ["max-age=9"]);
    Ok(())
}

async fn it_is_counted(lab: &Lab) -> Result<()> {
    let releases = json!([{ "version": "2.0.0", "route": "counted-fallback" }]);
    let changes = json!({ "releases": releases });
    let gateway = gateway_to(lab, "counted-fallback", "application", changes).await?;
    for _ in 0..3 {
        gateway
            .get_answered(&page(), "/main.js", &chrome(Load::Script))
            .await?;
    }
    let labels = [("release", "counted-fallback"), ("sight", "fallback")];
    let metrics = lab.metrics().await?;
    assert_eq!(metrics.sum("skew_guard_answers_total", &labels), 3);
    Ok(())
}

async fn it_can_be_switched_off(lab: &Lab) -> Result<()> {
    let off = json!({ "assetFallback": false });
    let gateway = gateway_to(lab, "switched-off", "application", off).await?;
    let answer = gateway
        .get_answered(&page(), "/main.js", &chrome(Load::Script))
        .await?;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), "<!doctype html>");
    Ok(())
}

async fn a_part_of_a_page_and_a_prefetched_one_are_no_file_either(lab: &Lab) -> Result<()> {
    let gateway = gateway_to(lab, "partial-pages", "application", json!({})).await?;
    let html = [
        ("content-type", "text/html"),
        ("content-range", "bytes 0-4/15"),
    ];
    let part = answer_of(206, &html, "<!doc");
    let sent = [chrome(Load::Script), vec![("range", "bytes=0-4")]].concat();
    let answer = gateway.get_answered(&part, "/main.js", &sent).await?;
    assert_eq!((answer.status, answer.text()), (404, String::new()));
    assert_eq!(answer.value("content-range"), None);
    let prefetch = chrome(Load::LinkPrefetch);
    let answer = gateway.get_answered(&page(), "/next.js", &prefetch).await?;
    assert_eq!(answer.status, 404);
    Ok(())
}

async fn without_fetch_metadata_a_file_is_known_by_the_version_in_its_path(
    lab: &Lab,
) -> Result<()> {
    let by_path = json!({ "sources": [
        { "path": "/assets/v-{version}/" },
        { "path": "/api/v-{version}/" },
    ] });
    let gateway = gateway_to(lab, "files-on-plain-http", "application", by_path).await?;
    let any = [("accept", "*/*")];
    for (path, status) in [
        ("/assets/v-2.0.0/main.js", 404),
        ("/assets/v-2.0.0/part.html", 200),
        ("/api/v-2.0.0/cart", 200),
        ("/main.js", 200),
    ] {
        let answer = gateway.get_answered(&page(), path, &any).await?;
        assert_eq!(answer.status, status, "{path}");
    }
    Ok(())
}
