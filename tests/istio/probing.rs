//! `skew-guard probe`: requests for a release through every gateway, before it becomes current.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GatewayName};
use tempfile::TempDir;

use crate::said::Said;
use crate::shop::Shop;
use crate::testbed::Testbed;

/// The first gateway's TLS port.
pub const TLS_PORT: u16 = 9_443;

/// It succeeds once the pods of the release answer through each port of each gateway.
pub async fn through_every_gateway(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::set_up(cluster, "probed").await?;
    let second = cluster.start_gateway(GatewayName::Second).await?;
    let certificate = Certificate::of(&testbed.shop.host())?;
    testbed
        .shop
        .apply(with_tls(&testbed.shop, &certificate))
        .await?;
    testbed.chart.values()["services"][0]["probePath"] = json!("/api/cart");
    testbed.deploy("1.4.2").await?;
    let (before, listed) = ([("1.4.2", "live")], [("2.0.0", "live"), ("1.4.2", "live")]);
    testbed.chart.list(&before, json!("1.4.2"));
    testbed.chart.step(&[&testbed.gateway, &second]).await?;
    let said = probe(&testbed, "1.4.2", "60s").await?.ends(0)?;
    let asked = said.answer["requests"].to_string();
    for entrance in [
        format!("first port {} http://", GatewayName::First.port()),
        format!("first port {TLS_PORT} https://"),
        format!("second port {} http://", GatewayName::Second.port()),
    ] {
        ensure!(asked.contains(&entrance), "{entrance} in {asked}");
    }

    testbed.chart.list(&listed, json!("1.4.2"));
    testbed.chart.step(&[&testbed.gateway, &second]).await?;
    let said = probe(&testbed, "2.0.0", "3s").await?.ends(1)?;
    ensure!(
        said.answer.to_string().contains("2.0.0 is gone"),
        "{said:?}"
    );
    testbed.deploy("2.0.0").await?;
    probe(&testbed, "2.0.0", "60s").await?.ends(0)?;
    drop(second);
    testbed.tear_down().await
}

async fn probe(testbed: &Testbed<'_>, version: &str, timeout: &str) -> Result<Said> {
    let arguments = [version, "--timeout", timeout];
    testbed.chart.tool("probe", &arguments).await
}

/// The first gateway's ports, one with TLS.
pub fn with_tls(shop: &Shop<'_>, certificate: &Certificate) -> Value {
    let hosts = json!([shop.host()]);
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": { "name": GatewayName::First.label() },
        "spec": {
            "selector": { "gateway": GatewayName::First.label() },
            "servers": [
                { "port": { "number": GatewayName::First.port(), "name": "http", "protocol": "HTTP" }, "hosts": hosts },
                {
                    "port": { "number": TLS_PORT, "name": "https", "protocol": "HTTPS" },
                    "hosts": hosts,
                    "tls": {
                        "mode": "SIMPLE",
                        "serverCertificate": certificate.file("crt"),
                        "privateKey": certificate.file("key"),
                    },
                },
            ],
        },
    })
}

/// A self-signed certificate.
pub struct Certificate(TempDir);

impl Certificate {
    pub fn of(host: &str) -> Result<Self> {
        let certificate = Self(TempDir::with_prefix("skew-guard-certificate-")?);
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
            ])
            .args(["-subj", &format!("/CN={host}")])
            .args(["-keyout", &certificate.file("key")])
            .args(["-out", &certificate.file("crt")])
            .output()
            .context("running openssl")?;
        let problem = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "openssl: {problem}");
        Ok(certificate)
    }

    fn file(&self, suffix: &str) -> String {
        let file = self.0.path().join(format!("gateway.{suffix}"));
        file.display().to_string()
    }
}
