//! The `cookie` header, and `baggage`, which is written much like it.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The values of a cookie in one line, in order: a browser with cookies of several paths or domains
/// sends the name more than once. Names are exact, the first `=` splits, quotes around the value are
/// none of it ([RFC 6265, 4.1.1](https://www.rfc-editor.org/rfc/rfc6265#section-4.1.1)); what has no
/// `=` is not a cookie.
pub fn values<'b>(line: &'b [u8], name: &str) -> impl Iterator<Item = &'b [u8]> {
    line.split(|&byte| byte == b';')
        .filter_map(move |pair| value_of(pair, name))
        .map(unquoted)
}

/// The value of a baggage member in one line: `key=value;property`, percent-encoded
/// ([W3C Baggage, 3.2](https://www.w3.org/TR/baggage/#header-content)).
#[must_use]
pub fn baggage<'b>(line: &'b [u8], key: &str) -> Option<Cow<'b, [u8]>> {
    line.split(|&byte| byte == b',')
        .find_map(|member| value_of(member, key))
        .and_then(|value| value.split(|&byte| byte == b';').next())
        .map(|value| Cow::from(percent_decode(value.trim_ascii())))
}

/// The value of `name=value`, if that is the name; blanks around either are none of it.
fn value_of<'b>(pair: &'b [u8], name: &str) -> Option<&'b [u8]> {
    pair.trim_ascii_start()
        .strip_prefix(name.as_bytes())?
        .trim_ascii_start()
        .strip_prefix(b"=")
        .map(<[u8]>::trim_ascii)
}

fn unquoted(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value)
}
