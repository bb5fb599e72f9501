//! `explain`: what happens to one request.

use crate::tool::{Run, Workspace};

const SHOP: &str = r#"{
  "hosts": ["shop.example.com"],
  "sources": [{"header": "x-bundle-version"}, {"path": "/assets/v-{version}/"}],
  "releases": [
    {"version": "2.0.0", "route": "v2-0-0"},
    {"version": "1.4.2", "route": "v1-4-2", "state": "draining", "until": "2026-12-01T00:00:00Z"},
    {"version": "1.3.0", "state": "retired"}
  ],
  "current": "2.0.0"
}"#;

fn explain(arguments: &[&str]) -> Run {
    let workspace = Workspace::new();
    workspace.write("shop.json", SHOP);
    let mut all = vec!["explain", "shop.json", "--now", "2026-11-21T12:00:00Z"];
    all.extend(arguments);
    workspace.run(&all).ends(0)
}

#[test]
fn a_call_of_a_draining_release_is_pinned_and_told_that_there_is_a_newer_one() {
    explain(&["--path", "/api/cart", "--header", "x-bundle-version: 1.4.2"])
        .says("outcome   pinned")
        .says("rule 8: a release has this version")
        .says("release   1.4.2, route v1-4-2")
        .says("request   x-release: v1-4-2")
        .says("response  x-client-update: available")
        .says("response  x-client-current: 2.0.0");
}

#[test]
fn time_is_a_part_of_the_question() {
    let workspace = Workspace::new();
    workspace.write("shop.json", SHOP);
    let at = |time: &str| {
        let call = [
            "explain",
            "shop.json",
            "--header",
            "x-bundle-version: 1.4.2",
            "--now",
        ];
        workspace.run(&[&call[..], &[time]].concat()).ends(0)
    };
    at("2026-11-30T23:59:59Z").says("outcome   pinned");
    at("2026-12-01T00:00:00Z").says("outcome   gone");
}

#[test]
fn a_call_of_a_retired_release_gets_the_reload_answer() {
    explain(&["--path", "/api/cart", "--header", "x-bundle-version: 1.3.0"])
        .says("outcome   gone")
        .says("reply     409 (skew_guard_retired)")
        .says("reply     x-client-update: required")
        .says(r#"{"error":"client_outdated","client":"1.3.0","current":"2.0.0"}"#)
        .never_says("request ");
}

#[test]
fn a_navigation_goes_to_current_without_its_conditions() {
    explain(&[
        "--as",
        "navigation",
        "--header",
        "x-release: v1-4-2",
        "--header",
        "if-none-match: \"1\"",
    ])
    .says("rule 6")
    .says("request   x-release: v2-0-0")
    .says("request   if-none-match removed");
}

#[test]
fn a_page_in_the_place_of_an_asset_becomes_404() {
    explain(&[
        "--path",
        "/assets/v-1.4.2/main.js",
        "--as",
        "asset",
        "--response-header",
        "content-type: text/html",
        "--response-header",
        "etag: x",
    ])
    .says("class     asset")
    .says("response  :status: 404")
    .says("response  etag removed")
    .says("counted   answer fallback");
}

#[test]
fn a_release_without_pods_becomes_the_reload_answer() {
    for failure in ["no-healthy-upstream", "no-cluster"] {
        explain(&[
            "--path",
            "/api/cart",
            "--header",
            "x-bundle-version: 1.4.2",
            "--failure",
            failure,
        ])
        .says("response  :status: 409")
        .says("counted   answer gone");
    }
    explain(&[
        "--path",
        "/api/cart",
        "--header",
        "x-bundle-version: 2.0.0",
        "--failure",
        "no-cluster",
    ])
    .never_says(":status");
}

#[test]
fn a_request_of_another_application_is_untouched() {
    explain(&[
        "--host",
        "other.example.com",
        "--header",
        "x-bundle-version: 1.3.0",
    ])
    .says("untouched rule 1");
}

#[test]
fn a_machine_reads_the_same() {
    let workspace = Workspace::new();
    workspace.write("shop.json", SHOP);
    let answer = workspace.json(&[
        "explain",
        "shop.json",
        "--path",
        "/api",
        "--method",
        "POST",
        "--header",
        "x-bundle-version: 1.3.0",
    ]);
    assert_eq!(answer["outcome"], "gone");
    assert_eq!(answer["rule"], 10);
    assert_eq!(answer["reply"]["status"], 409);
    assert_eq!(answer["client"], "1.3.0");
}
