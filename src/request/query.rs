//! The query of a URL.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The decoded values of a parameter, in order; what has no `=` is empty. `+` stays a plus sign: build
/// metadata is written with it, and no version holds a space.
pub fn values<'b>(query: &'b [u8], name: &str) -> impl Iterator<Item = Cow<'b, [u8]>> {
    query
        .split(|&byte| byte == b'&')
        .map(split_parameter)
        .filter(move |(key, _)| is_called(key, name))
        .map(|(_, value)| Cow::from(percent_decode(value)))
}

/// A query without the parameters of this name, otherwise unchanged.
#[must_use]
pub fn without(query: &[u8], name: &str) -> Vec<u8> {
    query
        .split(|&byte| byte == b'&')
        .filter(|parameter| !is_called(split_parameter(parameter).0, name))
        .collect::<Vec<_>>()
        .join(&b'&')
}

fn split_parameter(parameter: &[u8]) -> (&[u8], &[u8]) {
    match parameter.iter().position(|&byte| byte == b'=') {
        Some(at) => (
            parameter.get(..at).unwrap_or_default(),
            parameter.get(at + 1..).unwrap_or_default(),
        ),
        None => (parameter, &[]),
    }
}

/// Whether a key is this name. Decoding makes nothing longer, so the length rules most keys out.
fn is_called(key: &[u8], name: &str) -> bool {
    key == name.as_bytes() || key.len() > name.len() && percent_decode(key).eq(name.bytes())
}
