//! New visitors, each in a separate browser.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;

use super::controller::Controller;

/// Enough to see a weight.
const VISITORS: usize = 40;

/// How many of them got a page of each release.
#[derive(Debug, Serialize)]
pub struct Visitors {
    pages: BTreeMap<String, usize>,
}

impl Controller {
    /// Loads the page like this many first-time visitors, without a cookie.
    pub async fn visitors(&self) -> Result<Visitors> {
        let mut pages = BTreeMap::new();
        for _ in 0..VISITORS {
            *pages
                .entry(self.page_of_a_new_visitor().await?)
                .or_default() += 1;
        }
        Ok(Visitors { pages })
    }

    async fn page_of_a_new_visitor(&self) -> Result<String> {
        let page = self
            .client
            .get(format!("http://{}/", self.gateway.address()))
            .header("accept", "text/html")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .send()
            .await?
            .error_for_status()?;
        let release = page.headers().get("x-app-version");
        let release = release.context("a pod says its release")?;
        Ok(release.to_str()?.to_owned())
    }
}
