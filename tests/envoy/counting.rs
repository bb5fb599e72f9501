//! What an operator can read: what makes no time series, and the revision in force.

use anyhow::Result;
use serde_json::json;

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    a_client_cannot_make_time_series,
    the_revision_in_force_is_shown_by_plugin,
];

const REQUESTS: &str = "skew_guard_requests_total";

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
            "a client added {release}"
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
