//! The load: tabs that come and go, and tabs that stay.

use anyhow::{Context, Result, ensure};
use reqwest::Response;
use skew_guard_lab::cluster::Gateway;
use skew_guard_lab::load::{Load, LoadGenerator, Tally};
use skew_guard_lab::{http, wait};

use crate::shop::Shop;

/// Opens the tabs as soon as the gateways serve the shop. With several gateways, requests rotate among them.
pub async fn arrive(gateways: &[&Gateway], shop: &Shop<'_>) -> Result<Load> {
    for gateway in gateways {
        until_served(gateway, shop).await?;
    }
    let mut addresses = gateways.iter().map(|gateway| gateway.address());
    let first = addresses
        .next()
        .context("there is no gateway to visit yet")?;
    let generator = addresses.fold(LoadGenerator::at(first), LoadGenerator::and_at);
    generator
        .of_host(&shop.host())
        .visitors(3)
        .long_lived(3)
        .start()
}

async fn until_served(gateway: &Gateway, shop: &Shop<'_>) -> Result<()> {
    let name = gateway.name().label();
    for path in ["/", "/api/cart"] {
        wait::until(&format!("gateway {name} to serve {path}"), async || {
            Ok(ask(gateway, shop, path, &[]).await?.status().is_success())
        })
        .await?;
    }
    Ok(())
}

/// One request with these headers, on its own connection.
pub async fn ask(
    gateway: &Gateway,
    shop: &Shop<'_>,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Response> {
    let mut request = http::client()?
        .get(format!("http://{}{path}", gateway.address()))
        .header("host", shop.host());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.send().await?)
}

/// Which version answered, as the Pod itself says.
pub fn answered_by(answer: &Response) -> &str {
    answer
        .headers()
        .get("x-app-version")
        .and_then(|version| version.to_str().ok())
        .unwrap_or_default()
}

/// One line on the terminal.
pub fn report(what: &str, tally: &Tally) {
    eprintln!(
        "  {what}: {} requests in {:.0?} ({:.0} a second), {} skewed, {} failed, {} told to reload",
        tally.requests,
        tally.elapsed,
        tally.rate(),
        tally.skewed,
        tally.failed,
        tally.told_to_reload,
    );
}

/// No answer came from another release, and none failed.
pub fn expect_neither_skew_nor_failure(what: &str, tally: &Tally) -> Result<()> {
    report(what, tally);
    let examples = tally.examples.join("\n");
    ensure!(
        tally.skewed == 0,
        "{what}: {} answers were skewed\n{examples}",
        tally.skewed
    );
    ensure!(
        tally.failed == 0,
        "{what}: {} answers failed\n{examples}",
        tally.failed
    );
    Ok(())
}
