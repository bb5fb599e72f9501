//! What hostile reviews broke, each in a way of its own.

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::release_routes;

use crate::application::answer_of;
use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    of_two_gateways_in_a_row_the_first_does_not_soften_what_the_second_says,
    after_a_change_of_scope_a_syntax_error_leaves_the_last_good_one_in_force,
    a_typo_does_not_install_the_policy_of_another_application,
    what_a_header_chose_is_not_kept_under_a_url_that_names_another_version,
    what_a_header_chose_is_not_kept_under_a_query_that_names_another_version,
    with_a_pin_cookie_what_came_without_one_is_not_for_all,
    with_a_cookie_source_what_came_without_one_is_not_for_all,
    a_preflight_of_a_vanished_release_does_not_hide_the_reload_answer,
    a_version_header_is_no_navigation_wherever_its_source_stands,
    a_doubled_slash_does_not_leave_the_scope,
    a_versioned_file_opened_in_a_tab_is_of_its_version,
    a_call_of_a_prerendered_page_keeps_the_html_that_it_asked_for,
    a_call_of_a_prerendered_page_is_a_call,
    a_page_that_its_pod_says_is_of_another_release_is_not_pinned_to_the_one_asked,
    a_call_without_a_version_is_not_answered_by_what_an_earlier_current_gave,
    of_nine_applications_under_one_name_each_gets_its_own_back,
];

const CLIENT: (&str, &str) = ("x-bundle-version", "1.4.2");
const CACHEABLE: (&str, &str) = ("cache-control", "public, max-age=600");

fn with<'a>(load: Load, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut headers = chrome(load);
    headers.extend(more);
    headers
}

async fn gateway<'l>(lab: &'l Lab, name: &str, keys: Value) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&shop(keys))?
        .open(lab)
        .await
}

/// One whose application answers as it is told.
async fn told<'l>(lab: &'l Lab, name: &str, keys: Value) -> Result<Gateway<'l>> {
    let spec = Spec::of(lab, name)?.configured(&shop(keys))?;
    spec.one_route_to("application").open(lab).await
}

/// 1.3.0 has a cluster without pods.
fn with_vanished() -> Value {
    json!([
        { "version": "2.0.0", "route": "v2-0-0" },
        { "version": "1.3.0", "route": "v1-3-0", "state": "draining" },
    ])
}

/// The second gateway finds no pod, and makes the reload answer; the first only sees an upstream's answer.
async fn of_two_gateways_in_a_row_the_first_does_not_soften_what_the_second_says(
    lab: &Lab,
) -> Result<()> {
    let first = told(lab, "first-of-two", json!({ "releases": with_vanished() })).await?;
    let second = answer_of(
        409,
        &[
            ("content-type", "application/json"),
            ("x-client-update", "required"),
            ("x-client-current", "2.0.0"),
        ],
        r#"{"error":"client_outdated"}"#,
    );
    let call = with(Load::Fetch, &[("x-bundle-version", "1.3.0")]);
    let answer = first.get_answered(&second, "/api/cart", &call).await?;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.values("x-client-update"), ["required"]);
    Ok(())
}

async fn after_a_change_of_scope_a_syntax_error_leaves_the_last_good_one_in_force(
    lab: &Lab,
) -> Result<()> {
    let one = json!({ "hosts": ["shop.example.com"] });
    let mut gateway = gateway(lab, "scope-then-syntax", one).await?;
    let forged = [("host", "shop.example.com"), ("x-release", "v1-4-2")];
    assert_eq!(gateway.received(&forged).await?.release(), "2.0.0");
    let two = shop(json!({ "hosts": ["shop.example.com", "www.shop.example.com"] }));
    gateway.configure(&two).await?;
    assert_eq!(gateway.received(&forged).await?.release(), "2.0.0");
    gateway.configure_by_text("{ \"hosts\": [").await?;
    assert_eq!(gateway.received(&forged).await?.release(), "2.0.0");
    Ok(())
}

async fn a_typo_does_not_install_the_policy_of_another_application(lab: &Lab) -> Result<()> {
    let named = |listener| {
        Ok::<_, anyhow::Error>(Spec::of(lab, listener)?.plugin(|plugin| plugin.named("shared")))
    };
    let hosts = json!(["shop.example.com"]);
    let mut shop_gateway = named("shared-by-shop")?
        .configured(&shop(json!({ "hosts": hosts })))?
        .open(lab)
        .await?;
    let _wiki = named("shared-by-wiki")?
        .configured(&shop(json!({ "current": "1.4.2" })))?
        .open(lab)
        .await?;
    let page = [("host", "shop.example.com")];
    assert_eq!(shop_gateway.received(&page).await?.release(), "2.0.0");
    let typo = shop(json!({ "hosts": hosts, "curent": "2.0.0" }));
    shop_gateway.configure(&typo).await?;
    assert_eq!(shop_gateway.received(&page).await?.release(), "2.0.0");
    Ok(())
}

async fn what_a_header_chose_is_not_kept_under_a_url_that_names_another_version(
    lab: &Lab,
) -> Result<()> {
    let sources = json!([{ "header": "x-bundle-version" }, { "path": "/assets/v-{version}/" }]);
    let gateway = told(lab, "poisoned-path", json!({ "sources": sources })).await?;
    its_answer_is_kept_by_nobody(&gateway, "/assets/v-2.0.0/main.js", Load::Fetch).await
}

async fn what_a_header_chose_is_not_kept_under_a_query_that_names_another_version(
    lab: &Lab,
) -> Result<()> {
    let gateway = told(lab, "poisoned-query", json!({})).await?;
    its_answer_is_kept_by_nobody(&gateway, "/main.js?dpl=2.0.0", Load::Script).await
}

/// A cache that ignores `Vary` would give it to pages of 2.0.0.
async fn its_answer_is_kept_by_nobody(gateway: &Gateway<'_>, path: &str, load: Load) -> Result<()> {
    let file = answer_of(
        200,
        &[("content-type", "text/javascript"), CACHEABLE],
        "of 1.4.2",
    );
    let request = with(load, &[CLIENT]);
    let answer = gateway.get_answered(&file, path, &request).await?;
    assert_eq!(answer.values("cache-control"), ["private, no-store"]);
    Ok(())
}

async fn with_a_pin_cookie_what_came_without_one_is_not_for_all(lab: &Lab) -> Result<()> {
    let gateway = told(lab, "no-pin-yet", json!({ "pinCookie": { "name": "pin" } })).await?;
    it_is_private(&gateway).await
}

async fn with_a_cookie_source_what_came_without_one_is_not_for_all(lab: &Lab) -> Result<()> {
    let sources = json!([{ "header": "x-bundle-version" }, { "cookie": "version" }]);
    it_is_private(&told(lab, "no-cookie-yet", json!({ "sources": sources })).await?).await
}

/// A robot without cookies asks first, and a shared cache keeps current's file for who is pinned to 1.4.2.
async fn it_is_private(gateway: &Gateway<'_>) -> Result<()> {
    let file = answer_of(
        200,
        &[("content-type", "text/javascript"), CACHEABLE],
        "of 2.0.0",
    );
    let answer = gateway
        .get_answered(&file, "/main.js", &chrome(Load::Script))
        .await?;
    assert_eq!(answer.values("cache-control"), ["private, max-age=600"]);
    Ok(())
}

/// Where the preflight fails, the browser never makes the request that would be told to reload.
async fn a_preflight_of_a_vanished_release_does_not_hide_the_reload_answer(
    lab: &Lab,
) -> Result<()> {
    let keys = json!({
        "releases": with_vanished(),
        "cors": { "allowOrigins": ["https://app.example.com"] },
    });
    let gateway = gateway(lab, "vanished-preflight", keys).await?;
    let preflight = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "PUT"),
    ];
    let path = "/api/cart?dpl=1.3.0";
    let answer = gateway.request("PUT", path, &preflight[..1]).await?;
    assert_eq!(answer.values("x-client-update"), ["required"]);
    let answer = gateway.request("OPTIONS", path, &preflight).await?;
    assert!(answer.status < 300, "{answer:?}");
    Ok(())
}

/// README, rule 2: "a request with a version header is neither a preflight nor a navigation".
async fn a_version_header_is_no_navigation_wherever_its_source_stands(lab: &Lab) -> Result<()> {
    let sources = json!([{ "query": "dpl" }, { "header": "x-bundle-version" }]);
    let gateway = gateway(lab, "header-second", json!({ "sources": sources })).await?;
    // A fragment of a page, fetched on plain http.
    let received = gateway.received(&[CLIENT, ("accept", "text/html")]).await?;
    assert_eq!(received.release(), "1.4.2");
    Ok(())
}

/// The back end takes `//api` for `/api`, as nginx does.
async fn a_doubled_slash_does_not_leave_the_scope(lab: &Lab) -> Result<()> {
    let spec = Spec::of(lab, "doubled-slash")?.configured(&shop(json!({ "paths": ["/api"] })))?;
    let gateway = spec
        .routes(release_routes(
            &["v2-0-0", "v1-4-2"],
            |route| format!("shop-{route}"),
            "shop-v2-0-0",
        ))
        .open(lab)
        .await?;
    for path in ["/api/cart", "//api/cart", "///api//cart"] {
        let answer = gateway.get(path, &[("x-release", "v1-4-2")]).await?;
        assert_eq!(
            answer.value("x-app-version").as_deref(),
            Some("2.0.0"),
            "{path}"
        );
    }
    Ok(())
}

/// `<a href="/assets/v-1.4.2/manual.pdf" target=_blank>` on a page of 1.4.2, as Vite and webpack write it.
async fn a_versioned_file_opened_in_a_tab_is_of_its_version(lab: &Lab) -> Result<()> {
    let sources = json!([{ "header": "x-bundle-version" }, { "path": "/assets/v-{version}/" }]);
    let gateway = gateway(lab, "file-in-a-tab", json!({ "sources": sources })).await?;
    let path = "/assets/v-1.4.2/manual.pdf";
    let answer = gateway.get(path, &chrome(Load::Navigation)).await?;
    assert_eq!(answer.value("x-app-version").as_deref(), Some("1.4.2"));
    Ok(())
}

/// The gateway behind this one has the neighbouring configuration still, where 1.4.2 is current; `upstreamVersion` tells.
async fn a_page_that_its_pod_says_is_of_another_release_is_not_pinned_to_the_one_asked(
    lab: &Lab,
) -> Result<()> {
    let keys = json!({
        "pinCookie": { "name": "pin" },
        "upstreamVersion": { "responseHeader": "x-app-version" },
    });
    let gateway = told(lab, "pin-beside-the-pod", keys).await?;
    let page = answer_of(
        200,
        &[("content-type", "text/html"), ("x-app-version", "1.4.2")],
        "<!doctype html>",
    );
    let visitor = with(Load::Navigation, &[("cookie", "pin=1.4.2")]);
    let answer = gateway.get_answered(&page, "/", &visitor).await?;
    let cookies = answer.values("set-cookie").join("\n");
    assert!(!cookies.contains("2.0.0"), "a page of 1.4.2 with {cookies}");
    Ok(())
}

/// The page of 2.0.0 asks again for what it has from when 1.4.2 was current, and both share the ETag.
async fn a_call_without_a_version_is_not_answered_by_what_an_earlier_current_gave(
    lab: &Lab,
) -> Result<()> {
    let gateway = gateway(lab, "unversioned-condition", json!({})).await?;
    let again = with(Load::Fetch, &[("if-none-match", "\"row-7\"")]);
    let received = gateway.received(&again).await?;
    assert_eq!(received.lines("if-none-match"), [""; 0]);
    Ok(())
}

async fn of_nine_applications_under_one_name_each_gets_its_own_back(lab: &Lab) -> Result<()> {
    let keys = |number: usize| json!({ "hosts": [format!("app-{number}.example.com")], "routeHeader": format!("x-app-{number}") });
    let mut gateways = Vec::new();
    for number in 0..9 {
        let spec = Spec::of(lab, &format!("nine-{number}"))?.plugin(|plugin| plugin.named("nine"));
        let spec = spec.configured(&shop(keys(number)))?;
        gateways.push(spec.one_route_to("shop").open(lab).await?);
    }
    let mut wrong = shop(keys(0));
    wrong["curent"] = json!("2.0.0");
    let first = &mut gateways[0];
    first.configure(&wrong).await?;
    let received = first.received(&[("host", "app-0.example.com")]).await?;
    assert_eq!(received.lines("x-app-0"), ["v2-0-0"]);
    Ok(())
}

/// Chromium sends `sec-purpose` with every request of a page that it renders ahead, `fetch` among them.
const PRERENDERED: (&str, &str) = ("sec-purpose", "prefetch;prerender");

async fn a_call_of_a_prerendered_page_keeps_the_html_that_it_asked_for(lab: &Lab) -> Result<()> {
    let gateway = told(lab, "prerendered-fragment", json!({})).await?;
    let fragment = answer_of(200, &[("content-type", "text/html")], "<p>a fragment");
    let call = with(Load::Fetch, &[("x-bundle-version", "2.0.0"), PRERENDERED]);
    let answer = gateway.get_answered(&fragment, "/fragment", &call).await?;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "<p>a fragment")
    );
    Ok(())
}

async fn a_call_of_a_prerendered_page_is_a_call(lab: &Lab) -> Result<()> {
    let releases = json!([
        { "version": "2.0.0", "route": "v2-0-0", "accepts": ["1.9.*"] },
        { "version": "1.3.0", "state": "retired" },
    ]);
    let gateway = gateway(lab, "prerendered-call", json!({ "releases": releases })).await?;
    let mut statuses = Vec::new();
    for version in ["2.0.0", "1.9.3", "1.3.0"] {
        let call = with(Load::Fetch, &[("x-bundle-version", version), PRERENDERED]);
        statuses.push((version, gateway.get("/api/cart", &call).await?.status));
    }
    assert_eq!(statuses, [("2.0.0", 200), ("1.9.3", 200), ("1.3.0", 409)]);
    Ok(())
}
