//! A made-up request through the filter, and its outcome.

use std::collections::BTreeMap;
use std::rc::Rc;

use arbitrary::{Arbitrary, Unstructured};
use serde_json::Value;
use skew_guard::config::Config;
use skew_guard::filter::{Exchange, Installation};
use skew_guard::reply::failure::{
    NO_CLUSTER_FOUND, NO_HEALTHY_UPSTREAM, UPSTREAM_CONNECTION_FAILURE,
};
use skew_guard::reply::local::Reply;
use skew_guard_traffic::browsers::Load;

use crate::host::FakeHost;
use crate::setup::{HOST, KEY, NOW, Setup, VERSIONS};

/// Header lines in order, pseudo headers included.
pub type Lines = Vec<(String, Vec<u8>)>;

/// A marker that a client puts into its text, to see where it reappears.
pub const MARK: &str = "<q7\"'";

/// A configuration, a request, and the answer of an upstream.
#[derive(Arbitrary, Clone, Debug)]
pub struct Visit {
    setup: Setup,
    request: Request,
    answer: Upstream,
    after: u16,
    drawn: u32,
}

/// The outcome of a visit.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The configuration.
    pub configuration: Value,
    /// When the request came, in seconds since 1970.
    pub now: u64,
    /// The request as the client sent it.
    pub sent: Lines,
    /// The request as it went on, or would have.
    pub forwarded: Lines,
    /// The filter's own answer, if it gave one.
    pub reply: Option<Reply>,
    /// The upstream's answer, and its body.
    pub answered: (Lines, Vec<u8>),
    /// What the client got of it.
    pub received: (Lines, Vec<u8>),
    /// All metrics by full name; those defined in advance are 0.
    pub metrics: BTreeMap<String, u64>,
}

impl Seen {
    /// The counted outcomes, each with its route.
    pub fn outcomes(&self) -> impl Iterator<Item = (&str, &str)> {
        let counted = self.metrics.iter().filter(|(_, value)| **value > 0);
        counted.filter_map(|(name, _)| {
            let (before, after) = name.split_once("outcome=.=")?;
            let route = before.split_once("release=.=")?.1.split_once(";.;")?.0;
            Some((after.split_once(";.;")?.0, route))
        })
    }
}

impl Visit {
    /// Sends the request through the filter; `None` if the configuration is invalid.
    #[must_use]
    pub fn make(&self) -> Option<Seen> {
        let configuration = self.setup.json();
        let bytes = configuration.to_string().into_bytes();
        Config::load(&bytes).ok()?;
        let now = NOW + u64::from(self.after);
        let host = FakeHost::at(now, self.drawn);
        host.attribute_is("plugin_name", b"shop");
        let installation = Rc::new(Installation::configure(&host, &bytes));
        let sent = self.request.lines();
        host.receive(&borrowed(&sent));
        let mut exchange = Exchange::new(host.clone(), installation);
        exchange.on_request_headers();
        let forwarded = host.request();
        let answered = (self.answer.lines(), self.answer.body.clone());
        let reply = host.last_reply();
        if reply.is_none() {
            self.answer.come_to(&host);
            exchange.on_response_headers(!answered.1.is_empty());
            if !answered.1.is_empty() {
                exchange.on_response_body(answered.1.len());
            }
        }
        Some(Seen {
            configuration: configuration.clone(),
            now,
            sent,
            forwarded,
            received: (host.response(), host.body_bytes()),
            answered,
            reply,
            metrics: host.metrics(),
        })
    }
}

fn borrowed(lines: &Lines) -> Vec<(&str, &[u8])> {
    let lines = lines.iter();
    lines
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect()
}

/// A request.
#[derive(Clone, Debug)]
struct Request(Lines);

impl Request {
    fn lines(&self) -> Lines {
        self.0.clone()
    }
}

impl<'a> Arbitrary<'a> for Request {
    /// A plain one with lines that mean something, nearly mean something, or mean nothing.
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut lines = Lines::new();
        let method = *bytes.choose(&["GET", "GET", "GET", "POST", "HEAD", "OPTIONS"])?;
        lines.push((":method".into(), method.into()));
        let host = *bytes.choose(&[HOST, HOST, HOST, "other.test", "shop.example.com:8443"])?;
        lines.push((":authority".into(), host.into()));
        let mut path = target(bytes)?;
        let kind = kind(bytes)?;
        if bytes.ratio(2, 3)? {
            match version_line(bytes)? {
                (name, target) if name == ":path" => path = target,
                line => lines.push(line),
            }
        }
        if bytes.ratio(1, 3)? {
            let route = *bytes.choose(&["r-2-1-0", "r-2-0-0", "2.1.0", "none", ""])?;
            lines.push(("x-release".into(), route.into()));
        }
        lines.push((":path".into(), path));
        lines.extend(kind);
        for _ in 0..bytes.int_in_range(0..=6)? {
            let name = (*bytes.choose(&NAMES)?).to_owned();
            lines.push((name, value(bytes)?));
        }
        if bytes.ratio(1, 16)? {
            // Without what every request has.
            lines.remove(bytes.choose_index(3)?);
        }
        Ok(Self(lines))
    }
}

/// The names of headers that the filter reads, and some that it does not.
pub const NAMES: [&str; 24] = [
    ":path",
    ":authority",
    "accept",
    "access-control-request-headers",
    "access-control-request-method",
    "baggage",
    "content-type",
    "cookie",
    "cookie",
    "if-none-match",
    "next-action",
    "origin",
    "referer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-purpose",
    "x-bundle-version",
    "x-bundle-version",
    "x-deployment-id",
    "x-preview-key",
    "x-release",
    "x-release",
    "x-shop-release",
];

/// What browsers say about the kind of a request.
fn kind(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Lines> {
    let line = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let fetch = |load: Load| {
        let metadata = load.fetch_metadata().into_iter();
        metadata.map(|(name, value)| line(name, value)).collect()
    };
    Ok(match bytes.int_in_range(0..=7)? {
        0 | 1 => fetch(Load::Navigation),
        2 => fetch(Load::Script),
        3 => fetch(Load::Frame),
        4 => vec![line("accept", "text/html")],
        5 => vec![
            line("access-control-request-method", "PUT"),
            line("origin", "https://app.example.com"),
        ],
        6 => Vec::new(),
        _ => fetch(Load::Fetch),
    })
}

/// A line that carries a version as a page or a tester would send it.
fn version_line(bytes: &mut Unstructured<'_>) -> arbitrary::Result<(String, Vec<u8>)> {
    let version = *bytes.choose(&VERSIONS)?;
    let lines = [
        ("x-bundle-version", version.to_owned()),
        ("x-bundle-version", version.to_owned()),
        ("cookie", format!("own={version}; pin=0000002a~{version}")),
        ("cookie", format!("__preview=open%20sesame:{version}")),
        ("baggage", format!("client-version={version};p=1")),
        ("x-preview-key", KEY.to_owned()),
        (":path", format!("/shop/?dpl={version}")),
        (":path", format!("/assets/v-{version}/x.js")),
        (":path", format!("/?preview=open%20sesame:{version}")),
    ];
    let (name, value) = bytes.choose(&lines)?;
    Ok(((*name).to_owned(), value.clone().into_bytes()))
}

fn target(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let paths = [
        "/",
        "/api/cart",
        "/api/cart",
        "/shop/",
        "/checkout/pay",
        "/version.json",
        "/sw.js",
        "//api/x",
        "/assets/v-",
        "//evil.test/",
        "/\\evil.test/",
    ];
    let mut target = bytes.choose(&paths)?.as_bytes().to_vec();
    if bytes.ratio(1, 2)? {
        target.extend(value(bytes)?);
    }
    if bytes.ratio(1, 2)? {
        target.extend(*bytes.choose(&[&b"?dpl="[..], b"?preview=", b"?a=b&dpl=", b"?", b"#"])?);
        target.extend(value(bytes)?);
    }
    Ok(target)
}

/// A value of several pieces.
fn value(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let mut value = Vec::new();
    for _ in 0..bytes.int_in_range(1..=4)? {
        match bytes.int_in_range(0..=3)? {
            0 => value.extend(bytes.choose(&VERSIONS)?.as_bytes()),
            1 => value.extend(*bytes.choose(&WORDS)?),
            2 => value.extend(bytes.choose(&[MARK, KEY, "open%20sesame:"])?.as_bytes()),
            _ => value.extend(<[u8; 3]>::arbitrary(bytes)?),
        }
    }
    Ok(value)
}

const WORDS: [&[u8]; 34] = [
    b"",
    b"=",
    b";",
    b",",
    b":",
    b"&",
    b"~",
    b"/",
    b"\r\nx-release: r-2-1-0",
    b"\"",
    b"%2",
    b"%0d%0a",
    b"pin=",
    b"pin=00000000~",
    b"own=",
    b"__preview=",
    b"; ",
    b"client-version=",
    b"&dpl=",
    b"navigate",
    b"same-origin",
    b"document",
    b"empty",
    b"script",
    b"text/html",
    b"cross-site",
    b"prefetch",
    b"application/grpc",
    b"application/grpc-web-text+proto",
    b"https://app.example.com",
    b"https://evil.test",
    b"/sw.js",
    b"off",
    b"r-2-0-0",
];

/// The answer of an upstream, or of Envoy instead.
#[derive(Clone, Debug)]
struct Upstream {
    headers: Lines,
    body: Vec<u8>,
    flags: Option<u64>,
    cluster: &'static str,
}

impl Upstream {
    fn lines(&self) -> Lines {
        self.headers.clone()
    }

    fn come_to(&self, host: &FakeHost) {
        if let Some(flags) = self.flags {
            host.attribute_is("response.flags", &flags.to_le_bytes());
            host.attribute_is("xds.cluster_name", self.cluster.as_bytes());
            host.attribute_is("xds.route_name", self.cluster.as_bytes());
        } else {
            host.attribute_is("response.code_details", b"via_upstream");
        }
        host.respond(&borrowed(&self.headers), &self.body);
    }
}

impl<'a> Arbitrary<'a> for Upstream {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let status = *bytes.choose(&["200", "200", "304", "404", "503"])?;
        let mut headers = vec![(":status".to_owned(), status.as_bytes().to_vec())];
        let names = [
            "content-type",
            "cache-control",
            "vary",
            "x-app-version",
            "access-control-expose-headers",
            "x-client-update",
        ];
        for _ in 0..bytes.int_in_range(0..=4)? {
            headers.push(((*bytes.choose(&names)?).to_owned(), value(bytes)?));
        }
        Ok(Self {
            headers,
            body: if bytes.arbitrary()? {
                b"the upstream's".to_vec()
            } else {
                Vec::new()
            },
            flags: *bytes.choose(&[
                None,
                None,
                Some(NO_HEALTHY_UPSTREAM),
                Some(NO_CLUSTER_FOUND),
                Some(UPSTREAM_CONNECTION_FAILURE),
            ])?,
            cluster: bytes.choose(&[
                "shop-r-2-0-0",
                "shop-2.1.0",
                "shop",
                "skew-guard-absent",
                "r-2-1-0",
            ])?,
        })
    }
}
