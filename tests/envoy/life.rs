//! The life of releases under load, at two gateways, one of which is always a step behind.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::load::{Load, LoadGenerator, Tally};
use skew_guard_lab::wait;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec};
use crate::lab::{Lab, route_of};

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    three_releases_come_and_go_at_gateways_one_step_apart_without_skew,
    a_release_listed_straight_in_current_causes_reloads_but_no_skew,
    a_draining_release_ends_at_its_time,
];

/// Enough answers to meet every tab at both gateways several times.
const ENOUGH: u64 = 600;

/// Two Envoys in front of the same pods; a visitor's requests alternate between them.
struct Mesh<'l> {
    ahead: Gateway<'l>,
    behind: Gateway<'l>,
    labs: [&'l Lab; 2],
}

impl Mesh<'_> {
    /// Takes a step: first at one gateway, then, after a while of disagreement, at the other.
    async fn step(&mut self, load: &Load, configuration: &Value) -> Result<()> {
        self.ahead.configure(configuration).await?;
        load.answers(ENOUGH).await?;
        self.behind.configure(configuration).await?;
        load.answers(ENOUGH).await
    }

    /// The pods of a release vanish, at one gateway and then at the other.
    async fn withdraw(&self, load: &Load, version: &str) -> Result<()> {
        for lab in self.labs {
            lab.withdraw(version).await?;
            load.answers(ENOUGH).await?;
        }
        Ok(())
    }
}

/// Releases in these states, newest first, and `current`.
fn releases(releases: &[(&str, &str)], current: &str) -> Value {
    let releases: Vec<_> = releases
        .iter()
        .map(|(version, state)| {
            json!({ "version": version, "route": route_of(version), "state": state })
        })
        .collect();
    json!({
        "sources": [{ "header": "x-bundle-version" }, { "path": "/assets/v-{version}/" }],
        "releases": releases,
        "current": current,
    })
}

async fn three_releases_come_and_go_at_gateways_one_step_apart_without_skew(
    lab: &Lab,
) -> Result<()> {
    let (one, other) = (lab.another(2, &[]).await?, lab.another(2, &[]).await?);
    let mut mesh = open(&one, &other, &releases(&[("1.4.2", "live")], "1.4.2")).await?;
    let load = visit(&mesh)?;
    load.until_page_of("1.4.2").await?;

    // Deploy 2.0.0, and let 1.4.2 drain.
    for step in [
        releases(&[("2.0.0", "staged"), ("1.4.2", "live")], "1.4.2"),
        releases(&[("2.0.0", "live"), ("1.4.2", "live")], "1.4.2"),
        releases(&[("2.0.0", "live"), ("1.4.2", "draining")], "2.0.0"),
    ] {
        mesh.step(&load, &step).await?;
    }
    load.until_page_of("2.0.0").await?;

    // Deploy 2.1.0.
    let listed = [("2.1.0", "live"), ("2.0.0", "live"), ("1.4.2", "draining")];
    mesh.step(&load, &releases(&listed, "2.0.0")).await?;
    let current = [
        ("2.1.0", "live"),
        ("2.0.0", "draining"),
        ("1.4.2", "draining"),
    ];
    mesh.step(&load, &releases(&current, "2.1.0")).await?;
    load.until_page_of("2.1.0").await?;
    assert_no_harm(&load.tally());
    assert_eq!(load.tally().told_to_reload, 0, "nothing is gone yet");

    // It is bad: go back, in one step forward.
    let back = [
        ("2.1.0", "retired"),
        ("2.0.0", "live"),
        ("1.4.2", "draining"),
    ];
    mesh.step(&load, &releases(&back, "2.0.0")).await?;
    load.until_no_page_of("2.1.0").await?;

    // The pods of 1.4.2 vanish under its last tabs.
    mesh.withdraw(&load, "1.4.2").await?;
    load.until_no_page_of("1.4.2").await?;
    for step in [
        releases(
            &[
                ("2.1.0", "retired"),
                ("2.0.0", "live"),
                ("1.4.2", "retired"),
            ],
            "2.0.0",
        ),
        releases(&[("2.0.0", "live")], "2.0.0"),
    ] {
        mesh.step(&load, &step).await?;
    }
    let tabs = load.pages();
    let tally = load.stop().await;
    assert_no_harm(&tally);
    assert!(
        tally.told_to_reload > 0,
        "the tabs of the gone releases were told"
    );
    assert_eq!(tabs.into_keys().collect::<Vec<_>>(), ["2.0.0"]);
    Ok(())
}

/// The tool refuses this step: pages of the new release reach the gateway that does not know it, which can only
/// tell them to reload. Even then nobody gets another release's answer.
async fn a_release_listed_straight_in_current_causes_reloads_but_no_skew(lab: &Lab) -> Result<()> {
    let (one, other) = (lab.another(2, &[]).await?, lab.another(2, &[]).await?);
    let mut mesh = open(&one, &other, &releases(&[("1.4.2", "live")], "1.4.2")).await?;
    let load = visit(&mesh)?;
    load.until_page_of("1.4.2").await?;
    let skipped = releases(&[("2.0.0", "live"), ("1.4.2", "draining")], "2.0.0");
    mesh.ahead.configure(&skipped).await?;
    load.until_page_of("2.0.0").await?;
    load.answers(ENOUGH).await?;
    mesh.behind.configure(&skipped).await?;
    let tally = load.stop().await;
    assert_no_harm(&tally);
    assert!(
        tally.told_to_reload > 0,
        "a skipped step has an effect: {tally:?}"
    );
    Ok(())
}

/// The configuration does not change meanwhile: the clock alone ends the release.
async fn a_draining_release_ends_at_its_time(lab: &Lab) -> Result<()> {
    // Whole seconds, as in the filter.
    let end = (OffsetDateTime::now_utc() + Duration::from_secs(6)).replace_nanosecond(0)?;
    let mut configuration = releases(&[("2.0.0", "live"), ("1.4.2", "draining")], "2.0.0");
    configuration["releases"][1]["until"] = json!(end.format(&Rfc3339)?);
    let gateway = Spec::of(lab, "ending")?
        .configured(&configuration)?
        .open(lab)
        .await?;
    let status = async || {
        let call = gateway.get("/api/cart", &[("x-bundle-version", "1.4.2")]);
        anyhow::Ok((call.await?.status, OffsetDateTime::now_utc()))
    };
    let (first, asked) = status().await?;
    assert!(first == 200 || asked >= end, "{first} before its time");
    wait::until("the end of 1.4.2", async || Ok(status().await?.0 == 409)).await?;
    assert!(OffsetDateTime::now_utc() >= end, "409 before its time");
    Ok(())
}

async fn open<'l>(one: &'l Lab, other: &'l Lab, configuration: &Value) -> Result<Mesh<'l>> {
    Ok(Mesh {
        ahead: Spec::of(one, "ahead")?
            .configured(configuration)?
            .open(one)
            .await?,
        behind: Spec::of(other, "behind")?
            .configured(configuration)?
            .open(other)
            .await?,
        labs: [one, other],
    })
}

fn visit(mesh: &Mesh<'_>) -> Result<Load> {
    LoadGenerator::at(mesh.ahead.address())
        .and_at(mesh.behind.address())
        .of_host("shop.example.com")
        .visitors(8)
        .long_lived(8)
        .start()
}

#[track_caller]
fn assert_no_harm(tally: &Tally) {
    let harm: BTreeMap<_, _> = [("skewed", tally.skewed), ("failed", tally.failed)].into();
    assert!(
        harm.values().all(|count| *count == 0),
        "{harm:?}: {:#?}",
        tally.examples
    );
}
