//! An application's answers, with ten headers each.

use crate::Headers;

/// The answer to a request, both as HTTP/1.1 text.
#[must_use]
pub fn to(request: &[u8]) -> &'static [u8] {
    let target = request
        .split(|&byte| byte == b' ')
        .nth(1)
        .unwrap_or_default();
    if request.starts_with(b"OPTIONS ") {
        PREFLIGHT
    } else if target.starts_with(b"/api/") {
        JSON
    } else if target.starts_with(b"/assets/") {
        SCRIPT
    } else {
        PAGE
    }
}

/// The headers of an answer, as Envoy hands them to a filter.
#[must_use]
pub fn headers(answer: &[u8]) -> Headers {
    let text = String::from_utf8_lossy(answer);
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = (":status".to_owned(), status.unwrap_or_default().to_owned());
    let others = lines
        .map_while(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    std::iter::once(status).chain(others).collect()
}

const JSON: &[u8] = b"HTTP/1.1 200 OK\r\n\
    server: shop\r\n\
    date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    content-type: application/json\r\n\
    content-length: 13\r\n\
    cache-control: no-cache\r\n\
    etag: \"5f3759df\"\r\n\
    vary: accept-encoding\r\n\
    strict-transport-security: max-age=31536000\r\n\
    x-content-type-options: nosniff\r\n\
    \r\n\
    {\"items\":[1]}";

const SCRIPT: &[u8] = b"HTTP/1.1 200 OK\r\n\
    server: nginx\r\n\
    date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    content-type: text/javascript\r\n\
    content-length: 16\r\n\
    last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    etag: \"6955b900-10\"\r\n\
    accept-ranges: bytes\r\n\
    cache-control: public, max-age=31536000, immutable\r\n\
    x-content-type-options: nosniff\r\n\
    \r\n\
    console.log(42);";

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    server: nginx\r\n\
    date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    content-type: text/html\r\n\
    content-length: 15\r\n\
    last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    etag: \"6955b900-f\"\r\n\
    cache-control: no-cache\r\n\
    strict-transport-security: max-age=31536000\r\n\
    x-content-type-options: nosniff\r\n\
    \r\n\
    <!doctype html>";

const PREFLIGHT: &[u8] = b"HTTP/1.1 200 OK\r\n\
    server: shop\r\n\
    date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    content-length: 0\r\n\
    access-control-allow-origin: https://www.example.com\r\n\
    access-control-allow-methods: GET, POST\r\n\
    access-control-allow-headers: content-type, x-bundle-version\r\n\
    access-control-max-age: 600\r\n\
    vary: origin\r\n\
    x-content-type-options: nosniff\r\n\
    \r\n";
