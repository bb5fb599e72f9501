//! Which pods answer.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::json;
use skew_guard_lab::http;

use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    a_request_is_answered_by_every_pod_of_its_release_and_by_no_other,
    without_current_a_request_without_a_version_gets_any_pod_and_no_route,
    a_page_of_current_is_never_answered_with_not_modified,
    the_load_spreads_evenly_over_the_pods_of_a_release,
];

/// Enough requests to meet every pod, however the workers take turns.
const ENOUGH: usize = 300;

async fn a_request_is_answered_by_every_pod_of_its_release_and_by_no_other(
    lab: &Lab,
) -> Result<()> {
    let gateway = Spec::of(lab, "pinned")?.open(lab).await?;
    for version in ["2.0.0", "1.4.2"] {
        let answers = answers_by_pod(&gateway, &[("x-bundle-version", version)]).await?;
        assert_eq!(names(&answers), lab.pods_of(version).await?, "{version}");
    }
    Ok(())
}

async fn without_current_a_request_without_a_version_gets_any_pod_and_no_route(
    lab: &Lab,
) -> Result<()> {
    let gateway = Spec::of(lab, "no-current")?
        .configured(&shop(json!({ "current": null })))?
        .open(lab)
        .await?;
    assert!(gateway.received(&[]).await?.lines("x-release").is_empty());
    let answers = answers_by_pod(&gateway, &[]).await?;
    assert_eq!(answers.len(), 7, "every pod: {answers:?}");
    Ok(())
}

async fn a_page_of_current_is_never_answered_with_not_modified(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "not-modified")?.open(lab).await?;
    let page = chrome(Load::Navigation);
    let first = gateway.get("/", &page).await?;
    // The same in both releases: the files' time is fixed, and index.html keeps its length.
    let etag = first.value("etag").context("an ETag")?;
    let reload = [page.as_slice(), &[("if-none-match", &etag)]].concat();
    let again = gateway.get("/", &reload).await?;
    assert_eq!((again.status, again.text()), (200, first.text()));
    Ok(())
}

async fn the_load_spreads_evenly_over_the_pods_of_a_release(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "even")?.open(lab).await?;
    let answers = answers_by_pod(&gateway, &[("x-bundle-version", "1.4.2")]).await?;
    for (pod, share) in &answers {
        let even = ENOUGH / 3;
        assert!(
            share.abs_diff(even) <= even / 10,
            "{pod} answered {share} of {ENOUGH}: {answers:?}"
        );
    }
    Ok(())
}

/// Which pods answer many requests on kept connections.
async fn answers_by_pod(
    gateway: &Gateway<'_>,
    headers: &[(&str, &str)],
) -> Result<BTreeMap<String, usize>> {
    let client = http::client()?;
    let mut answers = BTreeMap::new();
    for _ in 0..ENOUGH {
        let mut request = client.get(format!("http://{}/api/cart", gateway.address()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let pod = answer.headers().get("x-pod").context("no pod answered")?;
        *answers.entry(pod.to_str()?.to_owned()).or_default() += 1;
        answer.bytes().await?;
    }
    Ok(answers)
}

fn names(answers: &BTreeMap<String, usize>) -> Vec<&str> {
    answers.keys().map(String::as_str).collect()
}
