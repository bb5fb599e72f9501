//! Several teams on shared gateways: where their resources are, how they are named, and who gets which path.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, Gateway, GatewayName};
use skew_guard_lab::wait;
use tempfile::TempDir;

use crate::chart::{self, Chart};
use crate::shop::{POD_PORT, Shop, Tier};
use crate::testbed::{Testbed, deployment};
use crate::visitors::{self, answered_by, ask};

/// How many answers to wait for after each change.
const SOME: u64 = 1_000;

/// A mesh that hides resources without an `exportTo`.
fn hiding() -> Value {
    json!({ "defaultDestinationRuleExportTo": ["."], "defaultVirtualServiceExportTo": ["."] })
}

/// Both Helm releases are called `shop`, in namespaces without services. One is uninstalled, and the other stays intact.
pub async fn of_one_name(cluster: &Cluster) -> Result<()> {
    cluster.configure_mesh(hiding())?;
    let gateway = cluster.start_gateway(GatewayName::First).await?;
    let mut teams = Vec::new();
    // The second may not write to the namespaces of its services.
    for (name, rules) in [
        ("first-team", None),
        ("second-team", Some(GATEWAY_NAMESPACE)),
    ] {
        teams.push(Team::move_in(cluster, name, rules, &gateway).await?);
    }
    for team in &mut teams {
        team.keeps_its_tabs(&gateway).await?;
        team.is_hidden_by_the_mesh_s_default(&gateway).await?;
    }
    let [first, second] =
        <[Team<'_>; 2]>::try_from(teams).map_err(|_| anyhow::anyhow!("there are not two teams"))?;
    first.chart.uninstall().await?;
    for kind in ["destinationrule", "virtualservice", "wasmplugin"] {
        let selector = "skew-guard/release-namespace=first-team-routes";
        let left = [
            "get",
            kind,
            "--all-namespaces",
            "--output=name",
            "--selector",
            selector,
        ];
        let left = cluster.kubernetes().kubectl(left).await?;
        ensure!(left.trim().is_empty(), "left by the first team: {left}");
    }
    second.keeps_its_tabs(&gateway).await?;
    second.chart.uninstall().await?;
    for shop in [first.shop, second.shop] {
        shop.close().await?;
    }
    cluster.configure_mesh(json!({}))
}

/// A team whose services are in one namespace, and whose installation of the chart is in another.
struct Team<'a> {
    shop: Shop<'a>,
    chart: Chart<'a>,
}

impl<'a> Team<'a> {
    async fn move_in(
        cluster: &'a Cluster,
        name: &str,
        rules: Option<&str>,
        gateway: &Gateway,
    ) -> Result<Self> {
        let shop = Shop::open(cluster, name).await?;
        let namespace = format!("{name}-routes");
        cluster.kubernetes().create_namespace(&namespace).await?;
        for tier in Tier::BOTH {
            for version in ["1.4.2", "2.0.0"] {
                let name = deployment(tier, version);
                shop.deploy(tier, &name, version, 1).await?;
            }
        }
        for tier in Tier::BOTH {
            for version in ["1.4.2", "2.0.0"] {
                shop.rolled_out(&deployment(tier, version)).await?;
            }
        }
        let mut chart = Chart::of(cluster, &shop)
            .await?
            .named("shop-skew-guard", &namespace);
        chart.values()["gateways"] = json!([format!("{name}/{}", GatewayName::First.label())]);
        for service in chart.values()["services"]
            .as_array_mut()
            .context("a list")?
        {
            service["namespace"] = json!(rules);
        }
        let listed = [("2.0.0", "live"), ("1.4.2", "draining")];
        chart.list(&listed, json!("2.0.0"));
        chart.step(&[gateway]).await?;
        Ok(Self { shop, chart })
    }

    /// What the chart's own `exportTo` is for.
    async fn is_hidden_by_the_mesh_s_default(&mut self, gateway: &Gateway) -> Result<()> {
        self.chart.values()["exportTo"] = json!([]);
        self.chart.upgrade().await?;
        wait::until("the gateway to see nothing of it", async || {
            let answer = ask(gateway, &self.shop, "/api/cart", &[]).await?;
            Ok(!answer.status().is_success())
        })
        .await?;
        self.chart.values()["exportTo"] = json!(["*"]);
        self.chart.step(&[gateway]).await?;
        self.keeps_its_tabs(gateway).await
    }

    async fn keeps_its_tabs(&self, gateway: &Gateway) -> Result<()> {
        for version in ["1.4.2", "2.0.0"] {
            let what = format!("a tab of {version} in {}", self.shop.namespace());
            let headers = [("x-bundle-version", version)];
            wait::until(&what, async || {
                let answer = ask(gateway, &self.shop, "/api/cart", &headers).await?;
                Ok(answer.status().is_success() && answered_by(&answer) == version)
            })
            .await?;
        }
        Ok(())
    }
}

/// The chart from before the plugin's name contained the namespace, upgraded under load.
pub async fn renamed_plugin(cluster: &Cluster) -> Result<()> {
    let former = TempDir::with_prefix("skew-guard-former-chart-")?;
    copy(&chart::directory(), former.path())?;
    let plugins = former.path().join("templates/_plugins.tpl");
    let written = fs::read_to_string(&plugins)?;
    let name = "include \"skew-guard.nameIn\" (dict \"root\" $ \"namespace\" $plugin.namespace)";
    ensure!(written.contains(name), "the name comes from this template");
    let former_name = "include \"skew-guard.fullname\" $";
    fs::write(&plugins, written.replace(name, former_name))?;

    let mut testbed = Testbed::set_up(cluster, "renamed").await?;
    testbed.chart.move_to(former.path());
    let (mut testbed, load) = testbed.opened_with_two_releases().await?;
    load.answers(SOME).await?;
    testbed.chart.move_to(&chart::directory());
    testbed.upgrade().await?;
    load.answers(SOME).await?;
    testbed.old_tab_reaches("1.4.2").await?;
    let story = "a plugin under another name";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    testbed.tear_down().await
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Their own VirtualService for a path of our host has no effect, because ours is older and takes every request that
/// has the plugin's header. A path that the chart lists is theirs.
pub async fn a_path_for_another_team(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::with_two_releases(cluster, "shared-host").await?;
    let theirs = Shop::open(cluster, "blog").await?;
    theirs.deploy(Tier::Api, "api", "7.0.0", 1).await?;
    theirs.rolled_out("api").await?;
    testbed.shop.apply(blog(&testbed.shop, &theirs)).await?;
    wait::until("the gateway to have their route", async || {
        let routes = testbed.gateway.config_dump().await?.to_string();
        Ok(routes.contains("their-blog"))
    })
    .await?;
    let path = "/blog/request";
    let answer = testbed.ask(path, &[]).await?;
    ensure!(
        answered_by(&answer) == "2.0.0",
        "{} takes the path: the README says otherwise",
        answered_by(&answer)
    );

    let services = testbed.chart.values()["services"].as_array_mut();
    services.context("a list")?.push(json!({
        "host": theirs.service_host(Tier::Api), "port": POD_PORT, "paths": ["/blog"], "versioned": false,
    }));
    testbed.upgrade().await?;
    wait::until("the other team to have its path", async || {
        let answer = testbed.ask(path, &[]).await?;
        Ok(answered_by(&answer) == "7.0.0")
    })
    .await?;
    testbed.old_tab_reaches("1.4.2").await?;
    theirs.close().await?;
    testbed.tear_down().await
}

fn blog(ours: &Shop<'_>, theirs: &Shop<'_>) -> Value {
    let http = json!([{
        "name": "their-blog",
        "match": [{ "uri": { "prefix": "/blog" } }],
        "route": theirs.route_to(Tier::Api),
    }]);
    ours.virtual_service("blog", GatewayName::First.label(), http)
}
