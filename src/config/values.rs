//! What the texts of a configuration may be, each with what is allowed in the words of a problem.

use crate::scope::HostPattern;
use crate::version::Version;

use super::MinVersion;

pub const HEADER: &str = "the name of a header: letters, digits and - _ ., not a hop-by-hop header, host, cookie or content-*";
pub const QUERY: &str = "the name of a query parameter: letters, digits and - _ .";
pub const COOKIE: &str = "the name of a cookie: letters, digits and - _ .";
pub const BAGGAGE: &str = "a key of the baggage header: a token";
pub const SEMVER: &str = "a semver version: \"1.4.0\"";
pub const TIME: &str = "an RFC 3339 time: \"2026-01-31T18:00:00Z\"";
pub const COOKIE_DOMAIN: &str = "a host name: \"example.com\"";
pub const COOKIE_PATH: &str = "a path that begins with \"/\"";
pub const SHA256: &str = "the SHA-256 of the key, 64 hexadecimal digits";

/// Headers that are not the application's to choose.
const RESERVED_HEADERS: &[&str] = &[
    "authorization",
    "connection",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header that may be written and read without breaking the message that carries it.
pub fn header(text: &str) -> Option<String> {
    let name = text.to_ascii_lowercase();
    let is_plain = is_token(&name) && name.len() <= 128;
    (is_plain && !RESERVED_HEADERS.contains(&name.as_str()) && !name.starts_with("content-"))
        .then_some(name)
}

/// A name that needs no quotes, wherever it stands.
pub fn token(text: &str) -> Option<String> {
    is_token(text).then(|| text.to_owned())
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

pub fn version(text: &str) -> Option<Version> {
    Version::parse(text.as_bytes())
}

pub fn min_version(text: &str) -> Option<MinVersion> {
    Some(MinVersion {
        written: text.to_owned(),
        semver: semver::Version::parse(text).ok()?,
    })
}

/// In seconds since 1970.
pub fn time(text: &str) -> Option<u64> {
    let time =
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp()).ok()
}

pub fn cookie_domain(text: &str) -> Option<String> {
    let host = text.strip_prefix('.').unwrap_or(text);
    matches!(HostPattern::parse(host)?, HostPattern::Exact(_)).then(|| host.to_owned())
}

pub fn cookie_path(text: &str) -> Option<String> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b';');
    (text.starts_with('/') && is_plain).then(|| text.to_owned())
}

pub fn sha256(text: &str) -> Option<[u8; 32]> {
    let mut sha256 = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in sha256.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(sha256)
}
