//! A quick upstream whose answers look like an application's.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

/// It answers on connections that stay open, and keeps the request that it saw last.
pub struct Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Upstream {
    /// Starts it on a free port. It ends with the process.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let seen = Arc::default();
        let requests = Arc::clone(&seen);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let requests = Arc::clone(&requests);
                // An error is Envoy closing the connection.
                thread::spawn(move || serve(connection, &requests));
            }
        });
        Ok(Self { address, seen })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The last request, if one came since this was called before.
    pub fn take_seen(&self) -> Option<Vec<u8>> {
        let seen = self.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn serve(mut connection: TcpStream, seen: &Mutex<Option<Vec<u8>>>) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut request = Vec::new();
    let mut part = vec![0; 128 * 1024];
    loop {
        let length = connection.read(&mut part)?;
        if length == 0 {
            return Ok(());
        }
        request.extend_from_slice(part.get(..length).unwrap_or_default());
        // No request here has a body, and none comes before the last one was answered.
        if request.ends_with(b"\r\n\r\n") {
            let answer = answer_to(&request);
            let request = std::mem::take(&mut request);
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
            connection.write_all(answer)?;
        }
    }
}

fn answer_to(request: &[u8]) -> &'static [u8] {
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
