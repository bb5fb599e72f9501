//! What caches are told, and what a client is told that there is a newer version for.

use anyhow::Result;
use serde_json::{Value, json};

use crate::application::answer_of;
use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{Header, Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    vary_names_the_header_sources_on_answers_to_calls,
    vary_repeats_nothing_and_leaves_a_star_alone,
    vary_can_be_switched_off,
    what_a_cookie_decided_is_for_one_visitor,
    what_weights_decided_is_for_one_visitor,
    a_file_of_another_version_than_its_url_names_is_kept_by_nobody,
    where_the_mesh_chooses_only_the_pods_word_lets_a_versioned_url_be_kept,
    an_upstreams_no_store_stays,
    headers_that_overrule_cache_control_go_with_it,
    a_stale_client_is_told_so,
    a_client_of_current_is_told_nothing,
    without_current_only_a_draining_client_is_stale,
    hints_are_exposed_to_other_origins_beside_what_is_exposed_already,
    hints_can_be_switched_off,
];

async fn gateway_of<'l>(lab: &'l Lab, name: &str, changes: Value) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&shop(changes))?
        .one_route_to("application")
        .open(lab)
        .await
}

fn with(mut headers: Vec<Header>, more: &[Header]) -> Vec<Header> {
    headers.extend(more);
    headers
}

fn told(headers: &[(&str, &str)]) -> String {
    let headers = [&[("content-type", "application/json")], headers].concat();
    answer_of(200, &headers, "{}")
}

const LONG: (&str, &str) = ("cache-control", "public, max-age=600, s-maxage=900");

async fn vary_names_the_header_sources_on_answers_to_calls(lab: &Lab) -> Result<()> {
    let sources = json!([
        { "header": "x-bundle-version" },
        { "query": "dpl" },
        { "header": "x-deployment-id" },
        { "baggage": "client-version" },
    ]);
    let gateway = gateway_of(lab, "vary", json!({ "sources": sources })).await?;
    let expected = ["x-bundle-version", "x-deployment-id", "baggage"];
    for more in [vec![], vec![("x-bundle-version", "1.4.2")]] {
        let call = with(chrome(Load::Fetch), &more);
        let answer = gateway.get_answered(&told(&[]), "/", &call).await?;
        assert_eq!(in_list(&answer.values("vary")), expected);
    }
    for load in [Load::Navigation, Load::Script, Load::Frame] {
        let answer = gateway.get_answered(&told(&[]), "/", &chrome(load)).await?;
        assert!(answer.values("vary").is_empty(), "{load:?}");
    }
    Ok(())
}

async fn vary_repeats_nothing_and_leaves_a_star_alone(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "vary-beside", json!({})).await?;
    let call = chrome(Load::Fetch);
    for (upstream, expected) in [
        (
            vec!["Origin"],
            vec!["Origin", "x-bundle-version", "x-deployment-id"],
        ),
        (
            vec!["Origin, X-Bundle-Version"],
            vec!["Origin", "X-Bundle-Version", "x-deployment-id"],
        ),
        (
            vec!["x-deployment-id", "Accept,x-bundle-version"],
            vec!["x-deployment-id", "Accept", "x-bundle-version"],
        ),
        (vec!["*"], vec!["*"]),
        (vec!["Origin", "*"], vec!["Origin", "*"]),
    ] {
        let lines: Vec<_> = upstream.iter().map(|line| ("vary", *line)).collect();
        let answer = gateway.get_answered(&told(&lines), "/", &call).await?;
        assert_eq!(in_list(&answer.values("vary")), expected, "{upstream:?}");
    }
    Ok(())
}

/// The members of a header that is a list, which may be in several lines.
fn in_list(lines: &[String]) -> Vec<&str> {
    let members = lines.iter().flat_map(|line| line.split(','));
    members.map(str::trim).collect()
}

async fn vary_can_be_switched_off(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "vary-off", json!({ "vary": false })).await?;
    let call = chrome(Load::Fetch);
    let answer = gateway.get_answered(&told(&[]), "/", &call).await?;
    assert!(answer.values("vary").is_empty());
    Ok(())
}

async fn what_a_cookie_decided_is_for_one_visitor(lab: &Lab) -> Result<()> {
    let sources = json!([{ "header": "x-bundle-version" }, { "cookie": "pin" }]);
    let gateway = gateway_of(lab, "by-cookie", json!({ "sources": sources })).await?;
    for (load, expected) in [
        (Load::Fetch, "private, no-cache"),
        (Load::Frame, "private, no-cache"),
        (Load::Script, "private, max-age=600"),
    ] {
        let pinned = with(chrome(load), &[("cookie", "pin=1.4.2")]);
        let answer = gateway.get_answered(&told(&[LONG]), "/", &pinned).await?;
        assert_eq!(answer.values("cache-control"), [expected], "{load:?}");

        let by_header = with(
            chrome(load),
            &[("cookie", "pin=1.4.2"), ("x-bundle-version", "2.0.0")],
        );
        let answer = gateway
            .get_answered(&told(&[LONG]), "/", &by_header)
            .await?;
        assert_eq!(answer.values("cache-control"), [LONG.1], "{load:?}");
    }
    Ok(())
}

async fn what_weights_decided_is_for_one_visitor(lab: &Lab) -> Result<()> {
    let weighted = json!({
        "current": [
            { "version": "2.0.0", "weight": 50 },
            { "version": "1.4.2", "weight": 50 },
        ],
        "pinCookie": { "name": "pin" },
    });
    let gateway = gateway_of(lab, "by-weights", weighted).await?;
    for (load, expected) in [
        (Load::Navigation, "private, no-cache"),
        (Load::Fetch, "private, no-cache"),
        (Load::Script, "private, max-age=600"),
    ] {
        let answer = gateway
            .get_answered(&told(&[LONG]), "/", &chrome(load))
            .await?;
        assert_eq!(answer.values("cache-control"), [expected], "{load:?}");
    }
    Ok(())
}

async fn a_file_of_another_version_than_its_url_names_is_kept_by_nobody(lab: &Lab) -> Result<()> {
    let to_current = json!({ "unknownVersion": "current" });
    let gateway = gateway_of(lab, "too-early", to_current).await?;
    let script = chrome(Load::Script);
    for (path, expected) in [
        ("/main.js?dpl=2.1.0", "private, no-store"),
        ("/main.js?dpl=2.0.0", LONG.1),
        ("/main.js", LONG.1),
    ] {
        let answer = gateway.get_answered(&told(&[LONG]), path, &script).await?;
        assert_eq!(answer.values("cache-control"), [expected], "{path}");
    }
    Ok(())
}

async fn where_the_mesh_chooses_only_the_pods_word_lets_a_versioned_url_be_kept(
    lab: &Lab,
) -> Result<()> {
    let mesh = json!({
        "current": null,
        "upstreamVersion": { "responseHeader": "x-app-version" },
    });
    let gateway = gateway_of(lab, "unlisted", mesh).await?;
    let script = chrome(Load::Script);
    for (pod, expected) in [("2.1.0", LONG.1), ("2.0.0", "private, no-store")] {
        let told = told(&[LONG, ("x-app-version", pod)]);
        let answer = gateway.get_answered(&told, "/main.js?dpl=2.1.0", &script);
        assert_eq!(answer.await?.values("cache-control"), [expected], "{pod}");
    }
    Ok(())
}

async fn an_upstreams_no_store_stays(lab: &Lab) -> Result<()> {
    let sources = json!([{ "cookie": "pin" }]);
    let gateway = gateway_of(lab, "no-store", json!({ "sources": sources })).await?;
    for load in [Load::Fetch, Load::Script] {
        let pinned = with(chrome(load), &[("cookie", "pin=1.4.2")]);
        let told = told(&[("cache-control", "no-store")]);
        let answer = gateway.get_answered(&told, "/", &pinned).await?;
        assert_eq!(answer.values("cache-control"), ["no-store"], "{load:?}");
    }
    Ok(())
}

/// RFC 9213: a cache that obeys them does not look at `cache-control`.
async fn headers_that_overrule_cache_control_go_with_it(lab: &Lab) -> Result<()> {
    let sources = json!([{ "cookie": "pin" }]);
    let gateway = gateway_of(lab, "overruling", json!({ "sources": sources })).await?;
    let overruling = [
        ("cdn-cache-control", "max-age=600"),
        ("surrogate-control", "max-age=600"),
    ];
    let pinned = with(chrome(Load::Fetch), &[("cookie", "pin=1.4.2")]);
    let answer = gateway
        .get_answered(&told(&overruling), "/", &pinned)
        .await?;
    for (name, _) in overruling {
        assert_eq!(answer.value(name), None, "{name}");
    }
    let gateway = gateway_of(lab, "not-overruling", json!({})).await?;
    let named = with(chrome(Load::Fetch), &[("x-bundle-version", "1.4.2")]);
    let answer = gateway
        .get_answered(&told(&overruling), "/", &named)
        .await?;
    for (name, value) in overruling {
        assert_eq!(answer.values(name), [value], "{name}");
    }
    Ok(())
}

/// Three releases: the current one, one beside it, and one that drains.
fn three(current: Value) -> Value {
    json!({
        "releases": [
            { "version": "2.0.0", "route": "v2-0-0", "accepts": ["1.9.*"] },
            { "version": "1.5.0", "route": "v1-5-0" },
            { "version": "1.4.2", "route": "v1-4-2", "state": "draining" },
        ],
        "current": current,
        "unknownVersion": "auto",
    })
}

async fn a_stale_client_is_told_so(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "stale", three(json!("2.0.0"))).await?;
    for version in ["1.4.2", "1.5.0", "1.9.3"] {
        let call = with(chrome(Load::Fetch), &[("x-bundle-version", version)]);
        let answer = gateway.get_answered(&told(&[]), "/", &call).await?;
        assert_eq!(answer.values("x-client-update"), ["available"], "{version}");
        assert_eq!(answer.values("x-client-current"), ["2.0.0"], "{version}");
    }
    let script = chrome(Load::Script);
    let answer = gateway
        .get_answered(&told(&[]), "/a.js?dpl=1.4.2", &script)
        .await?;
    assert_eq!(answer.value("x-client-update"), None, "a script");
    Ok(())
}

async fn a_client_of_current_is_told_nothing(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "not-stale", three(json!("2.0.0"))).await?;
    for more in [vec![], vec![("x-bundle-version", "2.0.0")]] {
        let call = with(chrome(Load::Fetch), &more);
        let answer = gateway.get_answered(&told(&[]), "/", &call).await?;
        assert_eq!(answer.value("x-client-update"), None);
        assert_eq!(answer.value("x-client-current"), None);
        assert_eq!(answer.value("access-control-expose-headers"), None);
    }
    let page = chrome(Load::Navigation);
    let answer = gateway
        .get_answered(&told(&[]), "/?dpl=1.4.2", &page)
        .await?;
    assert_eq!(answer.value("x-client-update"), None, "a page is new");
    Ok(())
}

async fn without_current_only_a_draining_client_is_stale(lab: &Lab) -> Result<()> {
    let gateway = gateway_of(lab, "stale-mesh", three(Value::Null)).await?;
    for (version, expected) in [
        ("2.0.0", None),
        ("1.5.0", None),
        ("1.4.2", Some("available")),
    ] {
        let call = with(chrome(Load::Fetch), &[("x-bundle-version", version)]);
        let answer = gateway.get_answered(&told(&[]), "/", &call).await?;
        assert_eq!(
            answer.value("x-client-update").as_deref(),
            expected,
            "{version}"
        );
        assert_eq!(answer.value("x-client-current"), None, "{version}");
    }
    Ok(())
}

async fn hints_are_exposed_to_other_origins_beside_what_is_exposed_already(
    lab: &Lab,
) -> Result<()> {
    let gateway = gateway_of(lab, "exposed", three(json!("2.0.0"))).await?;
    let exposing = "access-control-expose-headers";
    let call = with(
        chrome(Load::Fetch),
        &[
            ("x-bundle-version", "1.4.2"),
            ("origin", "https://app.example.com"),
        ],
    );
    for (upstream, expected) in [
        (vec![], vec!["x-client-update", "x-client-current"]),
        (
            vec![(exposing, "x-total")],
            vec!["x-total", "x-client-update", "x-client-current"],
        ),
        (
            vec![(exposing, "X-Client-Update")],
            vec!["X-Client-Update", "x-client-current"],
        ),
    ] {
        let answer = gateway.get_answered(&told(&upstream), "/", &call).await?;
        assert_eq!(in_list(&answer.values(exposing)), expected, "{upstream:?}");
    }
    Ok(())
}

async fn hints_can_be_switched_off(lab: &Lab) -> Result<()> {
    let mut off = three(json!("2.0.0"));
    off["hints"] = json!(false);
    let gateway = gateway_of(lab, "hints-off", off).await?;
    let call = with(chrome(Load::Fetch), &[("x-bundle-version", "1.4.2")]);
    let answer = gateway.get_answered(&told(&[]), "/", &call).await?;
    assert_eq!(answer.value("x-client-update"), None);
    Ok(())
}
