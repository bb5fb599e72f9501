//! What one upgrade writes, learnt by the mesh in any order; and what `helm rollback` does.

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::Cluster;
use skew_guard_lab::load::Load;

use crate::chart::Part;
use crate::stage::Stage;
use crate::visitors;

/// Long enough for the mesh to learn one part before the next.
const BETWEEN_PARTS: u64 = 1_500;

/// No order between subsets, routes and plugin can be relied on.
const ORDERS: [[Part; 3]; 6] = [
    [Part::Subsets, Part::Routes, Part::Plugin],
    [Part::Subsets, Part::Plugin, Part::Routes],
    [Part::Routes, Part::Subsets, Part::Plugin],
    [Part::Routes, Part::Plugin, Part::Subsets],
    [Part::Plugin, Part::Subsets, Part::Routes],
    [Part::Plugin, Part::Routes, Part::Subsets],
];

/// A life of a release for each order, part by part, one after the other.
pub async fn learnt_in_any_order(cluster: &Cluster) -> Result<()> {
    let mut stage = Stage::set(cluster, "orders").await?;
    stage.deploy("1.0.0").await?;
    stage.step(&[("1.0.0", "live")], json!("1.0.0")).await?;
    let mut load = visitors::arrive(&[&stage.gateway], &stage.shop).await?;
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
        parts.step(&mut stage, &load, &listed, &old).await?;
        stage.deploy(&new).await?;
        parts.step(&mut stage, &load, &swapped, &new).await?;
        parts.step(&mut stage, &load, &retired, &new).await?;
        load.until_no_page_of(&old).await?;
        stage.remove(&old).await?;
        parts.step(&mut stage, &load, &removed, &new).await?;
        visitors::expect_neither_skew_nor_failure(
            &format!("a life learnt as {order:?}"),
            &load.tally(),
        )?;
        load.reset();
    }
    load.stop().await;
    stage.strike().await
}

/// Steps whose parts are applied one by one, as `kubectl apply` of the rendered manifests would.
struct InParts<'a> {
    order: &'a [Part],
    revision: &'a mut u64,
}

impl InParts<'_> {
    async fn step(
        &mut self,
        stage: &mut Stage<'_>,
        load: &Load,
        releases: &[(&str, &str)],
        current: &str,
    ) -> Result<()> {
        *self.revision += 1;
        stage.chart.list(releases, json!(current));
        stage.chart.values()["config"]["revision"] = json!(*self.revision);
        for part in self.order {
            stage.chart.apply_part(*part).await?;
            load.answers(BETWEEN_PARTS).await?;
        }
        if self.order.contains(&Part::Plugin) {
            stage.chart.in_force(&stage.gateway, *self.revision).await?;
        }
        Ok(())
    }
}

/// The plugin's part of each step is refused, so that it stays at the first one while the routes go on.
pub async fn with_the_plugin_left_behind(cluster: &Cluster) -> Result<()> {
    let (mut stage, load) = Stage::open(cluster, "behind", "1.4.2").await?;
    let mut revision = 1_000;
    let mut routes = InParts {
        order: &[Part::Subsets, Part::Routes],
        revision: &mut revision,
    };
    routes
        .step(
            &mut stage,
            &load,
            &[("2.0.0", "live"), ("1.4.2", "live")],
            "1.4.2",
        )
        .await?;
    stage.deploy("2.0.0").await?;
    routes
        .step(
            &mut stage,
            &load,
            &[("2.0.0", "live"), ("1.4.2", "draining")],
            "2.0.0",
        )
        .await?;
    routes
        .step(
            &mut stage,
            &load,
            &[("2.0.0", "live"), ("1.4.2", "retired")],
            "2.0.0",
        )
        .await?;
    stage.chart.apply_part(Part::Plugin).await?;
    stage.chart.in_force(&stage.gateway, revision).await?;
    load.until_no_page_of("1.4.2").await?;
    visitors::expect_neither_skew_nor_failure(
        "a plugin three steps behind its routes",
        &load.stop().await,
    )?;
    stage.strike().await
}

/// It jumps over steps, and takes the plugin's `revision` back with the rest: not what a pipeline waits for. Nothing is
/// skewed by it, because what is no longer listed is gone.
pub async fn taken_back_by_helm_rollback(cluster: &Cluster) -> Result<()> {
    let (mut stage, load) = Stage::open(cluster, "jump", "1.4.2").await?;
    let first = stage
        .chart
        .revision(&stage.gateway)
        .await?
        .unwrap_or_default();
    stage
        .step_under(
            &load,
            &[("2.0.0", "live"), ("1.4.2", "live")],
            json!("1.4.2"),
        )
        .await?;
    stage.deploy("2.0.0").await?;
    stage
        .step_under(
            &load,
            &[("2.0.0", "live"), ("1.4.2", "draining")],
            json!("2.0.0"),
        )
        .await?;
    load.until_page_of("2.0.0").await?;
    stage.chart.rollback(first).await?;
    stage.chart.in_force(&stage.gateway, first).await?;
    load.until_no_page_of("2.0.0").await?;
    let tally = load.stop().await;
    visitors::report("a jump back by helm rollback", &tally);
    ensure!(
        tally.skewed == 0,
        "what is not listed is gone: {:?}",
        tally.examples
    );
    ensure!(tally.told_to_reload > 0, "its tabs are told to reload");
    stage.strike().await
}
