//! The kinds of requests, as browsers send them: each has 20 headers, including the three of its request line.

use serde_json::{Map, Value, json};

use crate::Headers;
use crate::plugin::{self, Style};

/// A kind of request, and what is measured with it.
pub struct Class {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    /// Whether the answer is the upstream's.
    pub answer: Answer,
    /// The outcome that the filter counts for it; none if it counts nothing.
    pub outcome: Option<&'static str>,
    /// A Lua filter that does the same for this class as ours does.
    pub lua: &'static str,
    request: fn() -> Request,
    keys: fn() -> Value,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The upstream.
    Upstream,
    /// The filter itself, so a second copy in a chain would not see the request.
    Own,
}

impl Class {
    /// The request, as it is sent.
    #[must_use]
    pub fn request(&self) -> Vec<u8> {
        (self.request)().bytes()
    }

    /// The same as Envoy hands it to a filter.
    #[must_use]
    pub fn headers(&self) -> Headers {
        (self.request)().headers()
    }

    /// The keys that the plugin's configuration needs for it, besides the usual ones.
    #[must_use]
    pub fn keys(&self) -> Map<String, Value> {
        (self.keys)().as_object().cloned().unwrap_or_default()
    }

    /// The configurations under which the class applies.
    #[must_use]
    pub fn styles(&self) -> &'static [Style] {
        // Without `hosts`, no host belongs to another application.
        if self.outcome.is_none() {
            &[Style::Chart]
        } else {
            &[Style::Plain, Style::Chart]
        }
    }
}

/// The Lua filter of this file, after the code that all of them share.
macro_rules! lua {
    ($file:literal) => {
        concat!(
            include_str!("../../lua/scope.lua"),
            include_str!(concat!("../../lua/", $file))
        )
    };
}

/// Every class.
pub const ALL: &[Class] = &[
    Class {
        name: "fetch-current",
        what: "fetch of a current page",
        answer: Answer::Upstream,
        outcome: Some("pinned"),
        lua: lua!("api.lua"),
        request: || Request::fetch().with("x-bundle-version", plugin::CURRENT),
        keys: none,
    },
    Class {
        name: "fetch-old",
        what: "fetch of an old page",
        answer: Answer::Upstream,
        outcome: Some("pinned"),
        lua: lua!("api.lua"),
        request: || Request::fetch().with("x-bundle-version", plugin::DRAINING),
        keys: none,
    },
    Class {
        name: "fetch-accepted",
        what: "fetch of a page whose calls current accepts",
        answer: Answer::Upstream,
        outcome: Some("compatible"),
        lua: lua!("api.lua"),
        request: || Request::fetch().with("x-bundle-version", plugin::ACCEPTED),
        keys: none,
    },
    Class {
        name: "fetch-unversioned",
        what: "fetch without a version",
        answer: Answer::Upstream,
        outcome: Some("uncovered"),
        lua: lua!("api.lua"),
        request: || Request::fetch().with("x-csrf-token", "5d1c2a"),
        keys: none,
    },
    Class {
        name: "fetch-pinned",
        what: "fetch with a pin cookie",
        answer: Answer::Upstream,
        outcome: Some("pinned"),
        lua: lua!("api-pinned.lua"),
        request: || Request::fetch().with("x-csrf-token", "5d1c2a").with_pin(),
        keys: pin_cookie,
    },
    Class {
        name: "script-path",
        what: "script by its path",
        answer: Answer::Upstream,
        outcome: Some("pinned"),
        lua: lua!("script.lua"),
        request: || Request::script("/assets/v-2.0.0/cart.3f9a1c.js"),
        keys: none,
    },
    Class {
        name: "script-query",
        what: "script by its query",
        answer: Answer::Upstream,
        outcome: Some("pinned"),
        lua: lua!("script.lua"),
        request: || Request::script("/assets/cart.3f9a1c.js?dpl=2.0.0"),
        keys: none,
    },
    Class {
        name: "navigation",
        what: "navigation",
        answer: Answer::Upstream,
        outcome: Some("unversioned"),
        lua: lua!("page.lua"),
        request: Request::navigation,
        keys: none,
    },
    Class {
        name: "navigation-pinned",
        what: "navigation with a pin cookie",
        answer: Answer::Upstream,
        outcome: Some("current"),
        lua: lua!("page-pinned.lua"),
        request: || Request::navigation().with_pin(),
        keys: pin_cookie,
    },
    Class {
        name: "preflight",
        what: "preflight",
        answer: Answer::Upstream,
        outcome: Some("unversioned"),
        lua: lua!("preflight.lua"),
        request: Request::preflight,
        keys: none,
    },
    Class {
        name: "gone",
        what: "fetch of a page whose release is gone: an own answer",
        answer: Answer::Own,
        outcome: Some("gone"),
        lua: lua!("api.lua"),
        request: || Request::fetch().with("x-bundle-version", plugin::RETIRED),
        keys: none,
    },
    Class {
        name: "other-host",
        what: "fetch of another application",
        answer: Answer::Upstream,
        outcome: None,
        lua: lua!("api.lua"),
        request: || {
            Request::fetch()
                .with("host", "blog.example.com")
                .with("x-bundle-version", "a1b2c3")
        },
        keys: none,
    },
];

fn none() -> Value {
    Value::Null
}

fn pin_cookie() -> Value {
    json!({ "pinCookie": { "name": plugin::PIN_COOKIE } })
}

/// A visitor's other cookies.
const COOKIES: &str = "session=8c1f0a52d96e4f3bb2f3; theme=dark; consent=analytics.ads; _ga=GA1.2.1741520319.1763700000";

/// A request under construction.
struct Request {
    method: &'static str,
    target: String,
    lines: Vec<(&'static str, String)>,
}

impl Request {
    fn new(method: &'static str, target: &str) -> Self {
        Self {
            method,
            target: target.into(),
            lines: Vec::new(),
        }
        .with("host", plugin::HOST)
        .with(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        )
        .with("accept-encoding", "gzip, deflate, br, zstd")
        .with("accept-language", "en-GB,en;q=0.9,de;q=0.8")
        .with(
            "sec-ch-ua",
            r#""Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99""#,
        )
        .with("sec-ch-ua-mobile", "?0")
        .with("sec-ch-ua-platform", r#""Linux""#)
        .with("cookie", COOKIES)
    }

    fn fetch() -> Self {
        Self::new("GET", "/api/cart/items?page=2")
            .fetched_as("empty", "cors")
            .with("accept", "application/json")
            .with("referer", "https://shop.example.com/cart")
            .with("priority", "u=1, i")
            .with("x-requested-with", "XMLHttpRequest")
            .with(
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            )
    }

    fn script(target: &str) -> Self {
        Self::new("GET", target)
            .fetched_as("script", "no-cors")
            .with("accept", "*/*")
            .with("referer", "https://shop.example.com/shop/cart")
            .with("pragma", "no-cache")
            .with("cache-control", "no-cache")
            .with("dnt", "1")
            .with("priority", "u=1")
    }

    /// A page that the browser has cached, and revalidates.
    fn navigation() -> Self {
        Self::new("GET", "/shop/cart")
            .fetched_as("document", "navigate")
            .with(
                "accept",
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            )
            .with("sec-fetch-user", "?1")
            .with("upgrade-insecure-requests", "1")
            .with("if-none-match", "\"6955b900-f\"")
            .with("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT")
            .with("priority", "u=0, i")
    }

    fn preflight() -> Self {
        Self::new("OPTIONS", "/api/cart/items?page=2")
            .fetched_as("empty", "cors")
            .with("accept", "*/*")
            .with("origin", "https://www.example.com")
            .with("referer", "https://www.example.com/")
            .with("access-control-request-method", "GET")
            .with("access-control-request-headers", "x-bundle-version")
            .with("priority", "u=1, i")
    }

    fn with_pin(self) -> Self {
        let cookies = format!("{COOKIES}; {}={}", plugin::PIN_COOKIE, plugin::CURRENT);
        self.with("cookie", &cookies)
    }

    fn fetched_as(self, dest: &str, mode: &str) -> Self {
        self.with("sec-fetch-dest", dest)
            .with("sec-fetch-mode", mode)
            .with("sec-fetch-site", "same-origin")
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.lines.retain(|(present, _)| *present != name);
        self.lines.push((name, value.into()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.lines {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// What a filter reads first, in a listener with TLS: Envoy moves `host`.
    fn headers(self) -> Headers {
        let pseudo = [
            (":path", self.target),
            (":method", self.method.into()),
            (":scheme", "https".into()),
        ];
        let lines = self.lines.into_iter().map(|(name, value)| match name {
            "host" => (":authority", value),
            _ => (name, value),
        });
        lines
            .chain(pseudo)
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}
