//! Where a version is read from: the places in a request that can carry one.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode;

use crate::pin::Pin;
use crate::request::{Request, cookies, query};
use crate::version::Reading;

/// A place where a request carries its client version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A request header, by its lower-case name.
    Header(String),
    /// A query parameter.
    Query(String),
    /// A segment of the path.
    Path(PathTemplate),
    /// A cookie.
    Cookie(String),
    /// A member of the W3C `baggage` header.
    Baggage(String),
    /// The pin cookie, which holds a version and perhaps a bucket before it.
    Pin(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header \"{name}\""),
            Self::Query(name) => write!(f, "query \"{name}\""),
            Self::Path(template) => write!(f, "path \"{template}\""),
            Self::Cookie(name) => write!(f, "cookie \"{name}\""),
            Self::Baggage(key) => write!(f, "baggage \"{key}\""),
            Self::Pin(name) => write!(f, "pinCookie \"{name}\""),
        }
    }
}

/// What carries a client version. It determines what caches may do, and what the version may pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A request header, or baggage.
    Header,
    /// Query or path, which a link can choose.
    Url,
    /// A cookie, which is not part of a cache's key.
    Cookie,
}

impl Source {
    /// Whether the version is in the URL, which a link can choose.
    #[must_use]
    pub fn is_in_url(&self) -> bool {
        self.carrier() == Carrier::Url
    }

    /// What carries the version here.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        match self {
            Self::Header(_) | Self::Baggage(_) => Carrier::Header,
            Self::Query(_) | Self::Path(_) => Carrier::Url,
            Self::Cookie(_) | Self::Pin(_) => Carrier::Cookie,
        }
    }

    /// What the request has in this place. Any bytes are allowed.
    #[must_use]
    pub fn read(&self, request: &Request<'_>) -> Reading {
        match self {
            Self::Header(name) => request
                .header(name)
                .map_or(Reading::Absent, |value| Reading::of(once(value))),
            Self::Query(name) => {
                first_usable(query::values(request.query(), name).map(|value| Reading::of(&value)))
            }
            Self::Path(template) => template
                .find(request.path())
                .map_or(Reading::Absent, |segment| {
                    Reading::of(&Cow::from(percent_decode(segment)))
                }),
            Self::Cookie(name) => first_usable(request.cookies(name).map(Reading::of)),
            Self::Pin(name) => first_usable(Pin::all(request, name).map(|pin| pin.version)),
            Self::Baggage(key) => request
                .lines("baggage")
                .find_map(|line| cookies::baggage(line, key))
                .map_or(Reading::Absent, |value| Reading::of(&value)),
        }
    }
}

/// A header's value if it was added twice with the same content: `1.4.2, 1.4.2`.
fn once(value: &[u8]) -> &[u8] {
    let mut values = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    match values.next() {
        Some(first) if values.all(|other| other == first) => first,
        _ => value,
    }
}

/// The first usable version: a parameter may occur twice, once empty.
fn first_usable(readings: impl Iterator<Item = Reading>) -> Reading {
    let mut found = Reading::Absent;
    for reading in readings {
        match reading {
            Reading::Absent => {}
            Reading::Invalid => found = Reading::Invalid,
            usable @ Reading::Usable(_) => return usable,
        }
    }
    found
}

/// A path prefix with the version in one segment: `/assets/v-{version}/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathTemplate {
    /// All before the version: `/assets/v-`.
    before: String,
    /// What follows the version in its segment, usually nothing.
    behind: String,
    /// All after that segment, with its slash: `/`. Empty where the segment may be the last.
    rest: String,
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{version}}{}{}", self.before, self.behind, self.rest)
    }
}

impl PathTemplate {
    /// What [`PathTemplate::parse`] takes, for error messages.
    pub const ALLOWED: &'static str = "a path prefix with {version} once, in a segment that also has a literal part: \"/assets/v-{version}/\"";

    /// The template that a text spells, or `None`. The literal part keeps `/assets/img/x.png` from
    /// being version `img`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.split_once("{version}")?;
        let segment_starts = before.rfind('/')? + 1;
        let segment_ends = after.find('/').unwrap_or(after.len());
        let (behind, rest) = after.split_at_checked(segment_ends)?;
        let has_literal = before.len() > segment_starts || !behind.is_empty();
        let is_plain = |part: &str| {
            part.bytes()
                .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}' | b'?' | b'#'))
        };
        (before.starts_with('/') && has_literal && is_plain(before) && is_plain(after)).then(|| {
            Self {
                before: before.to_owned(),
                behind: behind.to_owned(),
                rest: rest.to_owned(),
            }
        })
    }

    /// The bytes in a path in the place of the version, if the path fits.
    fn find<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let after = path.strip_prefix(self.before.as_bytes())?;
        let segment_ends = after
            .iter()
            .position(|&byte| byte == b'/')
            .unwrap_or(after.len());
        let (segment, rest) = after.split_at_checked(segment_ends)?;
        rest.strip_prefix(self.rest.as_bytes())?;
        segment.strip_suffix(self.behind.as_bytes())
    }
}
