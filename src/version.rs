//! The token that names a release, and the patterns that match several.
//!
//! A [`Version`] is the only thing from a client that may enter a header, a cookie or an answer:
//! its alphabet contains nothing that could end a header line, a cookie or a JSON string.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;

/// The most characters that a version may have: one more than a pod label may have (63).
pub const MAX_LENGTH: usize = 64;

/// An opaque token that names a release: semver, a git SHA, a build number.
///
/// Matches `[A-Za-z0-9][A-Za-z0-9._+-]{0,63}`, always, and is not one of the words that a build writes if
/// its version was not set: `undefined`, `null`, `nan`, `none`, `unknown`, `true`, `false`, in any case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(String);

impl Version {
    /// What [`Version::parse`] takes, for error messages.
    pub const ALLOWED: &'static str = "1 to 64 of the characters A-Z a-z 0-9 . _ + -, the first a letter or a digit; not undefined, null, nan, none, unknown, true or false";

    /// The version that these bytes spell, if they spell one. Any bytes are allowed.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if !is_version(bytes) {
            return None;
        }
        std::str::from_utf8(bytes)
            .ok()
            .map(|text| Self(text.to_owned()))
    }

    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version as semver, if it is that. Not every version is: a git SHA is a version too.
    #[must_use]
    pub fn semver(&self) -> Option<semver::Version> {
        semver::Version::parse(&self.0).ok()
    }

    /// Whether this version is semver and comes before `floor`, build metadata aside
    /// ([semver.org, item 10](https://semver.org/#spec-item-10)).
    #[must_use]
    pub fn is_below(&self, floor: &semver::Version) -> bool {
        self.semver()
            .is_some_and(|semver| semver.cmp_precedence(floor) == Ordering::Less)
    }
}

/// What was found in a place in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Nothing.
    Absent,
    /// Something that is not a version.
    Invalid,
    /// A version.
    Usable(Version),
}

impl Reading {
    /// What these bytes are; no bytes are nothing.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        if value.is_empty() {
            return Self::Absent;
        }
        Version::parse(value).map_or(Self::Invalid, Self::Usable)
    }
}

impl Borrow<str> for Version {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_version(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_LENGTH
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|&byte| is_version_byte(byte))
        && !is_forgotten(bytes)
}

/// What scripts and templates make of an unset variable. If they counted as versions, one forgotten
/// variable would mean a reload answer for every visitor.
const FORGOTTEN: [&[u8]; 7] = [
    b"undefined",
    b"null",
    b"nan",
    b"none",
    b"unknown",
    b"true",
    b"false",
];

fn is_forgotten(bytes: &[u8]) -> bool {
    // Most versions begin with a digit.
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && FORGOTTEN
            .iter()
            .any(|word| bytes.eq_ignore_ascii_case(word))
}

/// Whether a byte may occur in a version, and so in a route: what a "word" is made of.
#[must_use]
pub fn is_version_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-')
}

/// Which client versions a release also serves.
#[derive(Clone, Debug)]
pub enum VersionPattern {
    /// This version.
    Exact(Version),
    /// All versions with this beginning: `1.4.*` is the prefix `1.4.`.
    Prefix(String),
    /// All semver versions in a range: `>=1.2, <2`.
    Range(semver::VersionReq),
}

impl VersionPattern {
    /// What [`VersionPattern::parse`] takes, for error messages.
    pub const ALLOWED: &'static str =
        "an exact version, a prefix such as \"1.4.*\", or a semver range such as \">=1.2, <2\"";

    /// The pattern that a text spells, or `None`.
    ///
    /// A text that could be a version is that version: `1.4` is exact, `1.4.*` a prefix.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(version) = Version::parse(text.as_bytes()) {
            return Some(Self::Exact(version));
        }
        if let Some(prefix) = text
            .strip_suffix('*')
            .filter(|prefix| prefix.ends_with('.') && is_version(prefix.as_bytes()))
        {
            return Some(Self::Prefix(prefix.to_owned()));
        }
        semver::VersionReq::parse(text).ok().map(Self::Range)
    }

    /// Whether the pattern matches this version.
    ///
    /// A range compares by precedence, so build metadata never matters; a pre-release is in a range
    /// only where the range names a pre-release of the same version, as everywhere in Rust's and
    /// Node's tooling.
    #[must_use]
    pub fn matches(&self, version: &Version) -> bool {
        self.matches_as(version, version.semver().as_ref())
    }

    /// The same for a version that has already been parsed as semver, successfully or not.
    #[must_use]
    pub fn matches_as(&self, version: &Version, semver: Option<&semver::Version>) -> bool {
        match self {
            Self::Exact(exact) => exact == version,
            Self::Prefix(prefix) => version.as_str().starts_with(prefix.as_str()),
            Self::Range(range) => semver.is_some_and(|semver| range.matches(semver)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Option<Version> {
        Version::parse(text.as_bytes())
    }

    #[test]
    fn semver_a_git_sha_and_a_build_number_are_versions() {
        for text in [
            "2.0.0",
            "1.0.0-rc.1+build.5",
            "9f86d081884c7d65",
            "20261121-3",
            "7",
        ] {
            assert_eq!(version(text).as_ref().map(Version::as_str), Some(text));
        }
    }

    #[test]
    fn what_is_empty_too_long_or_outside_the_alphabet_is_no_version() {
        assert!(version(&"a".repeat(64)).is_some());
        for text in [
            "",
            &"a".repeat(65),
            "-1",
            ".1",
            "1 2",
            "1\r\n2",
            "1;2",
            "1%2",
            "é",
            "1~2",
        ] {
            assert!(version(text).is_none(), "{text:?}");
        }
        assert!(Version::parse(&[b'1', 0xff]).is_none());
    }

    #[test]
    fn what_a_build_writes_that_forgot_its_version_is_no_version() {
        for text in [
            "undefined",
            "null",
            "NaN",
            "None",
            "UNKNOWN",
            "true",
            "False",
        ] {
            assert!(version(text).is_none(), "{text}");
        }
        assert!(version("nullable").is_some());
    }

    #[track_caller]
    fn assert_matches(pattern: &str, text: &str, expected: bool) {
        let pattern = VersionPattern::parse(pattern).expect("a pattern");
        assert_eq!(
            pattern.matches(&version(text).expect("a version")),
            expected
        );
    }

    #[test]
    fn an_exact_pattern_matches_to_the_letter() {
        assert_matches("1.2.3", "1.2.3", true);
        assert_matches("1.2.3", "1x2-3", false);
        assert_matches("1.2.3", "1.2.3+build", false);
    }

    #[test]
    fn a_prefix_ends_at_a_dot() {
        assert_matches("1.4.*", "1.4.2", true);
        assert_matches("1.4.*", "1.40.2", false);
        assert_matches("1.4.*", "1.4", false);
        assert!(VersionPattern::parse("1.4*").is_none());
    }

    #[test]
    fn a_range_compares_by_precedence_and_never_matches_what_is_not_semver() {
        assert_matches(">=1.2, <2", "1.2.0", true);
        assert_matches(">=1.2, <2", "1.10.0+build.7", true);
        assert_matches(">=1.2, <2", "2.0.0", false);
        assert_matches(">=1.2, <2", "1.3.0-rc.1", false);
        assert_matches(">=1.2, <2", "9f86d08", false);
    }

    #[test]
    fn what_is_neither_version_nor_prefix_nor_range_is_no_pattern() {
        for text in ["", ">=banana", "*.1", "1.*.3.4", "a b"] {
            assert!(VersionPattern::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn only_semver_can_be_below_a_floor_and_build_metadata_does_not_count() {
        let floor = semver::Version::new(1, 4, 0);
        let below = |text: &str| version(text).expect("a version").is_below(&floor);
        assert!(below("1.3.9"));
        assert!(below("1.4.0-rc.1"));
        assert!(!below("1.4.0+build.1"));
        assert!(!below("9f86d08"));
    }
}
