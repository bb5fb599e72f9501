//! The borrowed view of a request that a decision needs, and the request's class.
//!
//! Every read of a header costs a call to the host, so nothing is read before it is asked for, and
//! the path, which several rules ask for, is read once.

use std::cell::OnceCell;

/// What a decision may ask of the request and of the moment it arrives in. The Proxy-Wasm host
/// answers in production, a table in tests and in the command-line tool.
pub trait Incoming {
    /// The first copy of a header, by its lower-case name; pseudo headers too.
    fn first(&self, name: &str) -> Option<Vec<u8>>;
    /// Every copy of a header, in order. Costs a read of all headers: for what the first copy lacks.
    fn every(&self, name: &str) -> Vec<Vec<u8>>;
    /// Seconds since 1970, UTC.
    fn now(&self) -> u64;
    /// A number drawn at random.
    fn draw(&self) -> u32;
}

/// What kind of request a browser makes: it decides what a version may mean and how "gone" is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The top-level document load: the only moment at which a client can change version.
    Navigation,
    /// A document in a frame.
    Framed,
    /// A script, style, image, font, worker and the like.
    Asset,
    /// Everything else that a browser sends: fetch, XHR, form posts, WebSockets.
    Api,
    /// A request without Fetch Metadata that is not a navigation: a browser on plain http, or no browser.
    Other,
}

impl Class {
    /// All classes, in the order of [`Class::index`].
    pub const ALL: [Self; 5] = [
        Self::Navigation,
        Self::Framed,
        Self::Asset,
        Self::Api,
        Self::Other,
    ];

    /// The class as a metric's tag has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Navigation => "navigation",
            Self::Framed => "framed",
            Self::Asset => "asset",
            Self::Api => "api",
            Self::Other => "other",
        }
    }

    /// The place of the class in [`Class::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Whether the answer is a page that a person looks at.
    #[must_use]
    pub fn is_document(self) -> bool {
        matches!(self, Self::Navigation | Self::Framed)
    }
}

/// A request, read as it is asked about.
pub struct Request<'a> {
    incoming: &'a dyn Incoming,
    target: OnceCell<Vec<u8>>,
    method: OnceCell<Vec<u8>>,
    first_cookies: OnceCell<Option<Vec<u8>>>,
    all_cookies: OnceCell<Vec<Vec<u8>>>,
}

impl<'a> Request<'a> {
    /// A view of what the host has; reads nothing yet.
    #[must_use]
    pub fn new(incoming: &'a dyn Incoming) -> Self {
        Self {
            incoming,
            target: OnceCell::new(),
            method: OnceCell::new(),
            first_cookies: OnceCell::new(),
            all_cookies: OnceCell::new(),
        }
    }

    /// The first copy of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.incoming.first(name)
    }

    /// What `find` finds first in the `cookie` lines. HTTP/1 may carry several, HTTP/2 merges them.
    pub fn find_in_cookies<T>(&self, find: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let first = self
            .first_cookies
            .get_or_init(|| self.incoming.first("cookie"))
            .as_ref()?;
        find(first).or_else(|| {
            let lines = self
                .all_cookies
                .get_or_init(|| self.incoming.every("cookie"));
            lines.iter().skip(1).find_map(|line| find(line))
        })
    }

    /// What `find` finds first in the `baggage` lines.
    pub fn find_in_baggage<T>(&self, find: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let first = self.incoming.first("baggage")?;
        find(&first).or_else(|| {
            let lines = self.incoming.every("baggage");
            lines.iter().skip(1).find_map(|line| find(line))
        })
    }

    /// The request target: path and query.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.target
            .get_or_init(|| self.incoming.first(":path").unwrap_or_default())
    }

    /// The path, without query.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        path_of(self.target())
    }

    /// The query, without its question mark; empty where there is none.
    #[must_use]
    pub fn query(&self) -> &[u8] {
        let target = self.target();
        let query = target.get(self.path().len()..).unwrap_or_default();
        let end = query.iter().position(|&byte| byte == b'#');
        query
            .get(..end.unwrap_or(query.len()))
            .and_then(|query| query.strip_prefix(b"?"))
            .unwrap_or_default()
    }

    /// The host that is asked, without port.
    #[must_use]
    pub fn host(&self) -> Option<Vec<u8>> {
        let mut authority = self.incoming.first(":authority")?;
        if let Some(port) = port_of(&authority) {
            authority.truncate(port);
        }
        Some(authority)
    }

    /// Seconds since 1970, UTC.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.incoming.now()
    }

    /// A number drawn at random.
    #[must_use]
    pub fn draw(&self) -> u32 {
        self.incoming.draw()
    }

    /// Whether the method is one of these.
    #[must_use]
    pub fn has_method(&self, methods: &[&str]) -> bool {
        let method = self
            .method
            .get_or_init(|| self.incoming.first(":method").unwrap_or_default());
        methods.iter().any(|name| name.as_bytes() == method)
    }

    /// Whether this is a CORS preflight
    /// ([Fetch, CORS-preflight request](https://fetch.spec.whatwg.org/#cors-preflight-request)).
    #[must_use]
    pub fn is_preflight(&self) -> bool {
        self.has_method(&["OPTIONS"]) && self.header("access-control-request-method").is_some()
    }

    /// Whether this is the post of a form whose answer a person will look at.
    #[must_use]
    pub fn is_form_post(&self) -> bool {
        !self.has_method(&["GET", "HEAD"])
            && self
                .header("sec-fetch-mode")
                .is_none_or(|mode| mode == b"navigate")
            && self.accepts_html()
    }

    /// Whether another site led the browser here.
    #[must_use]
    pub fn is_cross_site(&self) -> bool {
        self.has("sec-fetch-site", "cross-site")
    }

    /// Whether the browser loads this ahead of a click that may never come
    /// ([`Sec-Purpose`](https://wicg.github.io/nav-speculation/prefetch.html#sec-purpose-header)).
    #[must_use]
    pub fn is_speculative(&self) -> bool {
        self.header("sec-purpose").is_some()
    }

    /// Whether the request comes from, or is, a service worker's script.
    #[must_use]
    pub fn is_service_worker_script(&self) -> bool {
        self.has("sec-fetch-dest", "serviceworker")
    }

    /// The path of the page or worker that made the request, where the browser says.
    #[must_use]
    pub fn referring_path(&self) -> Option<Vec<u8>> {
        let referer = self.header("referer")?;
        let after_scheme = referer.windows(3).position(|window| window == b"://")? + 3;
        let after = referer.get(after_scheme..)?;
        let slash = after.iter().position(|&byte| byte == b'/')?;
        after.get(slash..).map(|target| path_of(target).to_vec())
    }

    /// Whether `accept` names `text/html`, as a browser's does when a person will look at the answer.
    #[must_use]
    pub fn accepts_html(&self) -> bool {
        self.header("accept").is_some_and(|accept| {
            accept
                .split(|&byte| byte == b',')
                .any(|range| media_type(range).eq_ignore_ascii_case(b"text/html"))
        })
    }

    /// The dialect of gRPC that the body is in, if it is.
    #[must_use]
    pub fn grpc(&self) -> Option<Grpc> {
        Grpc::of(&self.header("content-type")?)
    }

    /// The class, by Fetch Metadata
    /// ([W3C Fetch Metadata](https://www.w3.org/TR/fetch-metadata/)), and by `accept` without it.
    #[must_use]
    pub fn class(&self) -> Class {
        let Some(mode) = self.header("sec-fetch-mode") else {
            return self.class_without_fetch_metadata();
        };
        let destination = self.header("sec-fetch-dest").unwrap_or_default();
        let reads = self.has_method(&["GET", "HEAD"]);
        match (mode.as_slice(), destination.as_slice()) {
            (b"navigate", b"document" | b"empty" | b"") if reads => Class::Navigation,
            (b"navigate", b"iframe" | b"frame" | b"embed" | b"object") if reads => Class::Framed,
            (b"same-origin", b"empty") if reads && self.accepts_html() => Class::Navigation,
            (_, destination) if is_asset_destination(destination) => Class::Asset,
            _ => Class::Api,
        }
    }

    fn class_without_fetch_metadata(&self) -> Class {
        if self.has_method(&["GET"]) && self.accepts_html() {
            Class::Navigation
        } else {
            Class::Other
        }
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.header(name)
            .is_some_and(|found| found == value.as_bytes())
    }
}

/// The dialects of gRPC that a client may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grpc {
    /// `application/grpc`: Envoy knows it, and makes its replies itself.
    Native,
    /// `application/grpc-web`.
    Web,
    /// `application/grpc-web-text`, which is base64.
    WebText,
}

impl Grpc {
    /// The dialect that a content type names.
    fn of(content_type: &[u8]) -> Option<Self> {
        let name = media_type(content_type)
            .split(|&byte| byte == b'+')
            .next()?;
        match name {
            b"application/grpc" => Some(Self::Native),
            b"application/grpc-web" => Some(Self::Web),
            b"application/grpc-web-text" => Some(Self::WebText),
            _ => None,
        }
    }
}

/// A media type without its parameters.
#[must_use]
pub fn media_type(value: &[u8]) -> &[u8] {
    value
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

/// The destinations of the Fetch standard whose answer a page includes, documents aside
/// ([Fetch, destination](https://fetch.spec.whatwg.org/#concept-request-destination)).
fn is_asset_destination(destination: &[u8]) -> bool {
    matches!(
        destination,
        b"audio"
            | b"audioworklet"
            | b"font"
            | b"image"
            | b"json"
            | b"manifest"
            | b"paintworklet"
            | b"script"
            | b"serviceworker"
            | b"sharedworker"
            | b"style"
            | b"track"
            | b"video"
            | b"worker"
            | b"xslt"
    )
}

/// A request target without query and fragment.
fn path_of(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    target
        .get(..end.unwrap_or(target.len()))
        .unwrap_or_default()
}

/// Where the port of an authority begins, its colon included. An IPv6 address holds colons itself,
/// within brackets.
fn port_of(authority: &[u8]) -> Option<usize> {
    let colon = authority.iter().rposition(|&byte| byte == b':')?;
    authority
        .get(colon + 1..)?
        .iter()
        .all(u8::is_ascii_digit)
        .then_some(colon)
}
