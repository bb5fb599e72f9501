//! A wrong configuration never takes a site down.

use anyhow::Result;
use serde_json::{Value, json};

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec, Vms, shop};
use crate::lab::Lab;
use crate::metrics::Metrics;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    the_last_good_one_stays_in_force,
    the_last_good_one_stays_in_force_in_a_new_vm,
    the_next_good_one_is_taken,
    the_next_good_one_is_taken_in_a_new_vm,
    listeners_can_be_changed_and_added_afterwards,
    listeners_can_be_changed_and_added_afterwards_with_a_new_vm,
    a_start_with_a_wrong_one_passes_requests_through_without_a_forged_route,
    a_start_with_an_unreadable_scope_touches_nothing,
    after_a_start_with_a_wrong_one_the_next_good_one_is_taken,
    all_problems_are_logged_at_once,
];

/// As many as a gateway may well have: each has its own VM.
const WORKERS: u32 = 4;

/// Enough connections to meet every worker.
const CONNECTIONS: usize = 20;

/// What people and control planes get wrong.
fn wrong_ones() -> Vec<Value> {
    let texts = [
        r#"{"releases":[{"version":2.0}]}"#.to_owned(),
        shop(json!({ "curent": "2.0.0" })).to_string(),
        shop(json!({ "current": "3.0.0" })).to_string(),
        r#"{"releases":["#.to_owned(),
        "[]".to_owned(),
        "skew: guard".to_owned(),
        String::new(),
        "\0\u{fffd}".to_owned(),
        "[".repeat(100_000),
    ];
    let messages = texts.map(
        |text| json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text }),
    );
    let structured = json!({
        "@type": "type.googleapis.com/google.protobuf.Struct",
        "value": shop(json!({})),
    });
    messages.into_iter().chain([structured]).collect()
}

/// Whether every connection is answered by that release.
async fn assert_answered_by(gateway: &Gateway<'_>, release: &str, what: &str) -> Result<()> {
    for _ in 0..CONNECTIONS {
        let received = gateway.received(&[("x-release", "v2-1-0")]).await?;
        assert_eq!(received.release(), release, "{what}");
    }
    Ok(())
}

/// A gateway in its own Envoy, where the good configuration 7 is in force: all go to 1.4.2.
async fn guarded<'l>(lab: &'l Lab, name: &str, vms: Vms) -> Result<Gateway<'l>> {
    let good = shop(json!({ "current": "1.4.2", "revision": 7 }));
    let spec = Spec::of(lab, name)?.vms(vms).configured(&good)?;
    spec.open(lab).await
}

fn refused(metrics: &Metrics, plugin: &str) -> u64 {
    metrics.sum("skew_guard_config_refused", &[("plugin", plugin)])
}

fn revision(metrics: &Metrics, plugin: &str) -> u64 {
    metrics.sum("skew_guard_config_revision", &[("plugin", plugin)])
}

fn refusals(metrics: &Metrics, plugin: &str) -> u64 {
    metrics.sum("skew_guard_config_refusals_total", &[("plugin", plugin)])
}

async fn the_last_good_one_stays_in_force(lab: &Lab) -> Result<()> {
    stays_in_force(lab, Vms::Kept).await
}

async fn the_last_good_one_stays_in_force_in_a_new_vm(lab: &Lab) -> Result<()> {
    stays_in_force(lab, Vms::New).await
}

async fn stays_in_force(lab: &Lab, vms: Vms) -> Result<()> {
    let lab = lab.another(WORKERS, &[]).await?;
    let mut gateway = guarded(&lab, "kept", vms).await?;
    let mut counted = 0;
    for wrong in wrong_ones() {
        gateway.configure_by_message(&wrong).await?;
        let what: String = wrong.to_string().chars().take(200).collect();
        assert_answered_by(&gateway, "1.4.2", &what).await?;
        let metrics = lab.metrics().await?;
        assert_eq!(refused(&metrics, "kept"), 1, "{what}");
        assert_eq!(revision(&metrics, "kept"), 7, "{what}");
        let before = std::mem::replace(&mut counted, refusals(&metrics, "kept"));
        assert!(counted > before, "{what}");
    }
    Ok(())
}

async fn the_next_good_one_is_taken(lab: &Lab) -> Result<()> {
    next_is_taken(lab, Vms::Kept).await
}

async fn the_next_good_one_is_taken_in_a_new_vm(lab: &Lab) -> Result<()> {
    next_is_taken(lab, Vms::New).await
}

async fn next_is_taken(lab: &Lab, vms: Vms) -> Result<()> {
    let name = format!("next-{vms:?}");
    let mut gateway = guarded(lab, &name, vms).await?;
    gateway.configure_by_text("not JSON").await?;
    gateway
        .configure(&shop(json!({ "current": "2.0.0", "revision": 8 })))
        .await?;
    assert_answered_by(&gateway, "2.0.0", "the next good one").await?;
    let metrics = lab.metrics().await?;
    assert_eq!(
        (refused(&metrics, &name), revision(&metrics, &name)),
        (0, 8)
    );

    gateway.configure(&json!({ "releases": [] })).await?;
    assert_answered_by(&gateway, "2.0.0", "another wrong one").await
}

async fn listeners_can_be_changed_and_added_afterwards(lab: &Lab) -> Result<()> {
    can_change_listeners(lab, Vms::Kept).await
}

async fn listeners_can_be_changed_and_added_afterwards_with_a_new_vm(lab: &Lab) -> Result<()> {
    can_change_listeners(lab, Vms::New).await
}

async fn can_change_listeners(lab: &Lab, vms: Vms) -> Result<()> {
    let lab = lab.another(WORKERS, &[]).await?;
    let mut gateway = guarded(&lab, "first", vms).await?;
    gateway.configure(&json!({ "releases": [] })).await?;

    let second = Spec::of(&lab, "second")?.open(&lab).await?;
    assert_answered_by(&second, "2.0.0", "an added listener").await?;

    gateway.spec().answer_everything_with("changed");
    let changed = lab.listen(gateway.spec().listener()).await?;
    lab.wait_for_answer(changed, "changed").await
}

async fn a_start_with_a_wrong_one_passes_requests_through_without_a_forged_route(
    lab: &Lab,
) -> Result<()> {
    let wrong = shop(json!({
        "hosts": ["shop.example.com"],
        "paths": ["/api"],
        "routeHeader": "x-shop-release",
        "current": "3.0.0",
    }));
    let spec = Spec::of(lab, "restarted")?
        .configured(&wrong)?
        .one_route_to("shop");
    let lab = lab.another(WORKERS, &[&spec]).await?;
    let gateway = spec.opened(&lab).await?;
    let forged = [("X-Shop-Release", "v1-4-2"), ("x-shop-release", "v2-0-0")];
    for _ in 0..CONNECTIONS {
        let ours = [
            ("host", "shop.example.com:8080"),
            forged[0],
            forged[1],
            ("x-release", "theirs"),
        ];
        let received = gateway.received(&ours).await?;
        assert_eq!(received.lines("x-shop-release"), [""; 0]);
        assert_eq!(received.lines("x-release"), ["theirs"]);
    }
    let elsewhere = [("host", "wiki.example.com"), forged[0], forged[1]];
    let received = gateway.received(&elsewhere).await?;
    assert_eq!(received.lines("x-shop-release"), ["v1-4-2", "v2-0-0"]);

    let metrics = lab.metrics().await?;
    let requests = "skew_guard_requests_total";
    let unconfigured = [
        ("outcome", "unconfigured"),
        ("release", "none"),
        ("class", "other"),
    ];
    assert_eq!(metrics.sum(requests, &unconfigured), CONNECTIONS as u64);
    assert_eq!(metrics.sum(requests, &[]), CONNECTIONS as u64);
    assert_eq!(
        (
            refused(&metrics, "restarted"),
            revision(&metrics, "restarted")
        ),
        (1, 0)
    );
    Ok(())
}

async fn a_start_with_an_unreadable_scope_touches_nothing(lab: &Lab) -> Result<()> {
    for (number, wrong) in [
        "not JSON".to_owned(),
        String::new(),
        "[]".to_owned(),
        shop(json!({ "hosts": "shop.example.com" })).to_string(),
        shop(json!({ "hosts": [1] })).to_string(),
        shop(json!({ "paths": ["api"] })).to_string(),
        shop(json!({ "routeHeader": "x release" })).to_string(),
        shop(json!({ "routeHeader": "host" })).to_string(),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("unreadable-{number}");
        let gateway = Spec::of(lab, &name)?
            .configured_by_text(&wrong)?
            .one_route_to("shop")
            .open(lab)
            .await?;
        let headers = [
            ("host", "shop.example.com"),
            ("x-release", "v1-4-2"),
            ("X-Release", "v2-0-0"),
        ];
        let received = gateway.received(&headers).await?;
        assert_eq!(received.lines("x-release"), ["v1-4-2", "v2-0-0"], "{wrong}");
        assert_eq!(refused(&lab.metrics().await?, &name), 1, "{wrong}");
    }
    Ok(())
}

async fn after_a_start_with_a_wrong_one_the_next_good_one_is_taken(lab: &Lab) -> Result<()> {
    let spec = Spec::of(lab, "recovering")?.configured(&json!({ "releases": [] }))?;
    let lab = lab.another(WORKERS, &[&spec]).await?;
    let mut gateway = spec.opened(&lab).await?;
    assert!(gateway.received(&[]).await?.lines("x-release").is_empty());
    gateway
        .configure(&shop(json!({ "current": "1.4.2", "revision": 3 })))
        .await?;
    assert_answered_by(&gateway, "1.4.2", "the good one").await?;
    let metrics = lab.metrics().await?;
    assert_eq!(
        (
            refused(&metrics, "recovering"),
            revision(&metrics, "recovering")
        ),
        (0, 3)
    );
    Ok(())
}

async fn all_problems_are_logged_at_once(lab: &Lab) -> Result<()> {
    let wrong = json!({
        "releases": [{ "version": 2.1, "route": "v2 1" }],
        "curent": "2.1",
    });
    Spec::of(lab, "explained")?
        .configured(&wrong)?
        .open(lab)
        .await?;
    let log = lab.envoy().log();
    for line in [
        "skew-guard explained: configuration refused:",
        "releases[0].version: 2.1 is a number; write it as a string: \"2.1\"",
        "releases[0].route: \"v2 1\"",
        "curent: ",
    ] {
        assert!(log.contains(line), "{line} is not in the log:\n{log}");
    }
    Ok(())
}
