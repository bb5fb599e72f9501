//! The requests that the filter handles: a gateway is shared, and other applications on it must not
//! notice the filter.

use std::fmt;

use crate::request::Request;

/// Which requests are in scope.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The hosts in scope; empty: all.
    hosts: Vec<HostPattern>,
    /// The paths in scope; empty: all.
    paths: Vec<PathPrefix>,
}

impl Scope {
    /// A scope of hosts and paths; an absent list means all.
    #[must_use]
    pub fn new(hosts: Option<Vec<HostPattern>>, paths: Option<Vec<PathPrefix>>) -> Self {
        let mut hosts = hosts.unwrap_or_default();
        if hosts.contains(&HostPattern::Any) {
            hosts.clear();
        }
        Self {
            hosts,
            paths: paths.unwrap_or_default(),
        }
    }

    /// Whether the request is in scope.
    #[must_use]
    pub fn holds(&self, request: &Request<'_>) -> bool {
        self.holds_host(request) && (self.paths.is_empty() || self.holds_path(request.path()))
    }

    /// A back end may take `//api` for `/api`, and then a client must not choose its release there.
    fn holds_path(&self, path: &[u8]) -> bool {
        let mut merged = path.to_vec();
        merged.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
        is_below(&self.paths, path) || is_below(&self.paths, &merged)
    }

    fn holds_host(&self, request: &Request<'_>) -> bool {
        self.hosts.is_empty()
            || request
                .host()
                .is_some_and(|host| self.hosts.iter().any(|pattern| pattern.matches(host)))
    }
}

/// A host name, or all below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// `*`: every host.
    Any,
    /// `shop.example.com`, lower-case.
    Exact(String),
    /// `*.example.com` is the suffix `.example.com`, lower-case.
    Suffix(String),
}

impl HostPattern {
    /// What [`HostPattern::parse`] takes, for error messages.
    pub const ALLOWED: &'static str = "a host name \"shop.example.com\", all below one \"*.example.com\", or \"*\"; without scheme and port";

    /// The pattern that a text spells, or `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let (name, is_suffix) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        if !is_host(name) {
            return None;
        }
        let name = name.to_ascii_lowercase();
        Some(if is_suffix {
            Self::Suffix(format!(".{name}"))
        } else {
            Self::Exact(name)
        })
    }

    fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => host.eq_ignore_ascii_case(name.as_bytes()),
            Self::Suffix(suffix) => host
                .len()
                .checked_sub(suffix.len())
                .filter(|&label| label > 0)
                .and_then(|start| host.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes())),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// A name, or an address; an IPv6 address within brackets.
fn is_host(text: &str) -> bool {
    if let Some(address) = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

/// A path and all below it, by whole segments: `/checkout` holds `/checkout/pay`, not `/checkouts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix(String);

impl PathPrefix {
    /// What [`PathPrefix::parse`] takes, for error messages.
    pub const ALLOWED: &'static str = "a path prefix that begins with \"/\", without query";

    /// The prefix that a text spells, or `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'*'));
        (text.starts_with('/') && is_plain).then(|| Self(text.trim_end_matches('/').to_owned()))
    }

    /// Whether a path, without query, is this one or below it. Parameters of a segment (`;jsessionid=…`,
    /// [RFC 3986, 3.3](https://www.rfc-editor.org/rfc/rfc3986#section-3.3)) are not part of its name.
    #[must_use]
    pub fn holds(&self, path: &[u8]) -> bool {
        path.strip_prefix(self.0.as_bytes())
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b';')))
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

/// Whether a path is below one of these.
#[must_use]
pub fn is_below(prefixes: &[PathPrefix], path: &[u8]) -> bool {
    prefixes.iter().any(|prefix| prefix.holds(path))
}

/// A pattern in a scope.
pub trait Overlaps {
    /// Whether anything matches both.
    fn overlaps(&self, other: &Self) -> bool;
}

impl Overlaps for HostPattern {
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Exact(name), pattern) | (pattern, Self::Exact(name)) => {
                pattern.matches(name.as_bytes())
            }
            (Self::Suffix(one), Self::Suffix(other)) => {
                one.ends_with(other.as_str()) || other.ends_with(one.as_str())
            }
        }
    }
}

impl Overlaps for PathPrefix {
    fn overlaps(&self, other: &Self) -> bool {
        self.holds(other.0.as_bytes()) || other.holds(self.0.as_bytes())
    }
}

/// Whether two scopes have something in common; an absent list stands for everything.
#[must_use]
pub fn overlap<E: Overlaps>(one: Option<&[E]>, other: Option<&[E]>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one
            .iter()
            .any(|part| other.iter().any(|another| part.overlaps(another))),
        _ => true,
    }
}
