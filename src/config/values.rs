//! What the strings of a configuration may be, each with what is allowed, as problems say it.

use time::{Date, Month};

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

/// 1 January 1970, as `time` counts days.
const FIRST_DAY: i32 = 2_440_588;

/// Headers that the application must not choose.
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

/// A name that needs no quotes anywhere.
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
///
/// The format is parsed here and the calendar left to `time`, whose own parser would add 10 KB to the module; the
/// tests compare the two.
pub fn time(text: &str) -> Option<u64> {
    // Between date and time may stand what is most readable (RFC 3339, section 5.6).
    let (date, rest) = text.as_bytes().split_at_checked(10)?;
    let (_, rest) = rest.split_first()?;
    let (time, rest) = rest.split_at_checked(8)?;
    let seconds = day(date)? * 86_400 + second_of_day(time)? - offset(after_fraction(rest)?)?;
    // A leap second ends a month. It counts as the second before.
    let is_leap = time.ends_with(b"60");
    let seconds = seconds - i64::from(is_leap);
    if is_leap && !ends_month(seconds) {
        return None;
    }
    u64::try_from(seconds).ok()
}

/// The number of a day, `2026-01-31`, counted from 1 January 1970.
fn day(date: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else {
        return None;
    };
    let year = 100 * i32::from(number(*y1, *y2)?) + i32::from(number(*y3, *y4)?);
    let month = Month::try_from(number(*m1, *m2)?).ok()?;
    let date = Date::from_calendar_date(year, month, number(*d1, *d2)?).ok()?;
    Some(i64::from(date.to_julian_day() - FIRST_DAY))
}

/// `18:00:00`; the last second may be a leap second.
fn second_of_day(time: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = time else {
        return None;
    };
    let (hour, minute, second) = (number(*h1, *h2)?, number(*m1, *m2)?, number(*s1, *s2)?);
    (hour < 24 && minute < 60 && second <= 60)
        .then(|| i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
}

/// What follows the fraction of a second, if there is one.
fn after_fraction(text: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = text.strip_prefix(b".") else {
        return Some(text);
    };
    let digits = fraction
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    fraction.get(digits..).filter(|_| digits > 0)
}

/// How many seconds a local time is ahead: `Z`, or `+01:00`.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, h1, h2, m1, m2) = match text {
        b"Z" | b"z" => return Some(0),
        [b'+', h1, h2, b':', m1, m2] => (1, h1, h2, m1, m2),
        [b'-', h1, h2, b':', m1, m2] => (-1, h1, h2, m1, m2),
        _ => return None,
    };
    let (hours, minutes) = (number(*h1, *h2)?, number(*m1, *m2)?);
    (hours < 24 && minutes < 60).then(|| sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}

/// Whether a second, counted from 1970, is the last of a month.
fn ends_month(second: i64) -> bool {
    let day = i32::try_from(second.div_euclid(86_400)).ok();
    let date = day.and_then(|day| Date::from_julian_day(FIRST_DAY + day).ok());
    second.rem_euclid(86_400) == 86_399
        && date.is_some_and(|date| date.day() == date.month().length(date.year()))
}

/// The number that two digits are.
fn number(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
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

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    fn as_time_reads_it(text: &str) -> Option<u64> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(time.unix_timestamp()).ok()
    }

    #[test]
    fn leap_seconds_and_leap_days_are_where_they_are() {
        for text in [
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:60Z",
            "1969-12-31T23:30:00-01:00",
            "2026-12-31T23:59:60Z",
            "2026-12-31T23:59:60.5z",
            "2026-12-30T23:59:60Z",
            "2026-12-31T23:58:60Z",
            "2027-01-01T00:59:60+01:00",
            "2026-11-30 13:29:60-10:30",
            "2024-02-29T23:59:60Z",
            "2024-02-29T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2000-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "9999-12-31T23:59:60-00:01",
            "9999-12-31T23:59:60-23:59",
            "9999-12-31T23:59:60Z",
            "0000-01-01T00:00:00+23:59",
        ] {
            assert_eq!(time(text), as_time_reads_it(text), "{text}");
        }
        assert_eq!(time("2026-12-01T18:00:00+01:00"), Some(1_796_144_400));
    }

    proptest! {
        #[test]
        fn a_time_is_read_as_time_reads_it(
            date in "[0-29][09][0-9]{2}-(0[0-9]|1[0-3])-([0-2][0-9]|3[0-2])",
            between in "[Tt ]|.",
            clock in "([01][0-9]|2[0-4]|23):([0-5][0-9]|59|60):([0-5][0-9]|59|60|61)",
            fraction in r"(\.[0-9]{0,12})?",
            zone in "Z|z|[+-]([01][0-9]|2[0-5]):([0-5][0-9]|60)|",
        ) {
            let text = format!("{date}{between}{clock}{fraction}{zone}");
            prop_assert_eq!(time(&text), as_time_reads_it(&text), "{}", text);
        }

        #[test]
        fn the_last_second_of_a_day_may_be_a_leap_second(
            date in "(19[6-9]|20[0-3])[0-9]-(0[1-9]|1[0-2])-(01|2[89]|3[01])",
            clock in "(23:59|00:59|22:59):60",
            zone in r"Z|[+-]0[01]:00",
        ) {
            let text = format!("{date}T{clock}{zone}");
            prop_assert_eq!(time(&text), as_time_reads_it(&text), "{}", text);
        }

        #[test]
        fn whatever_else_is_there_is_no_time(
            at in 0..25_usize,
            instead in "[-0-9:TZ.+é]{0,2}",
        ) {
            let mut text = "2026-12-01T18:00:00+01:00".to_owned();
            text.replace_range(at..at + 1, &instead);
            prop_assert_eq!(time(&text), as_time_reads_it(&text), "{}", text);
        }
    }
}
