//! How Envoy's own failures are told from an upstream's answers, whatever they contain.

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::release_routes;
use skew_guard_lab::http::RawAnswer;

use crate::application::answer_of;
use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec, shop};
use crate::http_2;
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    headers_that_a_route_adds_hide_no_failure,
    a_local_reply_mapped_by_the_operator_hides_no_failure,
    headers_that_a_filter_behind_ours_adds_hide_no_failure,
    grpc_with_more_headers_than_a_failure_has_is_told_to_reload,
    a_router_that_suppresses_its_headers_hides_no_failure,
    envoys_own_filters_behind_ours_still_apply,
    an_upstreams_503_is_passed_on_where_the_router_suppresses_its_headers,
];

/// 1.3.0 has a cluster without pods, 1.1.0 has no route.
fn releases() -> Value {
    shop(json!({ "releases": [
        { "version": "2.0.0", "route": "v2-0-0" },
        { "version": "1.3.0", "route": "v1-3-0", "state": "draining" },
        { "version": "1.1.0", "route": "v1-1-0", "state": "draining" },
    ] }))
}

fn spec(lab: &Lab, name: &str) -> Result<Spec> {
    Spec::of(lab, name)?.configured(&releases())
}

const WITHOUT_PODS: (&str, &str) = ("x-bundle-version", "1.3.0");
const WITHOUT_ROUTE: (&str, &str) = ("x-bundle-version", "1.1.0");

/// As a site adds them to all of its answers.
fn security_headers() -> Value {
    let header = |name: &str| json!({ "header": { "key": name, "value": "as-the-operator-says" } });
    json!([
        header("content-security-policy"),
        header("cross-origin-opener-policy"),
        header("permissions-policy"),
        header("referrer-policy"),
        header("server"),
        header("strict-transport-security"),
        header("via"),
        header("x-content-type-options"),
        header("x-frame-options"),
    ])
}

#[track_caller]
fn assert_told_to_reload(answer: &RawAnswer) {
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(answer.values("x-client-update"), ["required"]);
}

async fn both_are_told_to_reload(gateway: &Gateway<'_>) -> Result<RawAnswer> {
    assert_told_to_reload(&gateway.get("/api/cart", &[WITHOUT_ROUTE]).await?);
    let answer = gateway.get("/api/cart", &[WITHOUT_PODS]).await?;
    assert_told_to_reload(&answer);
    Ok(answer)
}

async fn headers_that_a_route_adds_hide_no_failure(lab: &Lab) -> Result<()> {
    let gateway = spec(lab, "added-by-the-route")?
        .on_each_route("response_headers_to_add", &security_headers())
        .open(lab)
        .await?;
    both_are_told_to_reload(&gateway).await?;
    Ok(())
}

async fn a_local_reply_mapped_by_the_operator_hides_no_failure(lab: &Lab) -> Result<()> {
    let mapper = json!({
        "filter": { "status_code_filter": { "comparison": {
            "op": "GE",
            "value": { "default_value": 500, "runtime_key": "none" },
        } } },
        "headers_to_add": security_headers(),
        "body_format_override": { "json_format": { "problem": "%RESPONSE_CODE%" } },
        "status_code": 502,
    });
    let gateway = spec(lab, "mapped-local-reply")?
        .manager("local_reply_config", json!({ "mappers": [mapper] }))
        .open(lab)
        .await?;
    both_are_told_to_reload(&gateway).await?;
    Ok(())
}

async fn headers_that_a_filter_behind_ours_adds_hide_no_failure(lab: &Lab) -> Result<()> {
    let mutations = security_headers()
        .as_array()
        .into_iter()
        .flatten()
        .map(|header| json!({ "append": header }))
        .collect::<Vec<_>>();
    let adding = json!({
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": { "response_mutations": mutations },
        },
    });
    let gateway = spec(lab, "added-by-a-filter")?
        .and_filter(adding)
        .open(lab)
        .await?;
    let answer = both_are_told_to_reload(&gateway).await?;
    assert_eq!(answer.values("x-frame-options"), ["as-the-operator-says"]);
    Ok(())
}

async fn grpc_with_more_headers_than_a_failure_has_is_told_to_reload(lab: &Lab) -> Result<()> {
    let gateway = spec(lab, "grpc-with-headers")?
        .on_each_route("response_headers_to_add", &security_headers())
        .open(lab)
        .await?;
    for (name, version) in [WITHOUT_PODS, WITHOUT_ROUTE] {
        let call = [
            ("content-type", &b"application/grpc"[..]),
            (name, version.as_bytes()),
        ];
        let answer = http_2::request(gateway.address(), "POST", "/shop.Cart/Get", &call).await?;
        assert_eq!(
            (answer.status, answer.values("grpc-status")),
            (200, vec!["9".to_owned()])
        );
        assert_eq!(answer.values("x-client-update"), ["required"]);
    }
    Ok(())
}

/// A router that does not say how long an upstream took.
fn silent_router() -> Value {
    json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": true,
        },
    })
}

async fn a_router_that_suppresses_its_headers_hides_no_failure(lab: &Lab) -> Result<()> {
    let gateway = spec(lab, "silent-router")?
        .router(silent_router())
        .open(lab)
        .await?;
    both_are_told_to_reload(&gateway).await?;
    Ok(())
}

async fn an_upstreams_503_is_passed_on_where_the_router_suppresses_its_headers(
    lab: &Lab,
) -> Result<()> {
    let gateway = spec(lab, "silent-503")?
        .one_route_to("application")
        .router(silent_router())
        .open(lab)
        .await?;
    let told = answer_of(503, &[], "mine");
    let answer = gateway
        .get_answered(&told, "/api/cart", &[WITHOUT_PODS])
        .await?;
    assert_eq!((answer.status, answer.text().as_str()), (503, "mine"));
    assert_eq!(answer.values("x-client-update"), ["available"]);
    Ok(())
}

/// CORS is not skipped as it would be by a reply from the response phase.
async fn envoys_own_filters_behind_ours_still_apply(lab: &Lab) -> Result<()> {
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
    let mut configuration = releases();
    configuration["cors"] = json!({ "allowOrigins": ["https://app.example.com"] });
    let gateway = Spec::of(lab, "no-pods-cors")?
        .configured(&configuration)?
        .routes(routes)
        .and_filter(cors)
        .open(lab)
        .await?;
    let headers = [WITHOUT_PODS, ("origin", "https://app.example.com")];
    let answer = gateway.get("/api/cart", &headers).await?;
    assert_told_to_reload(&answer);
    assert_eq!(
        answer.values("access-control-allow-origin"),
        ["https://app.example.com"]
    );
    Ok(())
}
