//! The reload answer that the README shows.

use anyhow::{Context, Result, anyhow, ensure};
use reqwest::StatusCode;
use skew_guard::decision::decide;
use skew_guard::policy::Policy;
use skew_guard::reply::Reply;
use skew_guard::request::{Incoming, Request};

use crate::configuration;

/// It is what a client of 1.4.2 gets under the configuration that the README shows, when that release's
/// time is over.
pub fn is_the_filters(shown: &str) -> Result<()> {
    let policy = Policy::load(configuration::shown()?.as_bytes())
        .map_err(|problems| anyhow!("{problems}"))?;
    let said = as_http(&reply_to(&policy, &Call::of("1.4.2"))?)?;
    ensure!(said.trim() == shown.trim(), "the filter answers:\n{said}");
    Ok(())
}

/// What the filter itself answers to a request.
pub fn reply_to(policy: &Policy, call: &Call) -> Result<Reply> {
    let request = Request::new(call);
    let decision = decide(policy, &request).context("a request in scope")?;
    Reply::to(policy, &request, &decision).context("an answer of the filter's own")
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

/// An API call of a page of a release, long after.
pub struct Call {
    version: &'static str,
}

impl Call {
    pub fn of(version: &'static str) -> Self {
        Self { version }
    }
}

impl Incoming for Call {
    fn first(&self, name: &str) -> Option<Vec<u8>> {
        let value = match name {
            ":authority" => "shop.example.com",
            ":method" => "GET",
            ":path" => "/api/cart",
            "x-bundle-version" => self.version,
            _ => return None,
        };
        Some(value.into())
    }

    fn every(&self, name: &str) -> Vec<Vec<u8>> {
        self.first(name).into_iter().collect()
    }

    fn now(&self) -> u64 {
        u64::MAX
    }

    fn draw(&self) -> u32 {
        0
    }
}
