//! The Roles in the chart's folder: they suffice for everything, and no right in them is superfluous.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, GatewayName, User};

use super::pipeline::Pipeline;
use super::release::end;
use super::roles::{Right, Roles};
use crate::chart::Chart;
use crate::checking::{TAGS, publish_tags};
use crate::shop::{self, Shop};
use crate::testbed::{Testbed, deployment};
use crate::visitors;

const SHOP: &str = "rights";

/// The gateway's namespace, which is not Istio's own.
const INGRESS: &str = "rights-ingress";

/// Rights that Kubernetes checks besides the verb of a request, so its audit does not show them: applying an object
/// that does not exist yet, and port-forwarding over a WebSocket.
const HIDDEN: [(&str, &str, &str); 2] = [
    (SHOP, "destinationrules", "create"),
    (INGRESS, "pods/portforward", "create"),
];

/// Every kind of deployment and query, by somebody with exactly these rights.
pub async fn enough_and_no_more(cluster: &Cluster) -> Result<()> {
    let mut pipeline = open(cluster).await?;
    let places = (SHOP, INGRESS);
    let roles = Roles::give(cluster, User::Deployer, "rbac.yaml", places).await?;
    pipeline.be(User::Deployer);
    pipeline.run(&["wait"]).await?.well()?;
    let load = visitors::arrive(&[&pipeline.testbed.gateway], &pipeline.testbed.shop).await?;
    deploy_in_every_way(&pipeline).await?;
    let unused = roles.unused()?;
    let hidden = HIDDEN.map(|(namespace, resource, verb)| {
        (namespace.to_owned(), resource.to_owned(), verb.to_owned())
    });
    let hidden = BTreeSet::<Right>::from(hidden);
    ensure!(unused == hidden, "rights that nobody needs: {unused:#?}");
    each_hidden_one_is_needed(&pipeline, &roles).await?;

    let looking = "rbac-observe.yaml";
    let roles = Roles::give(cluster, User::Observer, looking, places).await?;
    pipeline.be(User::Observer);
    for look in [
        &["wait"][..],
        &["status", "--interval", "1s"],
        &["probe", "2.2.0"],
    ] {
        pipeline.run(look).await?.well()?;
    }
    let unused = roles.unused()?;
    let hidden = hidden.into_iter().filter(|right| right.0 == INGRESS);
    ensure!(
        unused == hidden.collect(),
        "rights that nobody needs: {unused:#?}"
    );
    roles.take_away("pods/portforward", "create").await?;
    cannot_ask_gateways(&pipeline).await?;

    publish_tags(cluster, &TAGS).await?;
    let roles = Roles::give(cluster, User::Checker, "rbac-check.yaml", places).await?;
    pipeline.be(User::Checker);
    let checked = pipeline.run(&["check", "--cluster"]).await?.well()?;
    ensure!(!checked.printed.contains("forbid"), "{checked:#?}");
    let unused = roles.unused()?;
    ensure!(unused.is_empty(), "rights that nobody needs: {unused:#?}");

    end(pipeline, vec![load], "with the rights of the Roles").await?;
    let kubernetes = cluster.kubernetes();
    kubernetes
        .delete(GATEWAY_NAMESPACE, "configmap", "istio")
        .await?;
    kubernetes.delete_namespace(INGRESS).await
}

/// A shop with one release, current, whose gateway has its own namespace.
async fn open(cluster: &Cluster) -> Result<Pipeline<'_>> {
    let kubernetes = cluster.kubernetes();
    kubernetes.create_namespace(INGRESS).await?;
    let shop = Shop::open(cluster, SHOP).await?;
    shop.kubectl(&["delete", "gateways.networking.istio.io", "--all"])
        .await?;
    kubernetes.apply(&entrance(&shop)).await?;
    let gateway = cluster
        .start_gateway_in(INGRESS, GatewayName::First)
        .await?;
    let mut chart = Chart::of(cluster, &shop).await?;
    chart.values()["plugin"]["namespace"] = json!(INGRESS);
    chart.values()["gateways"] = json!([format!("{INGRESS}/shop")]);
    let mut testbed = Testbed {
        shop,
        gateway,
        chart,
    };
    testbed.deploy("1.4.2").await?;
    testbed.chart.list(&[("1.4.2", "live")], json!("1.4.2"));
    testbed.chart.upgrade().await?;
    Pipeline::of(cluster, testbed)
}

/// The team's `Gateway`, beside the gateway's Pods.
fn entrance(shop: &Shop<'_>) -> Value {
    let port = json!({ "number": GatewayName::First.port(), "name": "http", "protocol": "HTTP" });
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": { "name": "shop", "namespace": INGRESS },
        "spec": {
            "selector": { "gateway": GatewayName::First.label() },
            "servers": [{ "port": port, "hosts": [shop.host()] }],
        },
    })
}

async fn deploy_in_every_way(pipeline: &Pipeline<'_>) -> Result<()> {
    pipeline.manifests("2.1.0")?;
    pipeline
        .deploy("2.1.0", &["--preview"])
        .await?
        .well()?
        .says("2.1.0 is staged")?;
    // Changed, to need the right to change existing objects.
    pipeline.write("2.1.0", |tier| {
        shop::deployment(tier, &deployment(tier, "2.1.0"), "2.1.0", 3)
    })?;
    for (version, drains_for) in [("2.1.0", "1s"), ("2.2.0", "1s"), ("2.3.0", "1h")] {
        if version != "2.1.0" {
            pipeline.manifests(version)?;
        }
        let ended = pipeline
            .deploy(version, &["--drain-for", drains_for])
            .await?;
        ended.well()?.says(&format!("{version} is current"))?;
    }
    let services = pipeline.values().await?["services"].clone();
    make_another_service(pipeline).await?;
    let both = with_another(&services)?;
    for services in [&both, &services] {
        serve(pipeline, services).await?.well()?;
    }
    pipeline.run(&["rollback"]).await?.well()?;
    pipeline.run(&["tidy"]).await?.well()?;
    Ok(())
}

/// Takes each away, sees it missed, and gives it back.
async fn each_hidden_one_is_needed(pipeline: &Pipeline<'_>, roles: &Roles<'_>) -> Result<()> {
    roles.take_away("pods/portforward", "create").await?;
    cannot_ask_gateways(pipeline).await?;
    roles.restore().await?;

    let services = pipeline.values().await?["services"].clone();
    let both = with_another(&services)?;
    roles.take_away("destinationrules", "create").await?;
    let refused = serve(pipeline, &both).await?;
    ensure!(refused.code != Some(0), "{refused:#?}");
    refused.says("cannot create resource \"destinationrules\"")?;
    roles.restore().await?;
    // And the failed run can continue.
    for services in [&both, &services] {
        serve(pipeline, services).await?.well()?;
    }
    Ok(())
}

async fn cannot_ask_gateways(pipeline: &Pipeline<'_>) -> Result<()> {
    pipeline
        .run(&["wait", "--timeout", "5s"])
        .await?
        .badly("cannot create resource \"pods/portforward\"")?;
    Ok(())
}

/// Deploys the current release once more, with these services.
async fn serve(pipeline: &Pipeline<'_>, services: &Value) -> Result<super::pipeline::Ended> {
    let values = json!({ "services": services });
    fs::write(pipeline.folder().join("own.json"), values.to_string())?;
    let current = pipeline.values().await?["current"].clone();
    let current = current.as_str().context("one release is current")?;
    pipeline
        .run(&["deploy", current, "--values", "own.json"])
        .await
}

async fn make_another_service(pipeline: &Pipeline<'_>) -> Result<()> {
    let port = json!({ "name": "http", "port": 8080 });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "other" },
        "spec": { "selector": { "app": "other" }, "ports": [port] },
    });
    pipeline.testbed.shop.apply(service).await
}

/// Another service, for which the chart also makes a DestinationRule.
fn with_another(services: &Value) -> Result<Value> {
    let mut other = services[0].clone();
    other["host"] = json!(format!("other.{SHOP}.svc.cluster.local"));
    other["paths"] = json!(["/other"]);
    other["probePath"] = json!("/other");
    let mut both = services.clone();
    both.as_array_mut().context("services")?.push(other);
    Ok(both)
}
