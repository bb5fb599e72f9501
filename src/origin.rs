//! Origins whose scripts may read the filter's own answers.

use crate::scope::HostPattern;

/// An origin, or all of one scheme and port below a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    /// Lower-case.
    scheme: String,
    host: HostPattern,
    /// Absent if it is the scheme's default, which browsers leave out.
    port: Option<u16>,
}

impl OriginPattern {
    /// What [`OriginPattern::parse`] takes, for error messages.
    pub const ALLOWED: &'static str =
        "an origin \"https://app.example.com\", or all below one \"https://*.example.com\"";

    /// The pattern that a text spells, or `None`. An application's own scheme is allowed:
    /// `capacitor://localhost`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        if !is_scheme(scheme) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = split_port(authority)?;
        Some(Self {
            port: port.filter(|&port| Some(port) != default_port(&scheme)),
            host: HostPattern::parse(host).filter(|host| *host != HostPattern::Any)?,
            scheme,
        })
    }

    /// Whether this is what a browser sends for such a page.
    #[must_use]
    pub fn holds(&self, origin: &str) -> bool {
        let Some(origin) = Self::parse(origin) else {
            return false;
        };
        let HostPattern::Exact(name) = &origin.host else {
            return false;
        };
        let is_host = match &self.host {
            HostPattern::Any => false,
            HostPattern::Exact(host) => host == name,
            HostPattern::Suffix(suffix) => name.ends_with(suffix),
        };
        is_host && self.scheme == origin.scheme && self.port == origin.port
    }
}

/// [RFC 3986, 3.1](https://www.rfc-editor.org/rfc/rfc3986#section-3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        // A colon in brackets is part of an address.
        Some((host, port)) if !port.ends_with(']') => Some((host, Some(port.parse().ok()?))),
        _ => Some((authority, None)),
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}
