//! The reload answer in the README.

use anyhow::{Context, Result, anyhow, bail, ensure};
use reqwest::StatusCode;
use skew_guard::config::Config;
use skew_guard::decision::Action;
use skew_guard::decision::rules::decide;
use skew_guard::headers::{self, Headers};
use skew_guard::policy::Policy;
use skew_guard::reply::local::Reply;
use skew_guard::request::{Environment, Request};

use crate::configuration;

/// A client of 1.4.2 gets it under the README's configuration, when that release's
/// time is up.
pub fn is_the_filters(shown: &str) -> Result<()> {
    let policy = Config::load(configuration::shown()?.as_bytes())
        .map(Policy::from)
        .map_err(|problems| anyhow!("{problems}"))?;
    let said = as_http(&reply_to(&policy, "1.4.2")?)?;
    ensure!(said.trim() == shown.trim(), "the filter answers:\n{said}");
    Ok(())
}

/// What the filter answers to an API call by a page of this version, long afterwards.
pub fn reply_to(policy: &Policy, version: &str) -> Result<Reply> {
    let map = headers::serialize(&[
        (":authority", "shop.example.com"),
        (":method", "GET"),
        (":path", "/api/cart"),
        ("x-bundle-version", version),
    ]);
    let decision = decide(policy, &Request::new(Headers::new(&map), &LongAfter))
        .context("a request in scope")?;
    let Action::Reply(answer) = &decision.action else {
        bail!("the request goes on: {decision:?}");
    };
    Ok(Reply::of(policy, decision.client.as_ref(), answer))
}

fn as_http(reply: &Reply) -> Result<String> {
    let status = StatusCode::from_u16(reply.status)?;
    let headers = reply
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"));
    let headers: String = headers.collect();
    let body = str::from_utf8(&reply.body)?;
    Ok(format!("HTTP/1.1 {status}\n{headers}\n{body}\n"))
}

struct LongAfter;

impl Environment for LongAfter {
    fn now(&self) -> u64 {
        u64::MAX
    }

    fn draw(&self) -> u32 {
        0
    }
}
