//! What most scenarios run on: a shop with a Deployment for each release, a gateway, and the chart.

use anyhow::{Result, ensure};
use reqwest::Response;
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, Gateway, GatewayName};
use skew_guard_lab::load::Load;
use skew_guard_lab::wait;

use crate::chart::Chart;
use crate::shop::{Shop, Tier, route};
use crate::visitors::{self, answered_by};

/// How many answers to wait for between two steps.
const SOME: u64 = 300;

/// A tab of the old release.
pub const OLD_TAB: [(&str, &str); 1] = [("x-bundle-version", "1.4.2")];

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
        cluster.kubernetes().create_namespace(namespace).await?;
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

    /// The same behind two gateways, among which the visitors' requests rotate.
    pub async fn open_behind_two_gateways(
        cluster: &'a Cluster,
        name: &str,
        version: &str,
    ) -> Result<(Self, Gateway, Load)> {
        let mut testbed = Self::set_up(cluster, name).await?;
        let second = cluster.start_gateway(GatewayName::Second).await?;
        testbed.deploy(version).await?;
        testbed.chart.list(&[(version, "live")], json!(version));
        testbed.chart.step(&[&testbed.gateway, &second]).await?;
        let load = visitors::arrive(&[&testbed.gateway, &second], &testbed.shop).await?;
        load.answers(SOME).await?;
        Ok((testbed, second, load))
    }

    /// Opens the shop with two releases: 2.0.0 is current, 1.4.2 is draining.
    pub async fn with_two_releases(cluster: &'a Cluster, name: &str) -> Result<Self> {
        let mut testbed = Self::set_up(cluster, name).await?;
        testbed.serve_two_releases().await?;
        Ok(testbed)
    }

    /// The same with visitors who have tabs of both.
    pub async fn open_with_two_releases(cluster: &'a Cluster, name: &str) -> Result<(Self, Load)> {
        let testbed = Self::set_up(cluster, name).await?;
        testbed.opened_with_two_releases().await
    }

    /// The same on an existing testbed.
    pub async fn opened_with_two_releases(self) -> Result<(Self, Load)> {
        let (mut testbed, load) = self.opened("1.4.2").await?;
        testbed.replace(&load, "1.4.2", "2.0.0").await?;
        ensure!(load.pages().contains_key("1.4.2"), "some old tabs remain");
        Ok((testbed, load))
    }

    /// Deploys and lists 2.0.0, which is current, and 1.4.2, which is draining.
    pub async fn serve_two_releases(&mut self) -> Result<()> {
        self.deploy("1.4.2").await?;
        self.deploy("2.0.0").await?;
        self.step(&[("2.0.0", "live"), ("1.4.2", "draining")], json!("2.0.0"))
            .await
    }

    /// Makes another release current under load; the old one is draining then.
    pub async fn replace(&mut self, load: &Load, old: &str, new: &str) -> Result<()> {
        let listed = [(new, "live"), (old, "live")];
        self.step_under(load, &listed, json!(old)).await?;
        self.deploy(new).await?;
        let swapped = [(new, "live"), (old, "draining")];
        self.step_under(load, &swapped, json!(new)).await?;
        load.until_page_of(new).await
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
            self.remove_tier(tier, version).await?;
        }
        Ok(())
    }

    /// The same for one tier.
    pub async fn remove_tier(&self, tier: Tier, version: &str) -> Result<()> {
        let name = deployment(tier, version);
        self.shop.delete("deployment", &name).await?;
        self.shop.gone(tier, version).await
    }

    /// One `helm upgrade` to that list of releases, newest first, and that `current`.
    pub async fn step(&mut self, releases: &[(&str, &str)], current: Value) -> Result<()> {
        self.chart.list(releases, current);
        self.upgrade().await
    }

    /// One `helm upgrade` with the chart's values as they are.
    pub async fn upgrade(&self) -> Result<()> {
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

    /// One request through the first gateway, on its own connection.
    pub async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
        visitors::ask(&self.gateway, &self.shop, path, headers).await
    }

    /// The release that answers a call of the API with these headers.
    pub async fn release_for(&self, headers: &[(&str, &str)]) -> Result<String> {
        let answer = self.ask("/api/cart", headers).await?;
        Ok(answered_by(&answer).to_owned())
    }

    /// Waits until that release answers a tab of 1.4.2.
    pub async fn old_tab_reaches(&self, version: &str) -> Result<()> {
        wait::until(&format!("{version} to answer a tab of 1.4.2"), async || {
            let answer = self.ask("/api/cart", &OLD_TAB).await?;
            Ok(answer.status().is_success() && answered_by(&answer) == version)
        })
        .await
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
