//! A request as a decision looks at it: its headers, borrowed from the one read of them; in `class`, what
//! kind of request they tell.

use crate::headers::Headers;

mod class;
pub mod cookies;
pub mod query;

pub use class::{Class, Grpc};

/// What a decision asks besides the headers. The Proxy-Wasm host answers in production, a table in
/// tests and in the command-line tool.
pub trait Environment {
    /// Seconds since 1970, UTC.
    fn now(&self) -> u64;
    /// A number drawn at random.
    fn draw(&self) -> u32;
}

/// A request. What every decision looks at is found in one walk over the headers; what only some
/// configurations ask for, such as a version header, is looked up when it is asked for.
pub struct Request<'b> {
    headers: Headers<'b>,
    environment: &'b dyn Environment,
    known: KnownHeaders<'b>,
}

/// The first value of each header that has a meaning here.
#[derive(Default)]
struct KnownHeaders<'b> {
    accept: Option<&'b [u8]>,
    access_control_request_method: Option<&'b [u8]>,
    authority: Option<&'b [u8]>,
    content_type: Option<&'b [u8]>,
    if_modified_since: Option<&'b [u8]>,
    if_none_match: Option<&'b [u8]>,
    if_range: Option<&'b [u8]>,
    method: Option<&'b [u8]>,
    next_action: Option<&'b [u8]>,
    origin: Option<&'b [u8]>,
    referer: Option<&'b [u8]>,
    sec_fetch_dest: Option<&'b [u8]>,
    sec_fetch_mode: Option<&'b [u8]>,
    sec_fetch_site: Option<&'b [u8]>,
    sec_purpose: Option<&'b [u8]>,
    target: Option<&'b [u8]>,
    upgrade: Option<&'b [u8]>,
}

impl<'b> KnownHeaders<'b> {
    fn among(headers: Headers<'b>) -> Self {
        let mut known = Self::default();
        for (name, value) in headers {
            let place = match name {
                b":authority" => &mut known.authority,
                b":method" => &mut known.method,
                b":path" => &mut known.target,
                b"accept" => &mut known.accept,
                b"access-control-request-method" => &mut known.access_control_request_method,
                b"content-type" => &mut known.content_type,
                b"if-modified-since" => &mut known.if_modified_since,
                b"if-none-match" => &mut known.if_none_match,
                b"if-range" => &mut known.if_range,
                b"next-action" => &mut known.next_action,
                b"origin" => &mut known.origin,
                b"referer" => &mut known.referer,
                b"sec-fetch-dest" => &mut known.sec_fetch_dest,
                b"sec-fetch-mode" => &mut known.sec_fetch_mode,
                b"sec-fetch-site" => &mut known.sec_fetch_site,
                b"sec-purpose" => &mut known.sec_purpose,
                b"upgrade" => &mut known.upgrade,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        known
    }
}

impl<'b> Request<'b> {
    /// The request with these headers, at this moment.
    #[must_use]
    pub fn new(headers: Headers<'b>, environment: &'b dyn Environment) -> Self {
        Self {
            headers,
            environment,
            known: KnownHeaders::among(headers),
        }
    }

    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'b [u8]> {
        self.headers.first(name)
    }

    /// All values of a header, in the order of its lines.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.headers.every(name)
    }

    /// The values of a cookie, in order. HTTP/1 may carry several `cookie` lines, HTTP/2 merges them.
    pub fn cookies(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.lines("cookie")
            .flat_map(move |line| cookies::values(line, name))
    }

    /// The requested host, without the port and without the dot that ends an absolute name.
    #[must_use]
    pub fn host(&self) -> Option<&'b [u8]> {
        let host = without_port(self.known.authority?);
        Some(host.strip_suffix(b".").unwrap_or(host))
    }

    /// Whether the path names a file other than a page: its last segment has an extension that is not
    /// `.html`.
    #[must_use]
    pub fn names_file(&self) -> bool {
        let mut segments = self.path().rsplit(|&byte| byte == b'/');
        let file = segments.next().unwrap_or_default();
        match file.iter().rposition(|&byte| byte == b'.') {
            Some(dot) => !file.get(dot..).is_some_and(|end| {
                end.eq_ignore_ascii_case(b".html") || end.eq_ignore_ascii_case(b".htm")
            }),
            None => false,
        }
    }

    /// The path, without query.
    #[must_use]
    pub fn path(&self) -> &'b [u8] {
        path_of(self.target())
    }

    /// The query, without its question mark; empty if there is none.
    #[must_use]
    pub fn query(&self) -> &'b [u8] {
        let target = self.target();
        let query = target.get(self.path().len()..).unwrap_or_default();
        let end = query.iter().position(|&byte| byte == b'#');
        query
            .get(..end.unwrap_or(query.len()))
            .and_then(|query| query.strip_prefix(b"?"))
            .unwrap_or_default()
    }

    /// Path and query without the parameters of these names, for a redirect. Leading slashes become
    /// one, because a browser takes `//elsewhere` for another host.
    #[must_use]
    pub fn location_without(&self, parameters: &[&str]) -> String {
        let path = self.path();
        let first = path
            .iter()
            .position(|byte| !matches!(byte, b'/' | b'\\'))
            .unwrap_or(path.len());
        let mut location = vec![b'/'];
        location.extend(path.get(first..).unwrap_or_default());
        let query = parameters
            .iter()
            .fold(self.query().to_vec(), |query, name| {
                query::without(&query, name)
            });
        if !query.is_empty() {
            location.push(b'?');
            location.extend(query);
        }
        match String::from_utf8(location) {
            Ok(location) if location.bytes().all(|byte| byte.is_ascii_graphic()) => location,
            _ => "/".to_owned(),
        }
    }

    fn target(&self) -> &'b [u8] {
        self.known.target.unwrap_or_default()
    }

    /// Seconds since 1970, UTC.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.environment.now()
    }

    /// A number drawn at random.
    #[must_use]
    pub fn draw(&self) -> u32 {
        self.environment.draw()
    }

    /// The method; empty if there is none.
    #[must_use]
    pub fn method(&self) -> &'b [u8] {
        self.known.method.unwrap_or_default()
    }

    /// Whether the method is one of these.
    #[must_use]
    pub fn has_method(&self, methods: &[&str]) -> bool {
        let method = self.method();
        methods.iter().any(|name| name.as_bytes() == method)
    }

    /// Whether this is a CORS preflight
    /// ([Fetch, CORS-preflight request](https://fetch.spec.whatwg.org/#cors-preflight-request)).
    #[must_use]
    pub fn is_preflight(&self) -> bool {
        self.known.access_control_request_method.is_some() && self.has_method(&["OPTIONS"])
    }

    /// The method and the headers that a preflight announces; empty where they are not tokens.
    #[must_use]
    pub fn announced(&self) -> (String, String) {
        let tokens = |value: Option<&[u8]>| {
            let value = value.unwrap_or_default();
            let is_list = value.iter().all(|&byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b',' | b' ')
            });
            let text = std::str::from_utf8(value).ok().filter(|_| is_list);
            text.unwrap_or_default().to_owned()
        };
        (
            tokens(self.known.access_control_request_method),
            tokens(self.header("access-control-request-headers")),
        )
    }

    /// Whether this is the post of a form whose answer a person will look at.
    #[must_use]
    pub fn is_form_post(&self) -> bool {
        !self.reads()
            && self
                .known
                .sec_fetch_mode
                .is_none_or(|mode| mode == b"navigate")
            && self.accepts_html()
    }

    /// The headers that make the answer depend on what the client has already, on a request that only
    /// reads ([RFC 9110, 13.1](https://www.rfc-editor.org/rfc/rfc9110#section-13.1)). On other methods
    /// they guard a write, and are not listed here.
    #[must_use]
    pub fn conditions(&self) -> Vec<&'static str> {
        let known = &self.known;
        if known
            .if_none_match
            .or(known.if_modified_since)
            .or(known.if_range)
            .is_none()
            || !self.reads()
        {
            return Vec::new();
        }
        [
            ("if-none-match", known.if_none_match),
            ("if-modified-since", known.if_modified_since),
            ("if-range", known.if_range),
            // Without its condition, a range would be cut from whatever is there now.
            ("range", known.if_range),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|_| name))
        .collect()
    }

    /// Whether the method only reads.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.has_method(&["GET", "HEAD"])
    }

    /// Whether a page of the same origin made the request.
    #[must_use]
    pub fn is_same_origin(&self) -> bool {
        self.known.sec_fetch_site == Some(b"same-origin")
    }

    /// Whether the browser came from another site.
    #[must_use]
    pub fn is_cross_site(&self) -> bool {
        self.known.sec_fetch_site == Some(b"cross-site")
    }

    /// Whether the browser loads this ahead of a click that may never come
    /// ([`Sec-Purpose`](https://wicg.github.io/nav-speculation/prefetch.html#sec-purpose-header)).
    #[must_use]
    pub fn is_speculative(&self) -> bool {
        self.known.sec_purpose.is_some()
    }

    /// Whether `<link rel=prefetch>` makes the request, which has no destination, for a script or a style.
    /// All that a page asks for which is rendered ahead says `prerender` too, its calls among it.
    fn is_link_prefetch(&self) -> bool {
        self.known
            .sec_purpose
            .is_some_and(|purpose| !purpose.windows(9).any(|word| word == b"prerender"))
    }

    /// Whether the request is for a service worker's script.
    #[must_use]
    pub fn is_service_worker_script(&self) -> bool {
        self.known.sec_fetch_dest == Some(b"serviceworker")
    }

    /// The origin of the page whose script makes the request, where the browser says.
    #[must_use]
    pub fn origin(&self) -> Option<&'b [u8]> {
        self.known.origin
    }

    /// The URL of the page of this host that called a Server Action of Next.js; absent where the request is
    /// not such a call, or nothing reliable says where it came from. It is the whole URL, because Next puts
    /// its `basePath` before a path, and the page's has it already. The path begins with one slash, because
    /// Next's router takes it out of the URL again.
    #[must_use]
    pub fn action_page(&self) -> Option<String> {
        self.known.next_action?;
        let authority = self.known.authority?;
        let referer = self.known.referer?;
        let after_scheme = referer
            .strip_prefix(b"https://")
            .or_else(|| referer.strip_prefix(b"http://"))?;
        let target = after_scheme.strip_prefix(authority)?;
        let is_path = target.starts_with(b"/")
            && !matches!(target.get(1), Some(b'/' | b'\\'))
            && target
                .iter()
                .all(|byte| byte.is_ascii_graphic() && *byte != b';');
        let page = referer.split(|&byte| byte == b'#').next()?;
        is_path
            .then(|| String::from_utf8(page.to_vec()).ok())
            .flatten()
    }

    /// The path of the page or worker that made the request, where the browser says.
    #[must_use]
    pub fn referring_path(&self) -> Option<&'b [u8]> {
        let referer = self.known.referer?;
        let after_scheme = referer.windows(3).position(|window| window == b"://")? + 3;
        let after = referer.get(after_scheme..)?;
        let slash = after.iter().position(|&byte| byte == b'/')?;
        after.get(slash..).map(path_of)
    }

    /// Whether `accept` names `text/html`, as a browser's does when a person will look at the answer.
    #[must_use]
    pub fn accepts_html(&self) -> bool {
        self.accepts(b"text/html")
    }

    fn accepts(&self, wanted: &[u8]) -> bool {
        self.known.accept.is_some_and(|accept| {
            accept
                .split(|&byte| byte == b',')
                .any(|range| media_type(range).eq_ignore_ascii_case(wanted))
        })
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

/// A request target without query and fragment.
fn path_of(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    target
        .get(..end.unwrap_or(target.len()))
        .unwrap_or_default()
}

/// An authority without its port. An IPv6 address holds colons itself, within brackets.
fn without_port(authority: &[u8]) -> &[u8] {
    match authority.iter().rposition(|&byte| byte == b':') {
        Some(colon) => match authority.split_at_checked(colon) {
            Some((host, port)) if port.iter().skip(1).all(u8::is_ascii_digit) => host,
            _ => authority,
        },
        None => authority,
    }
}
