//! A request as a table of headers.

use std::fmt;

use skew_guard::decision::Decision;
use skew_guard::decision::rules::decide;
use skew_guard::headers::{self, Headers};
use skew_guard::policy::Policy;
use skew_guard::request::{self, Environment};
use skew_guard_traffic::browsers::{BROWSERS, Browser, Header, Load};

use crate::Lines;

/// A request as a client sends it, at a time that the test sets.
#[derive(Clone, Debug)]
pub struct Request {
    lines: Lines,
    now: u64,
    drawn: u32,
}

/// A request without Fetch Metadata: what curl sends.
#[must_use]
pub fn plain(target: &str) -> Request {
    Request {
        lines: Vec::new(),
        now: 0,
        drawn: 0,
    }
    .with(":method", "GET")
    .with(":authority", "shop.example.com")
    .with(":path", target)
}

/// The request that a browser sends for such a load.
#[must_use]
pub fn by(browser: &Browser, load: Load, target: &str) -> Request {
    loading(load, target, &browser.sends(load))
}

/// The same to an origin that is not trustworthy.
#[must_use]
pub fn by_without_metadata(browser: &Browser, load: Load, target: &str) -> Request {
    loading(load, target, &browser.sends_without_fetch_metadata(load))
}

fn loading(load: Load, target: &str, headers: &[Header]) -> Request {
    plain(target).method(load.method()).with_all(headers)
}

/// The request that Chrome sends for such a load.
#[must_use]
pub fn load(load: Load, target: &str) -> Request {
    let [chrome, ..] = BROWSERS;
    by(&chrome, load, target)
}

/// The top-level load of a document.
#[must_use]
pub fn navigation(target: &str) -> Request {
    load(Load::Navigation, target)
}

/// A `fetch` from the page's own origin.
#[must_use]
pub fn fetch(target: &str) -> Request {
    load(Load::Fetch, target)
}

/// A `fetch` that carries its version in a header.
#[must_use]
pub fn call(version: &str) -> Request {
    fetch("/api/cart").version(version)
}

/// A script that the page includes.
#[must_use]
pub fn script(target: &str) -> Request {
    load(Load::Script, target)
}

/// The document of an `<iframe>`.
#[must_use]
pub fn frame(target: &str) -> Request {
    load(Load::Frame, target)
}

/// A form submission that a page answers.
#[must_use]
pub fn form(target: &str) -> Request {
    load(Load::FormPost, target)
}

impl Request {
    /// The same with one more line.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.lines.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The same with these additional lines.
    #[must_use]
    pub fn with_all(self, lines: &[(&str, &str)]) -> Self {
        lines
            .iter()
            .fold(self, |request, (name, value)| request.with(name, value))
    }

    /// The same with another value of a header.
    #[must_use]
    pub fn but(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).with(name, value)
    }

    /// The same without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.lines.retain(|(key, _)| key != name);
        self
    }

    /// The same with another method.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        self.but(":method", method)
    }

    /// The same to another host.
    #[must_use]
    pub fn host(self, host: &str) -> Self {
        self.but(":authority", host)
    }

    /// The same from a page of another site, or of this one.
    #[must_use]
    pub fn site(self, site: &str) -> Self {
        self.but("sec-fetch-site", site)
    }

    /// The same with a version in the usual header.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.with("x-bundle-version", version)
    }

    /// The same with one more line of cookies.
    #[must_use]
    pub fn cookie(self, cookies: &str) -> Self {
        self.with("cookie", cookies)
    }

    /// The same from a page of another origin.
    #[must_use]
    pub fn origin(self, origin: &str) -> Self {
        self.with("origin", origin)
    }

    /// The same at this time, in seconds since 1970; only for tests without a proxy, which has its own clock.
    #[must_use]
    pub fn at(self, now: u64) -> Self {
        Self { now, ..self }
    }

    /// The same with this random number; only for tests without a proxy, which draws its own.
    #[must_use]
    pub fn drawing(self, drawn: u32) -> Self {
        Self { drawn, ..self }
    }

    /// Its lines, pseudo headers first.
    #[must_use]
    pub fn lines(&self) -> Vec<(&str, &[u8])> {
        self.lines
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect()
    }

    /// The first value of a header, as text.
    #[must_use]
    pub fn value(&self, name: &str) -> String {
        let value = self.lines.iter().find(|(key, _)| key == name);
        value.map_or_else(String::new, |(_, value)| {
            String::from_utf8_lossy(value).into_owned()
        })
    }

    /// The decision on it; none if it is out of scope.
    #[must_use]
    pub fn decided_by(&self, policy: &Policy) -> Option<Decision> {
        let map = headers::serialize(&self.lines);
        decide(policy, &request::Request::new(Headers::new(&map), self))
    }
}

impl Environment for Request {
    fn now(&self) -> u64 {
        self.now
    }

    fn draw(&self) -> u32 {
        self.drawn
    }
}

impl fmt::Display for Request {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} {}", self.value(":method"), self.value(":path"))?;
        let others = self.lines.iter().filter(|(name, _)| !name.starts_with(':'));
        for (name, value) in others {
            write!(to, "\n  {name}: {}", value.escape_ascii())?;
        }
        Ok(())
    }
}
