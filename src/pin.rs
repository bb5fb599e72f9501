//! The pin cookie: the version that a visitor's page came from, and, where `current` has weights, a
//! random bucket that decides which release the visitor gets.
//!
//! Its value is `2.0.0`, or `3fa2c1d0~2.0.0`: a bucket of eight hexadecimal digits before a `~`, which
//! no version contains.

use sha2::{Digest, Sha256};

use crate::request::Request;
use crate::version::{Reading, Version};

/// The cookie itself, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinCookie {
    /// Its name.
    pub name: String,
    /// How long the browser keeps it, in seconds; absent: for the session.
    pub max_age_seconds: Option<u64>,
    /// The domain that it is sent to; absent: only the host.
    pub domain: Option<String>,
    /// The path that it is sent to.
    pub path: String,
    /// Whether other sites' links and requests carry it.
    pub same_site: SameSite,
    /// Whether it is sent over TLS only.
    pub secure: bool,
}

impl PinCookie {
    /// All paths.
    pub const DEFAULT_PATH: &'static str = "/";
}

/// The cookie attribute of this name. There is no `Strict`: it drops the cookie on a navigation from
/// another site but not on the assets of the page that follows, which is half a pin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Sent with navigations from other sites.
    #[default]
    Lax,
    /// Sent with every request: for an application in other sites' frames. Needs `secure`.
    None,
}

/// The random number that places a visitor among weighted releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket(pub u32);

/// What a visitor's pin cookie says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The bucket, if one was drawn.
    pub bucket: Option<Bucket>,
    /// The version.
    pub version: Reading,
}

impl Pin {
    /// The pins that the request carries, in order. There are several if the cookie was once set with
    /// another domain or path.
    pub fn all<'b>(request: &Request<'b>, name: &str) -> impl Iterator<Item = Self> {
        request.cookies(name).map(Self::parse)
    }

    /// The pin that a cookie's value spells. Any bytes are allowed: what is not a bucket and a
    /// version is an invalid version.
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let (bucket, version) = match value.iter().position(|&byte| byte == b'~') {
            Some(at) => (
                value.get(..at).and_then(Bucket::parse),
                value.get(at + 1..).unwrap_or_default(),
            ),
            None => (None, value),
        };
        Self {
            bucket,
            version: Reading::of(version),
        }
    }
}

impl Bucket {
    fn parse(digits: &[u8]) -> Option<Self> {
        let is_bucket = digits.len() == 8 && digits.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_bucket)?;
        u32::from_str_radix(digits, 16).ok().map(Self)
    }

    /// Which of these this bucket gets, by weighted rendezvous hashing: each release draws a score from
    /// the bucket and its own version, and the highest wins. Raising a release's weight raises its
    /// scores and no others, so it moves visitors towards that release only
    /// ([Schindelhauer and Schomaker, 2005](https://doi.org/10.1145/1073970.1074008)).
    ///
    /// `None` if no release has a weight.
    #[must_use]
    pub fn choose<'r, R>(self, shares: impl Iterator<Item = (&'r Version, u64, R)>) -> Option<R> {
        shares
            .filter(|(_, weight, _)| *weight > 0)
            .map(|(version, weight, release)| (self.score(version, weight), release))
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, release)| release)
    }

    /// `-weight / ln(u)` with `u` uniform in (0, 1): larger for larger weights, at the right odds. The
    /// logarithm is not the platform's, which would differ in its last bit between tool and module.
    #[allow(clippy::cast_precision_loss)] // A weight is at most 10,000, and 53 bits of a hash are enough.
    fn score(self, version: &Version, weight: u64) -> f64 {
        let digest = Sha256::new()
            .chain_update(self.0.to_be_bytes())
            .chain_update(version.as_str())
            .finalize();
        let hash = digest
            .iter()
            .take(8)
            .fold(0_u64, |hash, &byte| hash << 8 | u64::from(byte));
        let uniform = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -(weight as f64) / libm::log(uniform)
    }
}
