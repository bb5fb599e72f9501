//! The parts of an upgrade, which may reach the mesh in any order; and what `helm rollback` does.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::Cluster;
use skew_guard_lab::load::Load;

use crate::chart::Part;
use crate::testbed::Testbed;
use crate::visitors;

/// Answers enough for one part to reach the mesh before the next.
const BETWEEN_PARTS: u64 = 1_500;

/// Subsets, routes and plugin may arrive in any order.
const ORDERS: [[Part; 3]; 6] = [
    [Part::Subsets, Part::Routes, Part::Plugin],
    [Part::Subsets, Part::Plugin, Part::Routes],
    [Part::Routes, Part::Subsets, Part::Plugin],
    [Part::Routes, Part::Plugin, Part::Subsets],
    [Part::Plugin, Part::Subsets, Part::Routes],
    [Part::Plugin, Part::Routes, Part::Subsets],
];

/// A release's whole life for each order.
pub async fn arriving_in_any_order(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "orders").await?;
    testbed.deploy("1.0.0").await?;
    testbed.step(&[("1.0.0", "live")], json!("1.0.0")).await?;
    let mut load = visitors::arrive(&[&testbed.gateway], &testbed.shop).await?;
    let mut revision = 1_000;
    for (number, order) in ORDERS.iter().enumerate() {
        let (old, new) = (format!("{}.0.0", number + 1), format!("{}.0.0", number + 2));
        let listed = [(new.as_str(), "live"), (old.as_str(), "live")];
        let swapped = [(new.as_str(), "live"), (old.as_str(), "draining")];
        let retired = [(new.as_str(), "live"), (old.as_str(), "retired")];
        let removed = [(new.as_str(), "live")];
        let mut parts = InParts {
            order,
            revision: &mut revision,
        };
        parts.step(&mut testbed, &load, &listed, &old).await?;
        testbed.deploy(&new).await?;
        parts.step(&mut testbed, &load, &swapped, &new).await?;
        parts.step(&mut testbed, &load, &retired, &new).await?;
        load.until_no_page_of(&old).await?;
        testbed.remove(&old).await?;
        parts.step(&mut testbed, &load, &removed, &new).await?;
        visitors::expect_neither_skew_nor_failure(
            &format!("a life learnt as {order:?}"),
            &load.tally(),
        )?;
        load.reset();
    }
    load.stop().await;
    testbed.tear_down().await
}

/// Steps whose parts are applied one by one, as `kubectl apply` of the rendered manifests would.
struct InParts<'a> {
    order: &'a [Part],
    revision: &'a mut u64,
}

impl InParts<'_> {
    async fn step(
        &mut self,
        testbed: &mut Testbed<'_>,
        load: &Load,
        releases: &[(&str, &str)],
        current: &str,
    ) -> Result<()> {
        *self.revision += 1;
        testbed.chart.list(releases, json!(current));
        testbed.chart.values()["config"]["revision"] = json!(*self.revision);
        for part in self.order {
            testbed.chart.apply_part(*part).await?;
            load.answers(BETWEEN_PARTS).await?;
        }
        if self.order.contains(&Part::Plugin) {
            testbed
                .chart
                .in_force(&testbed.gateway, *self.revision)
                .await?;
        }
        Ok(())
    }
}

/// The plugin's part of each step is refused, so it stays at the first step while the routes move on.
pub async fn with_the_plugin_left_behind(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open(cluster, "behind", "1.4.2").await?;
    let mut revision = 1_000;
    let mut routes = InParts {
        order: &[Part::Subsets, Part::Routes],
        revision: &mut revision,
    };
    let listed = [("2.0.0", "live"), ("1.4.2", "live")];
    let swapped = [("2.0.0", "live"), ("1.4.2", "draining")];
    let retired = [("2.0.0", "live"), ("1.4.2", "retired")];
    routes.step(&mut testbed, &load, &listed, "1.4.2").await?;
    testbed.deploy("2.0.0").await?;
    routes.step(&mut testbed, &load, &swapped, "2.0.0").await?;
    routes.step(&mut testbed, &load, &retired, "2.0.0").await?;
    testbed.chart.apply_part(Part::Plugin).await?;
    testbed.chart.in_force(&testbed.gateway, revision).await?;
    load.until_no_page_of("1.4.2").await?;
    visitors::expect_neither_skew_nor_failure(
        "a plugin three steps behind its routes",
        &load.stop().await,
    )?;
    testbed.tear_down().await
}

/// It skips steps, and takes the plugin's `revision` back with the rest: not what a pipeline waits for. Nothing
/// is skewed by it, because a release that is no longer listed is gone.
pub async fn taken_back_by_helm_rollback(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open(cluster, "jump", "1.4.2").await?;
    let first = testbed
        .chart
        .revision(&testbed.gateway)
        .await?
        .unwrap_or_default();
    testbed.replace(&load, "1.4.2", "2.0.0").await?;
    testbed.chart.rollback(first).await?;
    testbed.chart.in_force(&testbed.gateway, first).await?;
    load.until_no_page_of("2.0.0").await?;
    let tally = load.stop().await;
    visitors::report("a jump back by helm rollback", &tally);
    ensure!(
        tally.skewed == 0,
        "a release that is not listed is gone: {:?}",
        tally.examples
    );
    ensure!(tally.told_to_reload > 0, "its tabs are told to reload");
    testbed.tear_down().await
}
