//! `skew-guard status --prometheus`: how long nobody has asked for a release, from a real Prometheus.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{Bootstrap, Plugin, listener};
use skew_guard_lab::envoy::{self, Envoy};
use skew_guard_lab::prometheus::Prometheus;
use skew_guard_lab::{http, module, tool, wait};

fn list() -> Value {
    json!({
        "releases": [
            { "version": "2.0.0", "route": "v2-0-0" },
            { "version": "1.4.2", "route": "v1-4-2", "state": "draining" },
        ],
        "current": "2.0.0",
    })
}

/// What the tool says about the draining release, for which five idle seconds are enough.
async fn retirement(envoy: &Envoy, prometheus: &Prometheus) -> Result<Value> {
    let mut command = Command::new(tool::path()?);
    command.args(["status", "--output=json", "--interval=1s", "--idle-for=5s"]);
    command.arg(format!("--prometheus=http://{}", prometheus.address()));
    command.arg(format!("http://{}/stats/prometheus", envoy.admin()));
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let mut releases = answer["releases"].as_array().into_iter().flatten();
    let old = releases.find(|release| release["route"] == "v1-4-2");
    Ok(old.context("the old release")?.clone())
}

#[tokio::test]
async fn a_release_may_go_by_what_prometheus_remembers() -> Result<()> {
    let filter = Plugin::of(&module::path()?).configured(&list()).filter();
    let ok = json!({ "match": { "prefix": "/" }, "direct_response": { "status": 200 } });
    let bootstrap = Bootstrap::of(vec![listener("gateway", &[filter], &[ok])], Vec::new());
    let envoy = Envoy::start(&envoy::installed()?, bootstrap.value()).await?;
    let prometheus = Prometheus::start(&json!({
        "global": { "scrape_interval": "1s" },
        "scrape_configs": [{
            "job_name": "gateways",
            "metrics_path": "/stats/prometheus",
            "static_configs": [{ "targets": [envoy.admin()] }],
        }],
    }))
    .await?;
    let pinned = "skew_guard_requests_total{release=\"v1-4-2\",class=\"api\"}";
    let counted = async |number: f64| {
        wait::until(&format!("Prometheus has {number} requests"), async || {
            let samples = prometheus.query(pinned).await?;
            Ok(samples.iter().any(|sample| sample.value == number))
        })
        .await
    };
    counted(0.0).await?;
    let address = envoy.listener("gateway").await?;
    http::get(address, "/api/cart", &[("x-bundle-version", b"1.4.2")]).await?;
    counted(1.0).await?;
    let old = wait::until_some("the release is idle", async || {
        let old = retirement(&envoy, &prometheus).await?;
        Ok((old["retire"]["answer"] == "may").then_some(old))
    })
    .await?;
    assert!(old["idle"]["seconds"].as_u64() >= Some(5), "{old:#}");
    http::get(address, "/api/cart", &[("x-bundle-version", b"1.4.2")]).await?;
    let old = retirement(&envoy, &prometheus).await?;
    assert_ne!(old["retire"]["answer"], "may", "{old:#}");
    envoy.stop().await
}
