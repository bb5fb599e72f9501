//! Where a version is read from: the places in a request that can carry one.

use std::fmt;

use percent_encoding::percent_decode;

use crate::pin::Pin;
use crate::request::Request;
use crate::version::Version;

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

/// What carries a client version: it decides what caches may do, and whom the version may pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A request header, or baggage.
    Header,
    /// Query or path, which a link can choose.
    Url,
    /// A cookie, which is no part of a cache's key.
    Cookie,
}

/// What a source held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Nothing.
    Absent,
    /// Something that is not a version.
    Invalid,
    /// A version.
    Usable(Version),
}

impl Source {
    /// Whether the version stands in the URL, which a link can choose.
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

    /// What the request holds in this place. Any bytes are welcome.
    #[must_use]
    pub fn read(&self, request: &Request<'_>) -> Reading {
        match self {
            Self::Header(name) => request.header(name).map_or(Reading::Absent, |value| {
                Reading::of(value.trim_ascii().to_vec())
            }),
            Self::Query(name) => in_query(request.query(), name),
            Self::Path(template) => template
                .find(request.path())
                .map_or(Reading::Absent, |segment| Reading::of(decoded(segment))),
            Self::Cookie(name) => cookie(request, name).map_or(Reading::Absent, Reading::of),
            Self::Pin(name) => Pin::read(request, name).map_or(Reading::Absent, |pin| pin.version),
            Self::Baggage(key) => request
                .find_in_baggage(|line| in_baggage(line, key))
                .map_or(Reading::Absent, Reading::of),
        }
    }
}

impl Reading {
    /// What these bytes hold; none are nothing.
    #[must_use]
    pub fn of(value: Vec<u8>) -> Self {
        if value.is_empty() {
            return Self::Absent;
        }
        Version::parse(value).map_or(Self::Invalid, Self::Usable)
    }
}

/// The first value of a cookie. Names are exact, the first `=` splits, quotes around the value are
/// none of it ([RFC 6265, 4.1.1](https://www.rfc-editor.org/rfc/rfc6265#section-4.1.1)); what has no
/// `=` is no cookie.
#[must_use]
pub fn cookie(request: &Request<'_>, name: &str) -> Option<Vec<u8>> {
    request.find_in_cookies(|line| {
        line.split(|&byte| byte == b';')
            .filter_map(name_and_value)
            .find(|(key, _)| *key == name.as_bytes())
            .map(|(_, value)| unquoted(value).to_vec())
    })
}

/// The decoded values of a query parameter, in order; what has no `=` is empty.
pub fn query_values<'a>(query: &'a [u8], name: &'a str) -> impl Iterator<Item = Vec<u8>> + 'a {
    query_parameters(query)
        .filter(|(key, _)| decoded(key) == name.as_bytes())
        .map(|(_, value)| decoded(value))
}

/// A query without the parameters of this name, as it was otherwise.
#[must_use]
pub fn query_without(query: &[u8], name: &str) -> Vec<u8> {
    query
        .split(|&byte| byte == b'&')
        .filter(|parameter| decoded(split_parameter(parameter).0) != name.as_bytes())
        .collect::<Vec<_>>()
        .join(&b'&')
}

/// The first usable value, since a parameter may come twice and be empty once. `+` stays a plus
/// sign: build metadata is written with it, and no version holds a space.
fn in_query(query: &[u8], name: &str) -> Reading {
    let mut found = Reading::Absent;
    for value in query_values(query, name) {
        match Reading::of(value) {
            Reading::Absent => {}
            Reading::Invalid => found = Reading::Invalid,
            usable @ Reading::Usable(_) => return usable,
        }
    }
    found
}

fn query_parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&byte| byte == b'&').map(split_parameter)
}

fn split_parameter(parameter: &[u8]) -> (&[u8], &[u8]) {
    split_once(parameter, b'=').unwrap_or((parameter, &[]))
}

/// The value of a baggage member: `key=value;property`, percent-encoded
/// ([W3C Baggage, 3.2](https://www.w3.org/TR/baggage/#header-content)).
fn in_baggage(line: &[u8], key: &str) -> Option<Vec<u8>> {
    line.split(|&byte| byte == b',')
        .filter_map(|member| name_and_value(member.split(|&byte| byte == b';').next()?))
        .find(|(name, _)| *name == key.as_bytes())
        .map(|(_, value)| decoded(value))
}

fn name_and_value(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    split_once(pair, b'=').map(|(name, value)| (name.trim_ascii(), value.trim_ascii()))
}

fn unquoted(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value)
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == separator)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    percent_decode(bytes).collect()
}

/// A path prefix with the version in one segment: `/assets/v-{version}/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathTemplate {
    /// All before the version: `/assets/v-`.
    before: String,
    /// What follows the version in its segment, mostly nothing.
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

    /// The bytes that stand in a path where the version should, if the path fits.
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
