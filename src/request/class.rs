//! What kind of request it is, by Fetch Metadata where a browser says it, and by `accept` and content type.

use super::{Request, media_type};

/// What kind of request a browser makes: it determines what a version may mean and how "gone" is
/// answered.
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
impl Request<'_> {
    /// Whether what this opens may stay open for long: a WebSocket or another protocol, an event stream, a gRPC call.
    /// Over HTTP/2 and HTTP/3 a WebSocket is an extended CONNECT, which Envoy makes an `upgrade` of before any filter
    /// sees it. `h2c` does not count as another protocol: some clients offer it with every request.
    #[must_use]
    pub fn opens_stream(&self) -> bool {
        self.known
            .upgrade
            .is_some_and(|protocol| !protocol.eq_ignore_ascii_case(b"h2c"))
            || self.grpc().is_some()
            || self.accepts(b"text/event-stream")
    }

    /// The dialect of gRPC that the body is in, if it is.
    #[must_use]
    pub fn grpc(&self) -> Option<Grpc> {
        Grpc::of(self.known.content_type?)
    }

    /// The class, by Fetch Metadata
    /// ([W3C Fetch Metadata](https://www.w3.org/TR/fetch-metadata/)), and by `accept` without it.
    #[must_use]
    pub fn class(&self) -> Class {
        let Some(mode) = self.known.sec_fetch_mode else {
            return self.class_without_fetch_metadata();
        };
        let destination = self.known.sec_fetch_dest.unwrap_or_default();
        let reads = self.reads();
        match (mode, destination) {
            (b"navigate", b"document" | b"empty" | b"") if reads => Class::Navigation,
            (b"navigate", b"iframe" | b"frame" | b"embed" | b"object") if reads => Class::Framed,
            (b"same-origin", b"empty") if reads && self.accepts_html() => Class::Navigation,
            (_, destination) if is_asset_destination(destination) => Class::Asset,
            _ if reads && self.is_link_prefetch() && !self.accepts_html() => Class::Asset,
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
