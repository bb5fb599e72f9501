//! The rights that the chart's folder names: enough for everything, and none too many.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GatewayName};
use tempfile::NamedTempFile;

use super::pipeline::Pipeline;
use super::release::end;
use crate::chart::{self, Chart};
use crate::shop::Shop;
use crate::stage::Stage;
use crate::visitors;

/// Where the gateway is, so that it is not where everything of Istio is.
const INGRESS: &str = "rights-ingress";
const SHOP: &str = "rights";

/// A right that a Role gives, or that was used: namespace, resource, verb.
type Right = (String, String, String);

/// Deployments of every kind by somebody who has these rights, and no others.
pub async fn enough_and_no_more(cluster: &Cluster) -> Result<()> {
    let kubernetes = cluster.kubernetes();
    let ingress =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": INGRESS } });
    kubernetes.apply(&ingress).await?;
    let shop = Shop::open(cluster, SHOP).await?;
    shop.kubectl(&["delete", "gateways.networking.istio.io", "--all"])
        .await?;
    kubernetes.apply(&entrance(&shop)).await?;
    let rules = give_rights(cluster).await?;
    let gateway = cluster
        .start_gateway_in(INGRESS, GatewayName::First)
        .await?;
    let mut chart = Chart::of(cluster, &shop).await?;
    chart.values()["plugin"]["namespace"] = json!(INGRESS);
    chart.values()["gateways"] = json!([format!("{INGRESS}/shop")]);
    let mut stage = Stage {
        shop,
        gateway,
        chart,
    };
    stage.deploy("1.4.2").await?;
    stage.chart.list(&[("1.4.2", "live")], json!("1.4.2"));
    stage.chart.upgrade().await?;
    let pipeline = Pipeline::of(cluster, stage)?.with_the_deployers_rights();
    pipeline.run(&["wait"]).await?.well()?;
    let load = visitors::arrive(&[&pipeline.stage.gateway], &pipeline.stage.shop).await?;
    for version in ["2.0.0", "2.1.0", "2.2.0"] {
        pipeline.manifests(version)?;
        let ended = pipeline.deploy(version, &["--drain-for", "1s"]).await?;
        ended.well()?.says(&format!("{version} is current"))?;
    }
    add_and_remove_a_service(&pipeline).await?;
    pipeline.run(&["rollback", "--to", "2.1.0"]).await?.well()?;
    pipeline.run(&["tidy"]).await?.well()?;

    let events = kubernetes.audit()?;
    let forbidden: Vec<_> = events
        .iter()
        .filter(|event| event["responseStatus"]["code"] == 403)
        .map(|event| event["requestURI"].to_string())
        .collect();
    ensure!(forbidden.is_empty(), "forbidden: {forbidden:#?}");
    let used: BTreeSet<Right> = events.iter().filter_map(used).collect();
    let unused: Vec<_> = rules.difference(&used).collect();
    ensure!(unused.is_empty(), "rights that nobody needs: {unused:#?}");
    end(pipeline, vec![load], "with the rights of the Roles").await?;
    kubernetes
        .kubectl(["delete", "namespace", INGRESS, "--wait=false"])
        .await?;
    Ok(())
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

/// Applies the Roles for the namespaces of this test, and tells what they allow.
async fn give_rights(cluster: &Cluster) -> Result<BTreeSet<Right>> {
    let roles = fs::read_to_string(chart::directory().join("rbac.yaml"))?
        .replace("namespace: shop", &format!("namespace: {SHOP}"))
        .replace("namespace: istio-ingress", &format!("namespace: {INGRESS}"));
    let file = NamedTempFile::with_suffix(".yaml")?;
    fs::write(file.path(), &roles)?;
    cluster.kubernetes().apply_file(file.path()).await?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&roles).context("Roles")?;
    let mut rights = BTreeSet::new();
    for role in objects.iter().filter(|object| object["kind"] == "Role") {
        let namespace = role["metadata"]["namespace"].as_str().unwrap_or_default();
        for rule in role["rules"].as_array().into_iter().flatten() {
            for resource in strings(&rule["resources"]) {
                for verb in strings(&rule["verbs"]) {
                    rights.insert((namespace.to_owned(), resource.clone(), verb));
                }
            }
        }
    }
    ensure!(rights.len() > 20, "the Roles are read");
    Ok(rights)
}

fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The right by which a request was allowed.
fn used(event: &Value) -> Option<Right> {
    let object = event.get("objectRef")?;
    let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let resource = match text("subresource").as_str() {
        "" => text("resource"),
        below => format!("{}/{below}", text("resource")),
    };
    let verb = event["verb"].as_str()?.to_owned();
    Some((text("namespace"), resource, verb))
}

/// The chart has a DestinationRule for each service.
async fn add_and_remove_a_service(pipeline: &Pipeline<'_>) -> Result<()> {
    let port = json!({ "name": "http", "port": 8080 });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "other" },
        "spec": { "selector": { "app": "other" }, "ports": [port] },
    });
    pipeline.stage.shop.apply(service).await?;
    let mut values = pipeline.values().await?;
    let services = values["services"].clone();
    let mut more = services.clone();
    let mut other = services[0].clone();
    other["host"] = json!(format!("other.{SHOP}.svc.cluster.local"));
    other["paths"] = json!(["/other"]);
    other["probePath"] = json!("/other");
    more.as_array_mut().context("services")?.push(other);
    for services in [more, services] {
        values = json!({ "services": services });
        fs::write(pipeline.folder().join("own.json"), values.to_string())?;
        let arguments = ["deploy", "2.2.0", "--values", "own.json"];
        pipeline.run(&arguments).await?.well()?;
    }
    Ok(())
}
