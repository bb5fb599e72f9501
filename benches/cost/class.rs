//! The kinds of requests, as browsers send them.

use serde_json::{Map, Value};

use crate::plugin;

/// A kind of request, and what is measured with it.
pub struct Class {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    /// The outcome that the filter counts for it; none where it counts nothing.
    pub outcome: Option<&'static str>,
    /// A Lua filter that does the same for this class as ours does.
    pub lua: &'static str,
    request: fn() -> Request,
    keys: fn() -> Value,
}

impl Class {
    /// The request, as it is sent.
    pub fn request(&self) -> Vec<u8> {
        (self.request)().bytes()
    }

    /// The keys that the plugin's configuration needs for it, beside the usual ones.
    pub fn keys(&self) -> Map<String, Value> {
        match (self.keys)() {
            Value::Object(keys) => keys,
            _ => Map::new(),
        }
    }
}

/// Every class.
pub const ALL: &[Class] = &[
    Class {
        name: "fetch-current",
        what: "fetch of a current page",
        outcome: Some("pinned"),
        lua: include_str!("../lua/fetch-current.lua"),
        request: || Request::fetch().with("x-bundle-version", plugin::CURRENT),
        keys: none,
    },
    Class {
        name: "fetch-old",
        what: "fetch of an old page",
        outcome: Some("pinned"),
        lua: include_str!("../lua/fetch-old.lua"),
        request: || Request::fetch().with("x-bundle-version", plugin::DRAINING),
        keys: none,
    },
];

fn none() -> Value {
    Value::Null
}

/// A request on its way to being written.
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
        .with(
            "cookie",
            "session=8c1f0a52d96e4f3bb2f3; theme=dark; consent=analytics.ads; _ga=GA1.2.1741520319.1763700000",
        )
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
}
