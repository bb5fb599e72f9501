//! The load: tabs that come and go, and tabs that stay, at one gateway.

use anyhow::{Result, ensure};
use skew_guard_lab::cluster::Gateway;
use skew_guard_lab::load::{Crowd, Load, Tally};
use skew_guard_lab::{http, wait};

use crate::shop::Shop;

/// Opens the tabs as soon as the gateway serves the shop.
pub async fn arrive(gateway: &Gateway, shop: &Shop<'_>) -> Result<Load> {
    let client = http::client()?;
    for path in ["/", "/api/cart"] {
        let url = format!("http://{}{path}", gateway.address());
        wait::until(&format!("the gateway to serve {path}"), async || {
            Ok(client
                .get(&url)
                .header("host", shop.host())
                .send()
                .await?
                .status()
                .is_success())
        })
        .await?;
    }
    Crowd::at(gateway.address())
        .of_host(&shop.host())
        .visitors(3)
        .long_lived(3)
        .start()
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

/// What was promised: no answer of another release, and none that failed.
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
