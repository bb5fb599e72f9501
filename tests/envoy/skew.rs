//! Skew as the filter counts it, compared with what the visitors count.

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::release_routes;
use skew_guard_lab::load::{LoadGenerator, Tally};

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    without_pinning_the_filter_and_the_visitors_count_the_same_skew,
    with_pinning_neither_the_filter_nor_the_visitors_count_any_skew,
    where_routes_and_pods_disagree_the_filter_counts_and_logs_the_skew,
];

/// All releases that have pods, with routes named after the gateway; without a version the mesh chooses.
fn all_releases(name: &str, enforce: bool) -> Value {
    let releases = ["2.1.0", "2.0.0", "1.4.2"];
    let releases =
        releases.map(|version| json!({ "version": version, "route": format!("{name}.{version}") }));
    json!({
        "sources": [{ "header": "x-bundle-version" }, { "path": "/assets/v-{version}/" }],
        "releases": releases,
        "upstreamVersion": { "responseHeader": "x-app-version" },
        "enforce": enforce,
    })
}

/// What a crowd of visitors counts at the gateway, and what the filter counts.
async fn counted(lab: &Lab, gateway: &Gateway<'_>) -> Result<(Tally, u64)> {
    let load = LoadGenerator::at(gateway.address()).visitors(6).start()?;
    load.answers(1_500).await?;
    let tally = load.stop().await;
    let metrics = lab.metrics().await?;
    let seen = ["2.1.0", "2.0.0", "1.4.2"].map(|version| {
        let route = format!("{}.{version}", gateway.name());
        let labels = [("release", route.as_str()), ("answer", "skewed")];
        metrics.sum("skew_guard_answers_total", &labels)
    });
    Ok((tally, seen.into_iter().sum()))
}

async fn without_pinning_the_filter_and_the_visitors_count_the_same_skew(lab: &Lab) -> Result<()> {
    let name = "skew-plain";
    let gateway = Spec::of(lab, name)?
        .configured(&all_releases(name, false))?
        .one_route_to("shop")
        .open(lab)
        .await?;
    let (tally, seen) = counted(lab, &gateway).await?;
    assert!(tally.skewed > 100, "{tally:?}");
    assert_eq!(seen, tally.skewed, "{tally:?}");
    Ok(())
}

fn routes(name: &str, cluster_of: impl Fn(&str) -> &str) -> Vec<Value> {
    let routes = ["2.1.0", "2.0.0", "1.4.2"].map(|version| format!("{name}.{version}"));
    let routes = routes.each_ref().map(String::as_str);
    let cluster = |route: &str| {
        let version = route.trim_start_matches(name).trim_start_matches('.');
        format!("shop-{}", cluster_of(version))
    };
    release_routes(&routes, cluster, "shop")
}

async fn with_pinning_neither_the_filter_nor_the_visitors_count_any_skew(lab: &Lab) -> Result<()> {
    let name = "skew-pinned";
    let gateway = Spec::of(lab, name)?
        .configured(&all_releases(name, true))?
        .routes(routes(name, |version| match version {
            "2.1.0" => "v2-1-0",
            "2.0.0" => "v2-0-0",
            _ => "v1-4-2",
        }))
        .open(lab)
        .await?;
    let (tally, seen) = counted(lab, &gateway).await?;
    assert_eq!((seen, tally.skewed, tally.failed), (0, 0, 0), "{tally:?}");
    assert!(tally.requests >= 1_500);
    Ok(())
}

async fn where_routes_and_pods_disagree_the_filter_counts_and_logs_the_skew(
    lab: &Lab,
) -> Result<()> {
    let name = "skew-mislabelled";
    let gateway = Spec::of(lab, name)?
        .configured(&all_releases(name, true))?
        .routes(routes(name, |version| match version {
            "2.1.0" => "v2-1-0",
            // Somebody gave the pods of 2.0.0 the label of 1.4.2.
            _ => "v2-0-0",
        }))
        .open(lab)
        .await?;
    let (tally, seen) = counted(lab, &gateway).await?;
    // A script that the pod lacks becomes 404, which tells a page to reload; the filter counts the answer that it
    // replaced.
    assert!(seen > 0, "{tally:?}");
    assert_eq!(seen, tally.skewed + tally.told_to_reload, "{tally:?}");
    let log = lab.envoy().log();
    let said = format!(
        "skew-guard {name}: skewed: version 1.4.2 was asked for (route {name}.1.4.2), and a pod of 2.0.0 answered"
    );
    let lines = u64::try_from(log.matches(&said).count())?;
    let seconds = tally.elapsed.as_secs() + 2;
    assert!(lines > 0, "{log}");
    assert!(
        lines <= seconds * 2,
        "{lines} lines of two workers in {seconds} seconds"
    );
    Ok(())
}
