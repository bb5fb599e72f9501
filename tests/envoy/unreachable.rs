//! What becomes of Envoy's own failures: where it finds no pod, or no cluster, of a release.

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::release_routes;
use skew_guard_lab::http::{self, RawAnswer};

use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const ON_EVERY_ENVOY: &[Behaviour] = behaviours![
    a_release_without_pods_becomes_the_reload_answer_in_place,
    a_release_without_a_route_becomes_the_reload_answer_without_a_body,
    a_head_request_gets_no_body,
    grpc_keeps_its_status_200_and_says_failed_precondition,
    an_asset_becomes_404,
    an_outage_of_current_stays_one,
    an_upstreams_own_503_is_passed_on,
    a_connect_failure_stays_what_it_is,
    an_unrelated_services_outage_is_passed_on,
];

pub const ON_THE_NEWEST_ENVOY: &[Behaviour] = behaviours![
    the_filters_of_envoy_behind_ours_keep_their_say,
    a_cluster_of_several_releases_counts_where_it_is_named,
    a_named_route_without_its_cluster_becomes_the_reload_answer,
    without_current_the_first_live_release_is_an_outage_and_the_next_one_a_reload,
    a_page_keeps_envoys_answer_and_the_visitor_loses_the_pin,
    a_form_post_becomes_a_page,
    a_page_that_its_url_pins_is_led_to_the_url_without_the_version,
    a_frame_becomes_a_small_page,
    a_version_that_looks_like_a_port_is_no_part_of_anothers_cluster,
    what_became_a_reload_answer_is_counted_as_gone,
];

/// 1.3.0 has a cluster without pods, the pod of 1.2.0 refuses connections, 1.1.0 has no route.
fn releases() -> Value {
    json!([
        { "version": "2.0.0", "route": "v2-0-0" },
        { "version": "1.4.2", "route": "v1-4-2" },
        { "version": "1.3.0", "route": "v1-3-0", "state": "draining" },
        { "version": "1.2.0", "route": "v1-2-0", "state": "draining" },
        { "version": "1.1.0", "route": "v1-1-0", "state": "draining" },
    ])
}

async fn gateway<'l>(lab: &'l Lab, name: &str, keys: Value) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&with(keys))?
        .open(lab)
        .await
}

fn with(keys: Value) -> Value {
    let mut configuration = shop(keys);
    configuration["releases"] = releases();
    configuration
}

const WITHOUT_PODS: (&str, &str) = ("x-bundle-version", "1.3.0");
const WITHOUT_ROUTE: (&str, &str) = ("x-bundle-version", "1.1.0");

#[track_caller]
fn assert_reload(answer: &RawAnswer) {
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(answer.values("cache-control"), ["no-store"]);
    assert_eq!(answer.values("x-client-update"), ["required"]);
    assert_eq!(answer.values("x-client-current"), ["2.0.0"]);
    assert_eq!(
        answer.values("content-length"),
        [answer.body.len().to_string()]
    );
}

#[track_caller]
fn assert_envoys_own(answer: &RawAnswer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(
        !answer
            .values("x-client-update")
            .contains(&"required".to_owned())
    );
}

async fn a_release_without_pods_becomes_the_reload_answer_in_place(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "no-pods", json!({})).await?;
    let answer = gateway.get("/api/cart", &[WITHOUT_PODS]).await?;
    assert_reload(&answer);
    assert_eq!(answer.values("content-type"), ["application/json"]);
    assert_eq!(
        answer.text(),
        r#"{"error":"client_outdated","client":"1.3.0","current":"2.0.0"}"#
    );
    Ok(())
}

async fn a_release_without_a_route_becomes_the_reload_answer_without_a_body(
    lab: &Lab,
) -> Result<()> {
    let gateway = gateway(lab, "no-route", json!({})).await?;
    let answer = gateway.get("/api/cart", &[WITHOUT_ROUTE]).await?;
    assert_reload(&answer);
    assert_eq!(answer.text(), "");
    Ok(())
}

async fn a_head_request_gets_no_body(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "no-pods-head", json!({})).await?;
    let answer = gateway
        .request("HEAD", "/api/cart", &[WITHOUT_PODS])
        .await?;
    assert_eq!((answer.status, answer.text().as_str()), (409, ""));
    assert_eq!(answer.values("x-client-update"), ["required"]);
    Ok(())
}

async fn grpc_keeps_its_status_200_and_says_failed_precondition(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "no-pods-grpc", json!({})).await?;
    let client = http::client_http2()?;
    for version in [WITHOUT_PODS.1, WITHOUT_ROUTE.1] {
        let answer = client
            .post(format!("http://{}/shop.Cart/Get", gateway.address()))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-bundle-version", version)
            .send()
            .await?;
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .map(|value| value.as_bytes().to_vec())
        };
        assert_eq!(answer.status(), 200, "{version}");
        assert_eq!(header("grpc-status"), Some(b"9".to_vec()), "{version}");
        assert_eq!(
            header("x-client-update"),
            Some(b"required".to_vec()),
            "{version}"
        );
    }
    Ok(())
}

const SCRIPT: [(&str, &str); 2] = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")];

async fn an_asset_becomes_404(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "no-pods-asset", json!({})).await?;
    for version in [WITHOUT_PODS.1, WITHOUT_ROUTE.1] {
        let answer = gateway
            .get(&format!("/main.js?dpl={version}"), &SCRIPT)
            .await?;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (404, ""),
            "{version}"
        );
        assert_eq!(answer.values("cache-control"), ["no-store"]);
    }
    Ok(())
}

async fn an_outage_of_current_stays_one(lab: &Lab) -> Result<()> {
    let mut configuration = with(json!({ "current": "1.3.0" }));
    configuration["releases"][2] = json!({ "version": "1.3.0", "route": "v1-3-0" });
    let gateway = Spec::of(lab, "outage")?
        .configured(&configuration)?
        .open(lab)
        .await?;
    for headers in [&[WITHOUT_PODS][..], &[]] {
        let answer = gateway.get("/api/cart", headers).await?;
        assert_envoys_own(&answer);
        assert_eq!(answer.text(), "no healthy upstream");
    }
    Ok(())
}

async fn an_upstreams_own_503_is_passed_on(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "own-503", json!({})).await?;
    let answer = gateway
        .get("/api/status/503", &[("x-bundle-version", "1.4.2")])
        .await?;
    assert_envoys_own(&answer);
    assert_eq!(answer.value("x-app-version").as_deref(), Some("1.4.2"));
    assert!(answer.text().contains("503"));
    Ok(())
}

async fn a_connect_failure_stays_what_it_is(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "refused", json!({})).await?;
    let answer = gateway
        .get("/api/cart", &[("x-bundle-version", "1.2.0")])
        .await?;
    assert_envoys_own(&answer);
    Ok(())
}

async fn an_unrelated_services_outage_is_passed_on(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "unrelated")?
        .configured(&with(json!({})))?
        .one_route_to("catalog")
        .open(lab)
        .await?;
    let answer = gateway.get("/catalog", &[WITHOUT_PODS]).await?;
    assert_envoys_own(&answer);
    assert_eq!(answer.text(), "no healthy upstream");
    Ok(())
}

/// CORS is not skipped as it would be by a reply from the response phase.
async fn the_filters_of_envoy_behind_ours_keep_their_say(lab: &Lab) -> Result<()> {
    let cors = json!({
        "name": "envoy.filters.http.cors",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors" },
    });
    let policy = json!({
        "envoy.filters.http.cors": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
            "allow_origin_string_match": [{ "exact": "https://app.example.com" }],
        },
    });
    let mut routes = release_routes(&["v1-3-0"], |route| format!("shop-{route}"), "shop");
    for route in &mut routes {
        route["typed_per_filter_config"] = policy.clone();
    }
    let gateway = Spec::of(lab, "no-pods-cors")?
        .configured(&with(
            json!({ "cors": { "allowOrigins": ["https://app.example.com"] } }),
        ))?
        .routes(routes)
        .and_filter(cors)
        .open(lab)
        .await?;
    let headers = [WITHOUT_PODS, ("origin", "https://app.example.com")];
    let answer = gateway.get("/api/cart", &headers).await?;
    assert_reload(&answer);
    assert_eq!(
        answer.values("access-control-allow-origin"),
        ["https://app.example.com"]
    );
    Ok(())
}

async fn a_cluster_of_several_releases_counts_where_it_is_named(lab: &Lab) -> Result<()> {
    let mut gateway = Spec::of(lab, "one-cluster")?
        .configured(&with(json!({ "reload": { "clusters": ["catalog"] } })))?
        .one_route_to("catalog")
        .open(lab)
        .await?;
    assert_reload(&gateway.get("/api/cart", &[WITHOUT_PODS]).await?);
    gateway
        .configure(&with(json!({ "reload": { "clusters": ["another"] } })))
        .await?;
    assert_envoys_own(&gateway.get("/api/cart", &[WITHOUT_PODS]).await?);
    Ok(())
}

async fn a_named_route_without_its_cluster_becomes_the_reload_answer(lab: &Lab) -> Result<()> {
    for (name, route, is_the_releases) in [
        ("no-cluster", "v1-3-0|/api", true),
        ("no-cluster-other", "payments", false),
    ] {
        let routes = vec![json!({
            "name": route,
            "match": { "prefix": "/" },
            "route": { "cluster": "nowhere" },
        })];
        let gateway = Spec::of(lab, name)?
            .configured(&with(json!({})))?
            .routes(routes)
            .open(lab)
            .await?;
        let answer = gateway.get("/api/cart", &[WITHOUT_PODS]).await?;
        if is_the_releases {
            assert_reload(&answer);
        } else {
            assert_envoys_own(&answer);
        }
    }
    Ok(())
}

async fn without_current_the_first_live_release_is_an_outage_and_the_next_one_a_reload(
    lab: &Lab,
) -> Result<()> {
    let without_current = |first: &str, second: &str| {
        let release = |version: &str| json!({ "version": version, "route": format!("v{}", version.replace('.', "-")) });
        json!({ "releases": [release(first), release(second)] })
    };
    let mut gateway = Spec::of(lab, "plain-outage")?
        .configured(&without_current("1.3.0", "1.4.2"))?
        .open(lab)
        .await?;
    assert_envoys_own(&gateway.get("/api/cart", &[WITHOUT_PODS]).await?);
    gateway
        .configure(&without_current("1.4.2", "1.3.0"))
        .await?;
    let answer = gateway.get("/api/cart", &[WITHOUT_PODS]).await?;
    assert_eq!(
        (answer.status, answer.values("x-client-update")),
        (409, vec!["required".to_owned()])
    );
    assert!(answer.values("x-client-current").is_empty());
    Ok(())
}

async fn a_page_keeps_envoys_answer_and_the_visitor_loses_the_pin(lab: &Lab) -> Result<()> {
    let keys = json!({ "pinCookie": { "name": "pin" }, "pinnedNavigation": ["/checkout"] });
    let gateway = gateway(lab, "no-pods-page", keys).await?;
    let navigation = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("accept", "text/html"),
        ("cookie", "a=b; pin=00ff00ff~1.3.0"),
    ];
    let answer = gateway.get("/checkout", &navigation).await?;
    assert_envoys_own(&answer);
    assert_eq!(answer.text(), "no healthy upstream");
    assert_eq!(
        answer.values("set-cookie"),
        ["pin=; Max-Age=0; Path=/; SameSite=Lax; Secure; HttpOnly"]
    );
    Ok(())
}

async fn a_form_post_becomes_a_page(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "no-pods-form", json!({})).await?;
    let form = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-site", "same-origin"),
        ("accept", "text/html"),
    ];
    let answer = gateway.request("POST", "/order?dpl=1.3.0", &form).await?;
    assert_reload(&answer);
    assert_eq!(answer.values("content-type"), ["text/html; charset=utf-8"]);
    assert!(answer.text().starts_with("<!doctype html>"));
    Ok(())
}

async fn what_became_a_reload_answer_is_counted_as_gone(lab: &Lab) -> Result<()> {
    let count = async || {
        let labels = [("release", "v1-3-0"), ("sight", "gone")];
        anyhow::Ok(
            lab.metrics()
                .await?
                .sum("skew_guard_answers_total", &labels),
        )
    };
    let gateway = gateway(lab, "gone-counted", json!({})).await?;
    gateway.get("/api/cart", &[WITHOUT_PODS]).await?;
    let before = count().await?;
    gateway.get("/api/cart", &[WITHOUT_PODS]).await?;
    // Other behaviours may be counted meanwhile.
    assert!(count().await? > before);
    Ok(())
}

async fn a_page_that_its_url_pins_is_led_to_the_url_without_the_version(lab: &Lab) -> Result<()> {
    let pinned = json!({ "pinnedNavigation": ["/"], "sources": [
        { "query": "dpl" },
        { "path": "/v-{version}/" },
    ] });
    let gateway = gateway(lab, "no-pods-pinned-page", pinned).await?;
    let page = chrome(Load::Navigation);
    let answer = gateway.get("//cart?a=1&dpl=1.3.0&b=2", &page).await?;
    assert_eq!(answer.status, 303, "{answer:?}");
    assert_eq!(answer.values("location"), ["/cart?a=1&b=2"]);
    assert_eq!(answer.values("cache-control"), ["no-store"]);
    assert_eq!(answer.text(), "");
    let answer = gateway.get("/cart?dpl=1.1.0", &page).await?;
    assert_eq!(
        (answer.status, answer.values("location")),
        (303, vec!["/cart".to_owned()])
    );
    let by_path = gateway.get("/v-1.3.0/cart", &page).await?;
    assert_envoys_own(&by_path);
    Ok(())
}

async fn a_frame_becomes_a_small_page(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "no-pods-frame", json!({})).await?;
    let answer = gateway.get("/?dpl=1.3.0", &chrome(Load::Frame)).await?;
    assert_reload(&answer);
    assert_eq!(answer.values("content-type"), ["text/html; charset=utf-8"]);
    assert!(answer.text().contains("Please reload it"));
    Ok(())
}

/// The cluster of another service on port 8080, which a build number may look like.
async fn a_version_that_looks_like_a_port_is_no_part_of_anothers_cluster(lab: &Lab) -> Result<()> {
    let configuration = shop(json!({
        "releases": [
            { "version": "8081" },
            { "version": "8080", "state": "draining" },
        ],
        "current": "8081",
    }));
    let gateway = Spec::of(lab, "port-like-version")?
        .configured(&configuration)?
        .one_route_to("outbound|8080||payments.svc")
        .open(lab)
        .await?;
    let answer = gateway
        .get("/api/pay", &[("x-bundle-version", "8080")])
        .await?;
    assert_envoys_own(&answer);
    Ok(())
}
