//! What most scenarios run on: a shop with a Deployment for each release, a gateway, and the chart.

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, Gateway, GatewayName};
use skew_guard_lab::load::Load;

use crate::chart::Chart;
use crate::shop::{Shop, Tier, route};
use crate::visitors;

/// How many answers to wait for between two steps.
const SOME: u64 = 300;

/// A shop behind a gateway, with the chart.
pub struct Testbed<'a> {
    pub shop: Shop<'a>,
    pub gateway: Gateway,
    pub chart: Chart<'a>,
}

impl<'a> Testbed<'a> {
    /// Opens the shop under that name and starts the first gateway; no Pods and no chart yet.
    pub async fn set_up(cluster: &'a Cluster, name: &str) -> Result<Self> {
        Self::set_up_with_gateway_in(cluster, name, GATEWAY_NAMESPACE).await
    }

    /// The same with the gateway outside Istio's own namespace.
    pub async fn set_up_with_gateway_in(
        cluster: &'a Cluster,
        name: &str,
        namespace: &str,
    ) -> Result<Self> {
        let shop = Shop::open(cluster, name).await?;
        let object =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        cluster.kubernetes().apply(&object).await?;
        let gateway = cluster
            .start_gateway_in(namespace, GatewayName::First)
            .await?;
        let mut chart = Chart::of(cluster, &shop).await?;
        chart.values()["plugin"]["namespace"] = json!(namespace);
        chart.values()["config"]["pinCookie"] = json!({ "name": "shop-release" });
        Ok(Self {
            shop,
            gateway,
            chart,
        })
    }

    /// The same with one release, current, and visitors who use it.
    pub async fn open(cluster: &'a Cluster, name: &str, version: &str) -> Result<(Self, Load)> {
        Self::set_up(cluster, name).await?.opened(version).await
    }

    /// The testbed with one release, current, and visitors who use it.
    pub async fn opened(mut self, version: &str) -> Result<(Self, Load)> {
        self.deploy(version).await?;
        self.step(&[(version, "live")], json!(version)).await?;
        let load = visitors::arrive(&[&self.gateway], &self.shop).await?;
        load.answers(SOME).await?;
        Ok((self, load))
    }

    /// Starts the Pods of a release, both tiers, and waits for them.
    pub async fn deploy(&self, version: &str) -> Result<()> {
        for tier in Tier::BOTH {
            self.shop
                .deploy(tier, &deployment(tier, version), version, 2)
                .await?;
        }
        for tier in Tier::BOTH {
            self.shop.rolled_out(&deployment(tier, version)).await?;
        }
        Ok(())
    }

    /// Ends the Pods of a release and waits until they are gone.
    pub async fn remove(&self, version: &str) -> Result<()> {
        for tier in Tier::BOTH {
            self.shop
                .kubectl(&["delete", "deployment", &deployment(tier, version)])
                .await?;
            self.shop.gone(tier, version).await?;
        }
        Ok(())
    }

    /// One `helm upgrade` to that list of releases, newest first, and that `current`.
    pub async fn step(&mut self, releases: &[(&str, &str)], current: Value) -> Result<()> {
        self.chart.list(releases, current);
        self.chart.step(&[&self.gateway]).await
    }

    /// The same under load, with some requests after it.
    pub async fn step_under(
        &mut self,
        load: &Load,
        releases: &[(&str, &str)],
        current: Value,
    ) -> Result<()> {
        self.step(releases, current).await?;
        load.answers(SOME).await
    }

    /// Removes all of it.
    pub async fn tear_down(self) -> Result<()> {
        self.chart.uninstall().await?;
        self.shop.close().await
    }
}

/// The name of a release's Deployment.
pub fn deployment(tier: Tier, version: &str) -> String {
    format!("{}-{}", tier.name(), route(version))
}
