//! Visitors divided among several current releases.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use reqwest::Client;
use serde_json::{Value, json};
use skew_guard_lab::http;
use tokio::task::JoinSet;

use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    ten_thousand_visitors_are_divided_by_the_weights,
    a_visitor_stays_while_the_weights_stay,
    raising_a_weight_moves_visitors_only_towards_that_release,
    lowering_a_weight_moves_visitors_only_away_from_that_release,
];

/// How many visitors come at the same time, each on its own kept connection.
const AT_ONCE: usize = 10;

fn weighted(weights: [(&str, u64); 3]) -> Value {
    let current = weights.map(|(version, weight)| json!({ "version": version, "weight": weight }));
    shop(json!({
        "releases": [
            { "version": "2.1.0", "route": "v2-1-0" },
            { "version": "2.0.0", "route": "v2-0-0" },
            { "version": "1.4.2", "route": "v1-4-2" },
        ],
        "current": current,
        "pinCookie": { "name": "pin" },
    }))
}

async fn gateway_of<'l>(
    lab: &'l Lab,
    name: &str,
    weights: [(&str, u64); 3],
) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&weighted(weights))?
        .open(lab)
        .await
}

/// A visitor after a page load.
#[derive(Clone, Debug)]
struct Visitor {
    /// What the browser sends as its cookie.
    cookie: Option<String>,
    /// The release that the page came from.
    release: String,
}

impl Visitor {
    fn stranger() -> Self {
        Self {
            cookie: None,
            release: String::new(),
        }
    }

    /// Loads the page, and keeps the cookie that it sets.
    async fn load_page(&mut self, browser: &Client, url: &str) -> Result<()> {
        let mut request = browser.get(url);
        for (name, value) in chrome(Load::Navigation) {
            request = request.header(name, value);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let page = request.send().await?.error_for_status()?;
        let header =
            |name: &str| anyhow::Ok(page.headers().get(name).map(|v| v.to_str()).transpose()?);
        self.release = header("x-app-version")?.context("no pod")?.to_owned();
        if let Some(line) = header("set-cookie")? {
            let cookie = line.split(';').next().context("a cookie")?.to_owned();
            assert!(
                cookie.ends_with(&format!("~{}", self.release)),
                "{cookie} is not of {}",
                self.release
            );
            self.cookie = Some(cookie);
        }
        page.bytes().await?;
        Ok(())
    }
}

/// Makes all of them load the page.
async fn all_load_page(gateway: &Gateway<'_>, visitors: Vec<Visitor>) -> Result<Vec<Visitor>> {
    let url = format!("http://{}/", gateway.address());
    let mut groups = JoinSet::new();
    for group in visitors.chunks(visitors.len().div_ceil(AT_ONCE)) {
        let (mut group, url) = (group.to_vec(), url.clone());
        groups.spawn(async move {
            let browser = http::client()?;
            for visitor in &mut group {
                visitor.load_page(&browser, &url).await?;
            }
            anyhow::Ok(group)
        });
    }
    let mut visitors = Vec::with_capacity(visitors.len());
    while let Some(group) = groups.join_next().await {
        visitors.extend(group??);
    }
    Ok(visitors)
}

async fn strangers(gateway: &Gateway<'_>, count: usize) -> Result<Vec<Visitor>> {
    all_load_page(gateway, vec![Visitor::stranger(); count]).await
}

async fn ten_thousand_visitors_are_divided_by_the_weights(lab: &Lab) -> Result<()> {
    const VISITORS: usize = 10_000;
    let weights = [("2.1.0", 7), ("2.0.0", 70), ("1.4.2", 23)];
    let gateway = gateway_of(lab, "shares", weights).await?;
    let mut shares = BTreeMap::new();
    for visitor in strangers(&gateway, VISITORS).await? {
        *shares.entry(visitor.release).or_insert(0) += 1;
    }
    for (release, weight) in weights {
        let expected = usize::try_from(weight)? * VISITORS / 100;
        let share: usize = shares.get(release).copied().unwrap_or_default();
        assert!(
            share.abs_diff(expected) <= 2 * VISITORS / 100,
            "{release} has {share} of {VISITORS}: {shares:?}"
        );
    }
    Ok(())
}

async fn a_visitor_stays_while_the_weights_stay(lab: &Lab) -> Result<()> {
    let weights = [("2.1.0", 1), ("2.0.0", 1), ("1.4.2", 1)];
    let gateway = gateway_of(lab, "staying-visitors", weights).await?;
    let visitors = strangers(&gateway, 300).await?;
    for before in visitors {
        let mut after = before.clone();
        let (browser, url) = (http::client()?, format!("http://{}/", gateway.address()));
        after.load_page(&browser, &url).await?;
        assert_eq!(after.release, before.release);
        assert_eq!(after.cookie, before.cookie, "written only when it changes");
    }
    Ok(())
}

/// Where each visitor was and is, after a change of the weights.
async fn moves(
    lab: &Lab,
    name: &str,
    before: [(&str, u64); 3],
    after: [(&str, u64); 3],
) -> Result<BTreeMap<(String, String), usize>> {
    let mut gateway = gateway_of(lab, name, before).await?;
    let mut visitors = strangers(&gateway, 1_000).await?;
    visitors.sort_by(|one, other| one.bucket().cmp(&other.bucket()));
    gateway.configure(&weighted(after)).await?;
    let mut again = all_load_page(&gateway, visitors.clone()).await?;
    again.sort_by(|one, other| one.bucket().cmp(&other.bucket()));
    let mut moves = BTreeMap::new();
    for (before, after) in visitors.into_iter().zip(again) {
        assert_eq!(before.bucket(), after.bucket(), "a bucket is permanent");
        *moves.entry((before.release, after.release)).or_default() += 1;
    }
    Ok(moves)
}

impl Visitor {
    fn bucket(&self) -> Option<&str> {
        let value = self.cookie.as_deref()?.strip_prefix("pin=")?;
        value.split_once('~').map(|(bucket, _)| bucket)
    }
}

async fn raising_a_weight_moves_visitors_only_towards_that_release(lab: &Lab) -> Result<()> {
    let before = [("2.1.0", 10), ("2.0.0", 60), ("1.4.2", 30)];
    let after = [("2.1.0", 60), ("2.0.0", 60), ("1.4.2", 30)];
    let moves = moves(lab, "raised", before, after).await?;
    let mut moved = moves.iter().filter(|((from, to), _)| from != to);
    assert!(moved.clone().count() > 0, "nobody moved: {moves:?}");
    assert!(moved.all(|((_, to), _)| to == "2.1.0"), "{moves:?}");
    Ok(())
}

async fn lowering_a_weight_moves_visitors_only_away_from_that_release(lab: &Lab) -> Result<()> {
    let before = [("2.1.0", 20), ("2.0.0", 60), ("1.4.2", 30)];
    let after = [("2.1.0", 20), ("2.0.0", 0), ("1.4.2", 30)];
    let moves = moves(lab, "lowered", before, after).await?;
    let mut moved = moves.iter().filter(|((from, to), _)| from != to);
    assert!(moved.clone().count() > 0, "nobody moved: {moves:?}");
    assert!(moved.all(|((from, _), _)| from == "2.0.0"), "{moves:?}");
    assert!(moves.keys().all(|(_, to)| to != "2.0.0"), "{moves:?}");
    Ok(())
}
