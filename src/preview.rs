//! How a tester reaches a staged release: with a key that only testers know, in a header, a link or
//! the cookie that the link sets.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::request::{Request, query};
use crate::version::Version;

/// Where the key is looked for, and its hash.
#[derive(Clone, Debug)]
pub struct PreviewAccess {
    /// The SHA-256 of the key.
    pub sha256: [u8; 32],
    /// The request header that carries the key.
    pub header: String,
    /// The query parameter that carries key and version, or `off`.
    pub query: String,
    /// The cookie that keeps them.
    pub cookie: String,
    /// The domain that the cookie is sent to; absent: only the host.
    pub domain: Option<String>,
}

impl PreviewAccess {
    /// The request header that carries the key, where none is named.
    pub const DEFAULT_HEADER: &'static str = "x-preview-key";
    /// The query parameter, where none is named.
    pub const DEFAULT_QUERY: &'static str = "preview";
    /// The cookie, where none is named.
    pub const DEFAULT_COOKIE: &'static str = "__preview";
}

/// A valid key, presented with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The version that the preview cookie names, where the key came with the cookie.
    pub version: Option<Version>,
}

impl Preview {
    /// The preview for which a request presents a valid key.
    #[must_use]
    pub fn presented(access: &PreviewAccess, request: &Request<'_>) -> Option<Self> {
        let by_cookie = request
            .cookies(&access.cookie)
            .find_map(|value| open(access, value))
            .map(|version| Self {
                version: Some(version),
            });
        by_cookie.or_else(|| {
            let key = request.header(&access.header)?;
            is_key(access, key).then_some(Self { version: None })
        })
    }
}

/// What a preview link asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// To preview this version.
    Open(Version, Redirect),
    /// To end the preview.
    Off(Redirect),
}

/// Where a preview link sends the browser, and with which cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The `Set-Cookie` line.
    pub set_cookie: String,
    /// The same URL without the key.
    pub location: String,
}

impl Link {
    /// The preview link that this request's URL is. A wrong key counts as none, and nothing gives
    /// away that it was one.
    #[must_use]
    pub fn read(access: &PreviewAccess, request: &Request<'_>) -> Option<Self> {
        let value = query::values(request.query(), &access.query).next()?;
        let location = request.location_without(&[&access.query]);
        if *value == *b"off" {
            return Some(Self::Off(Redirect {
                set_cookie: format!("{}=; Max-Age=0{}", access.cookie, attributes(access)),
                location,
            }));
        }
        let version = open(access, &value)?;
        let key = value.get(..value.len() - version.as_str().len() - 1)?;
        let set_cookie = format!(
            "{}={}:{version}{}",
            access.cookie,
            percent_encode(key, NON_ALPHANUMERIC),
            attributes(access)
        );
        Some(Self::Open(
            version,
            Redirect {
                set_cookie,
                location,
            },
        ))
    }
}

fn attributes(access: &PreviewAccess) -> String {
    let domain = access
        .domain
        .as_ref()
        .map_or_else(String::new, |domain| format!("; Domain={domain}"));
    format!("{domain}; Path=/; SameSite=Lax; Secure; HttpOnly")
}

/// The version of `<key>:<version>`, if the key is right. The key may be percent-encoded, as it is in
/// the cookie, and may hold colons.
fn open(access: &PreviewAccess, value: &[u8]) -> Option<Version> {
    let colon = value.iter().rposition(|&byte| byte == b':')?;
    let (key, version) = (value.get(..colon)?, value.get(colon + 1..)?);
    (is_key(access, key) || is_key(access, &Cow::from(percent_decode(key))))
        .then(|| Version::parse(version))
        .flatten()
}

/// Longer values cannot be the key and are not hashed: anybody may send them.
const MAX_KEY_LENGTH: usize = 256;

fn is_key(access: &PreviewAccess, key: &[u8]) -> bool {
    if key.len() > MAX_KEY_LENGTH {
        return false;
    }
    let digest = Sha256::digest(key);
    digest.as_slice().ct_eq(&access.sha256).into()
}
