//! What the filter sees without touching it: observing before it is switched on, and answers of the wrong release.

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::load::{Crowd, Tally};

use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    an_observer_changes_nothing_but_a_forged_route_header,
    an_observer_counts_by_class_who_says_a_version,
    skew_is_counted_as_the_load_counts_it_with_and_without_pinning,
    an_answer_of_the_wrong_release_is_not_changed,
    skew_is_logged_at_most_once_a_second,
];

async fn an_observer_changes_nothing_but_a_forged_route_header(lab: &Lab) -> Result<()> {
    let observing = shop(json!({
        "enforce": false,
        "denied": ["1.3.0"],
        "pinCookie": { "name": "pin" },
        "unknownVersion": "current",
    }));
    let gateway = Spec::of(lab, "observing")?
        .configured(&observing)?
        .open(lab)
        .await?;
    let page = [
        &chrome(Load::Navigation)[..],
        &[("if-none-match", "\"old\""), ("x-release", "v1-4-2")],
    ]
    .concat();
    let received = gateway.received(&page).await?;
    assert!(received.lines("x-release").is_empty());
    assert_eq!(received.lines("if-none-match"), ["\"old\""]);
    let denied = gateway
        .get("/api/cart", &[("x-bundle-version", "1.3.0")])
        .await?;
    assert_eq!(denied.status, 200);
    for name in ["vary", "set-cookie", "x-client-update", "x-client-current"] {
        assert!(denied.values(name).is_empty(), "{name}");
    }
    let script = gateway.get("/missing.js", &chrome(Load::Script)).await?;
    assert_eq!(
        (script.status, script.value("content-type").as_deref()),
        (200, Some("text/html; charset=utf-8"))
    );
    Ok(())
}

async fn an_observer_counts_by_class_who_says_a_version(lab: &Lab) -> Result<()> {
    // A release that no other behaviour has: the counters of one Envoy are everybody's.
    let observing = json!({
        "releases": [{ "version": "8.0.0", "route": "v8-observed" }],
        "current": "8.0.0",
        "enforce": false,
    });
    let gateway = Spec::of(lab, "coverage")?
        .configured(&observing)?
        .open(lab)
        .await?;
    let says = [&chrome(Load::Fetch)[..], &[("x-bundle-version", "8.0.0")]].concat();
    gateway.get("/api/cart", &says).await?;
    gateway.get("/api/cart", &chrome(Load::Fetch)).await?;
    gateway.get("/api/cart", &[]).await?;
    gateway.get("/", &chrome(Load::Navigation)).await?;
    let metrics = lab.metrics().await?;
    for (outcome, class) in [
        ("pinned", "api"),
        ("unversioned", "api"),
        ("unversioned", "other"),
        ("unversioned", "navigation"),
    ] {
        let labels = [
            ("release", "v8-observed"),
            ("outcome", outcome),
            ("class", class),
        ];
        assert_eq!(
            metrics.sum("skew_guard_requests_total", &labels),
            1,
            "{outcome} {class}"
        );
    }
    Ok(())
}

/// The releases whose pods the mesh has, which say their version. The oldest may have another route than the mesh knows.
fn named(old_route: &str, enforce: bool) -> Value {
    json!({
        "sources": [{ "header": "x-bundle-version" }, { "path": "/assets/v-{version}/" }],
        "releases": [
            { "version": "2.1.0", "route": "v2-1-0" },
            { "version": "2.0.0", "route": "v2-0-0" },
            { "version": "1.4.2", "route": old_route },
        ],
        "upstreamVersion": { "responseHeader": "x-app-version" },
        "enforce": enforce,
    })
}

async fn skewed(lab: &Lab) -> Result<u64> {
    let metrics = lab.metrics().await?;
    Ok(metrics.sum("skew_guard_answers_total", &[("sight", "skewed")]))
}

async fn visit(gateway: &Gateway<'_>) -> Result<Tally> {
    let load = Crowd::at(gateway.address()).visitors(6).start()?;
    load.answers(1500).await?;
    Ok(load.stop().await)
}

async fn skew_is_counted_as_the_load_counts_it_with_and_without_pinning(lab: &Lab) -> Result<()> {
    let own = lab.another(2, &[]).await?;
    let mut gateway = Spec::of(&own, "counting-skew")?
        .configured(&named("v1-4-2", false))?
        .open(&own)
        .await?;
    let watched = visit(&gateway).await?;
    assert!(watched.skewed > 0, "all pods answer everybody: {watched:?}");
    assert_eq!(skewed(&own).await?, watched.skewed);
    gateway.configure(&named("v1-4-2", true)).await?;
    let guarded = visit(&gateway).await?;
    assert_eq!(
        (guarded.skewed, guarded.failed),
        (0, 0),
        "{:#?}",
        guarded.examples
    );
    assert_eq!(skewed(&own).await?, watched.skewed, "and none more");
    Ok(())
}

/// Labels, routes and pods disagree: everything ends at pods of 2.0.0.
async fn mislabelled<'l>(lab: &'l Lab, name: &str) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&named("v1-4-2-mislabelled", true))?
        .one_route_to("shop-v2-0-0")
        .open(lab)
        .await
}

async fn an_answer_of_the_wrong_release_is_not_changed(lab: &Lab) -> Result<()> {
    let gateway = mislabelled(lab, "mislabelled").await?;
    let answer = gateway
        .get("/api/cart", &[("x-bundle-version", "1.4.2")])
        .await?;
    assert_eq!(
        (answer.status, answer.value("x-app-version").as_deref()),
        (200, Some("2.0.0"))
    );
    assert!(answer.text().contains("2.0.0"));
    let labels = [("release", "v1-4-2-mislabelled"), ("sight", "skewed")];
    assert!(
        lab.metrics()
            .await?
            .sum("skew_guard_answers_total", &labels)
            > 0
    );
    Ok(())
}

async fn skew_is_logged_at_most_once_a_second(lab: &Lab) -> Result<()> {
    let own = lab.another(1, &[]).await?;
    let gateway = mislabelled(&own, "logging-skew").await?;
    let started = std::time::Instant::now();
    for _ in 0..100 {
        gateway
            .get("/api/cart", &[("x-bundle-version", "1.4.2")])
            .await?;
    }
    let seconds = started.elapsed().as_secs() as usize;
    let log = own.envoy().log();
    let lines = log
        .lines()
        .filter(|line| line.contains("skewed: version 1.4.2 was asked for"))
        .count();
    // A second may begin and another end within the time.
    assert!(
        (1..=seconds + 2).contains(&lines),
        "{lines} lines in {seconds} s:\n{log}"
    );
    Ok(())
}
