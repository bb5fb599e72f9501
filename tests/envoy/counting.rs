//! What an operator can read off: counters and gauges, by release, outcome and class.

use anyhow::Result;
use serde_json::json;

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    each_request_is_counted_by_release_outcome_and_class,
    a_client_cannot_make_time_series,
    the_revision_in_force_is_shown_by_plugin,
];

const REQUESTS: &str = "skew_guard_requests_total";

async fn each_request_is_counted_by_release_outcome_and_class(lab: &Lab) -> Result<()> {
    let configuration = shop(json!({
        "releases": [
            { "version": "2.0.0", "route": "counted-v2", "accepts": ["1.9.*"] },
            { "version": "1.4.2", "route": "counted-v1", "state": "draining" },
            { "version": "1.3.0", "state": "retired" },
        ],
        "unknownVersion": "current",
    }));
    let gateway = Spec::of(lab, "counted")?
        .configured(&configuration)?
        .one_route_to("shop")
        .open(lab)
        .await?;
    let fetch = [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
    let page = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let script = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")];
    let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    for (target, headers, release, outcome, class) in [
        (
            "/api/cart?dpl=1.4.2",
            fetch.as_slice(),
            "counted-v1",
            "pinned",
            "api",
        ),
        ("/api/cart?dpl=1.4.2", &[], "counted-v1", "pinned", "other"),
        ("/x.js?dpl=1.4.2", &script, "counted-v1", "pinned", "asset"),
        ("/x?dpl=1.4.2", &frame, "counted-v1", "pinned", "framed"),
        ("/x?dpl=1.4.2", &page, "counted-v2", "current", "navigation"),
        ("/x", &page, "counted-v2", "unversioned", "navigation"),
        ("/api/cart", &fetch, "counted-v2", "unversioned", "api"),
        ("/api/cart?dpl=%ff", &fetch, "counted-v2", "invalid", "api"),
        (
            "/api/cart?dpl=1.9.7",
            &fetch,
            "counted-v2",
            "compatible",
            "api",
        ),
        ("/api/cart?dpl=7.7", &fetch, "counted-v2", "unknown", "api"),
    ] {
        let labels = [("release", release), ("outcome", outcome), ("class", class)];
        let before = lab.metrics().await?.sum(REQUESTS, &labels);
        let all = lab.metrics().await?.sum(REQUESTS, &[("release", release)]);
        gateway.get(target, headers).await?;
        let after = lab.metrics().await?;
        assert_eq!(
            after.sum(REQUESTS, &labels),
            before + 1,
            "{target} {labels:?}"
        );
        let release = [("release", release)];
        assert_eq!(
            after.sum(REQUESTS, &release),
            all + 1,
            "{target} {labels:?}"
        );
    }
    Ok(())
}

async fn a_client_cannot_make_time_series(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "series")?.open(lab).await?;
    for version in ["6.6.6", "release=.=x;.;", "v2-0-0", "%00", "1.4.2\",x=\""] {
        gateway
            .get("/api/cart", &[("x-bundle-version", version)])
            .await?;
    }
    let metrics = lab.metrics().await?;
    for release in metrics.values(REQUESTS, &[], "release") {
        assert!(
            !["6.6.6", "x", "%00"].contains(&release),
            "a client made {release}"
        );
    }
    Ok(())
}

async fn the_revision_in_force_is_shown_by_plugin(lab: &Lab) -> Result<()> {
    let mut gateway = Spec::of(lab, "shown")?
        .configured(&shop(json!({ "revision": 41 })))?
        .open(lab)
        .await?;
    let shown = async || {
        let metrics = lab.metrics().await?;
        anyhow::Ok(metrics.sum("skew_guard_config_revision", &[("plugin", "shown")]))
    };
    assert_eq!(shown().await?, 41);
    gateway.configure(&shop(json!({ "revision": 42 }))).await?;
    assert_eq!(shown().await?, 42);
    gateway.configure(&shop(json!({}))).await?;
    assert_eq!(shown().await?, 0, "without a revision");
    Ok(())
}
