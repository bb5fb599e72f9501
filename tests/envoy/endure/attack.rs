//! What no well-meaning client does, one attempt at a time. Each follows from its number, so it can be repeated.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use fastrand::Rng;
use h2::client::SendRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// How long an idle attacker holds a connection open.
const HELD: Duration = Duration::from_millis(300);

/// Envoy's default limit: larger headers are refused.
const MOST_BYTES: usize = 60 * 1024;

/// Envoy's default limit of the number of headers.
const MOST_HEADERS: usize = 100;

/// The ways to attack the filter's readers and the proxy around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Any bytes in any header that the filter reads.
    Bytes,
    /// The same on one stream of HTTP/2.
    BytesInHttp2,
    /// A header, a cookie or a query as long as Envoy allows, and longer.
    Sizes,
    /// As many headers as Envoy allows, and more; every other one is the route header.
    Counts,
    /// The same on one stream of HTTP/2.
    CountsInHttp2,
    /// A hundred streams on one connection of HTTP/2, reset before they are answered.
    Resets,
    /// A body that ends long before its declared length.
    AbortedBody,
    /// Malformed chunks.
    BrokenChunks,
    /// An upload that stops half-way, and stays open.
    HalfOpenUpload,
    /// The same on one stream of HTTP/2.
    HalfOpenUploadInHttp2,
    /// A head that never ends.
    HalfHead,
    /// An upgrade to a protocol, with or without a version.
    Upgrade,
    /// Dozens of WebSockets that stay open and silent.
    Sockets,
    /// Requests in a row whose answers nobody reads.
    SlowReader,
    /// The same on streams of HTTP/2, each of which admits only a byte of its answer.
    SlowReaderInHttp2,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// With an answer.
    Answered(u16),
    /// The proxy closed the connection, or the stream.
    Closed,
    /// The attacker left without waiting.
    Left,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Bytes,
        Self::BytesInHttp2,
        Self::Sizes,
        Self::Counts,
        Self::CountsInHttp2,
        Self::Resets,
        Self::AbortedBody,
        Self::BrokenChunks,
        Self::HalfOpenUpload,
        Self::HalfOpenUploadInHttp2,
        Self::HalfHead,
        Self::Upgrade,
        Self::Sockets,
        Self::SlowReader,
        Self::SlowReaderInHttp2,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "any bytes in headers",
            Self::BytesInHttp2 => "any bytes in headers, HTTP/2",
            Self::Sizes => "headers of up to 70 KB",
            Self::Counts => "up to 120 headers",
            Self::CountsInHttp2 => "up to 120 headers, HTTP/2",
            Self::Resets => "streams that are reset, HTTP/2",
            Self::AbortedBody => "bodies that are cut short",
            Self::BrokenChunks => "broken chunks",
            Self::HalfOpenUpload => "uploads that stop half-way",
            Self::HalfOpenUploadInHttp2 => "uploads that stop half-way, HTTP/2",
            Self::HalfHead => "heads that never end",
            Self::Upgrade => "upgrades",
            Self::Sockets => "floods of WebSockets",
            Self::SlowReader => "answers that nobody reads",
            Self::SlowReaderInHttp2 => "answers that nobody reads, HTTP/2",
        }
    }

    /// Makes the attempt of that number.
    pub async fn make(self, gateway: SocketAddr, number: u64) -> Result<End> {
        let mut rng = Rng::with_seed(number);
        match self {
            Self::Bytes => {
                ask(
                    gateway,
                    &request("GET", &target(&mut rng), &lines(&mut rng, 8)),
                )
                .await
            }
            Self::Sizes => ask(gateway, &large(&mut rng)).await,
            Self::Counts => ask(gateway, &request("GET", b"/api/cart", &many(&mut rng))).await,
            Self::BytesInHttp2 => {
                let lines = lines(&mut rng, 8);
                ask_http2(gateway, &lines).await
            }
            Self::CountsInHttp2 => {
                let lines = many(&mut rng);
                ask_http2(gateway, &lines).await
            }
            Self::Resets => reset(gateway, &lines(&mut rng, 3)).await,
            Self::AbortedBody => {
                let mut half = request("POST", b"/api/order", &[length(1_000_000)]);
                half.extend(noise(&mut rng, 1_000));
                leave(gateway, &half, Duration::ZERO).await
            }
            Self::BrokenChunks => {
                let chunked = (b"transfer-encoding".to_vec(), b"chunked".to_vec());
                let mut broken = request("POST", b"/api/order", &[chunked]);
                broken.extend(noise(&mut rng, 100));
                broken.extend(b"\r\nzz\r\n");
                ask(gateway, &broken).await
            }
            Self::HalfOpenUpload => {
                let mut half = request("POST", b"/api/order", &[length(1_000_000)]);
                half.extend(noise(&mut rng, 10_000));
                leave(gateway, &half, HELD).await
            }
            Self::HalfHead => {
                let mut half = request("GET", b"/api/cart", &lines(&mut rng, 4));
                half.truncate(half.len() - 2);
                leave(gateway, &half, HELD).await
            }
            Self::HalfOpenUploadInHttp2 => {
                let part = noise(&mut rng, 10_000);
                upload_half(gateway, &lines(&mut rng, 3), part).await
            }
            Self::Upgrade => ask(gateway, &upgrade(&mut rng)).await,
            Self::Sockets => hold_sockets(gateway, &lines(&mut rng, 2)).await,
            Self::SlowReader => read_nothing(gateway, &mut rng).await,
            Self::SlowReaderInHttp2 => read_nothing_in_http2(gateway, &lines(&mut rng, 2)).await,
        }
    }
}

type Line = (Vec<u8>, Vec<u8>);

/// The headers that the filter reads.
const READ: [&str; 20] = [
    "x-bundle-version",
    "x-deployment-id",
    "cookie",
    "baggage",
    "x-release",
    "X-Release",
    "x-preview-key",
    "sec-fetch-mode",
    "sec-fetch-dest",
    "sec-fetch-site",
    "sec-purpose",
    "accept",
    "origin",
    "referer",
    "content-type",
    "if-none-match",
    "access-control-request-method",
    "access-control-request-headers",
    "next-action",
    "x-anything",
];

/// What values are made of, besides random bytes.
const PIECES: [&[u8]; 16] = [
    b"2.0.0",
    b"1.4.2",
    b"v1-4-2",
    b"pin=00000000~",
    b"__preview=",
    b"client-version=",
    b"navigate",
    b"document",
    b"text/html",
    b"%00%0d%0a",
    b";",
    b",",
    b"=",
    b"\"",
    b"../",
    b"\xc0\x80\xff",
];

fn lines(rng: &mut Rng, most: usize) -> Vec<Line> {
    let count = rng.usize(1..=most);
    let line = |rng: &mut Rng| {
        let name = rng.choice(READ).unwrap_or_default();
        (name.as_bytes().to_vec(), value(rng))
    };
    (0..count).map(|_| line(rng)).collect()
}

fn value(rng: &mut Rng) -> Vec<u8> {
    let count = rng.usize(0..6);
    let mut value = Vec::new();
    for _ in 0..count {
        if rng.bool() {
            value.extend(rng.choice(PIECES).unwrap_or_default());
        } else {
            let length = rng.usize(1..20);
            value.extend(noise(rng, length));
        }
    }
    value
}

/// Bytes allowed in a header's value: Envoy refuses others before any filter sees them.
fn noise(rng: &mut Rng, length: usize) -> Vec<u8> {
    let byte = |rng: &mut Rng| match rng.u8(..) {
        byte @ (b'\t' | b' '..=b'~' | 0x80..) => byte,
        _ => b'x',
    };
    (0..length).map(|_| byte(rng)).collect()
}

fn target(rng: &mut Rng) -> Vec<u8> {
    let paths: [&[u8]; 6] = [
        b"/",
        b"/api/cart?dpl=",
        b"/assets/v-",
        b"/?preview=",
        b"//",
        b"/%2e%2e/",
    ];
    let mut target = rng.choice(paths).unwrap_or_default().to_vec();
    target.extend(value(rng).into_iter().filter(u8::is_ascii_graphic));
    if rng.u8(0..16) == 0 {
        // Envoy refuses it.
        target.push(0xff);
    }
    target
}

fn many(rng: &mut Rng) -> Vec<Line> {
    let count = rng.usize(MOST_HEADERS / 2..MOST_HEADERS + 20);
    let name = |number| match number % 2 {
        0 => b"x-release".to_vec(),
        _ => format!("x-{number}").into_bytes(),
    };
    (0..count)
        .map(|number| (name(number), value(rng)))
        .collect()
}

fn large(rng: &mut Rng) -> Vec<u8> {
    let size = rng.usize(MOST_BYTES / 2..MOST_BYTES + 10 * 1024);
    let repeated = |piece: &[u8]| piece.repeat(size / piece.len());
    match rng.u8(0..5) {
        0 => request(
            "GET",
            b"/",
            &[(b"cookie".to_vec(), repeated(b"pin=1.4.2; "))],
        ),
        1 => request(
            "GET",
            b"/",
            &[(b"baggage".to_vec(), repeated(b"client-version=%,"))],
        ),
        2 => request(
            "GET",
            b"/",
            &[(b"x-bundle-version".to_vec(), repeated(b"1.4.2,"))],
        ),
        3 => request("GET", &[b"/?".to_vec(), repeated(b"dpl=&")].concat(), &[]),
        _ => request("GET", b"/", &[(b"cookie".to_vec(), noise(rng, size))]),
    }
}

fn upgrade(rng: &mut Rng) -> Vec<u8> {
    let protocol = *rng
        .choice(&["websocket", "websocket", "h2c", "TLS/1.0", "\u{7f}"])
        .unwrap_or(&"websocket");
    upgrade_to(protocol, &lines(rng, 3))
}

/// At the path where the pods accept WebSockets.
fn upgrade_to(protocol: &str, more: &[Line]) -> Vec<u8> {
    let mut all: Vec<Line> = [
        ("upgrade", protocol),
        ("connection", "upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    all.extend(more.iter().cloned());
    with_lines("GET", b"/api/chat", &all)
}

fn length(bytes: usize) -> Line {
    (b"content-length".to_vec(), bytes.to_string().into_bytes())
}

fn request(method: &str, target: &[u8], lines: &[Line]) -> Vec<u8> {
    let close = (b"connection".to_vec(), b"close".to_vec());
    with_lines(method, target, &[&[close], lines].concat())
}

fn with_lines(method: &str, target: &[u8], lines: &[Line]) -> Vec<u8> {
    let mut bytes = format!("{method} ").into_bytes();
    bytes.extend(target);
    bytes.extend(b" HTTP/1.1\r\nhost: shop.example.com\r\n");
    for (name, value) in lines {
        bytes.extend([name.as_slice(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    bytes
}

/// Sends it, and waits for the start of the answer.
async fn ask(gateway: SocketAddr, request: &[u8]) -> Result<End> {
    let mut connection = TcpStream::connect(gateway).await?;
    // If Envoy has already answered and closed, not all of it can be written.
    let _unread = connection.write_all(request).await;
    let mut head = [0; 12];
    if connection.read_exact(&mut head).await.is_err() {
        return Ok(End::Closed);
    }
    let status = head
        .get(9..)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    match status.and_then(|digits| digits.parse().ok()) {
        Some(status) => Ok(End::Answered(status)),
        None => bail!("an answer that begins with {}", head.escape_ascii()),
    }
}

/// Sends it, waits that long, and closes the connection.
async fn leave(gateway: SocketAddr, request: &[u8], after: Duration) -> Result<End> {
    let mut connection = TcpStream::connect(gateway).await?;
    let _unread = connection.write_all(request).await;
    tokio::time::sleep(after).await;
    Ok(End::Left)
}

/// Enough answers to fill this connection's small window long before the last of them.
async fn read_nothing(gateway: SocketAddr, rng: &mut Rng) -> Result<End> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4 * 1024)?;
    let mut connection = socket.connect(gateway).await?;
    let one = with_lines("GET", b"/", &lines(rng, 2));
    let _unread = connection.write_all(&one.repeat(30)).await;
    tokio::time::sleep(HELD).await;
    Ok(End::Left)
}

async fn hold_sockets(gateway: SocketAddr, lines: &[Line]) -> Result<End> {
    const SOCKETS: usize = 24;
    let request = upgrade_to("websocket", lines);
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        let mut socket = TcpStream::connect(gateway).await?;
        let _unread = socket.write_all(&request).await;
        sockets.push(socket);
    }
    tokio::time::sleep(HELD).await;
    Ok(End::Left)
}

async fn http2(gateway: SocketAddr) -> Result<SendRequest<Bytes>> {
    http2_as(gateway, &h2::client::Builder::new()).await
}

async fn http2_as(gateway: SocketAddr, client: &h2::client::Builder) -> Result<SendRequest<Bytes>> {
    let (client, connection) = client.handshake(TcpStream::connect(gateway).await?).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The part that the library accepts: no control bytes.
fn in_http2(lines: &[Line]) -> Result<http::Request<()>> {
    let mut request = http::Request::builder().uri("http://shop.example.com/api/cart?dpl=1.4.2");
    for (name, value) in lines {
        let value: Vec<u8> = value
            .iter()
            .copied()
            .filter(|byte| *byte >= b' ' && *byte != 0x7f)
            .collect();
        request = request.header(name.as_slice(), value);
    }
    Ok(request.body(())?)
}

async fn ask_http2(gateway: SocketAddr, lines: &[Line]) -> Result<End> {
    let mut client = http2(gateway).await?.ready().await?;
    let (answer, _) = client.send_request(in_http2(lines)?, true)?;
    match answer.await {
        Ok(answer) => Ok(End::Answered(answer.status().as_u16())),
        Err(_) => Ok(End::Closed),
    }
}

async fn reset(gateway: SocketAddr, lines: &[Line]) -> Result<End> {
    const STREAMS: usize = 100;
    let mut client = http2(gateway).await?;
    for _ in 0..STREAMS {
        let Ok(ready) = client.ready().await else {
            return Ok(End::Closed);
        };
        client = ready;
        let Ok((_, mut body)) = client.send_request(in_http2(lines)?, false) else {
            return Ok(End::Closed);
        };
        body.send_reset(h2::Reason::CANCEL);
    }
    Ok(End::Left)
}

async fn upload_half(gateway: SocketAddr, lines: &[Line], part: Vec<u8>) -> Result<End> {
    let mut client = http2(gateway).await?.ready().await?;
    let (_answer, mut body) = client.send_request(in_http2(lines)?, false)?;
    let _unread = body.send_data(part.into(), false);
    tokio::time::sleep(HELD).await;
    Ok(End::Left)
}

/// Unlike a connection of HTTP/1, whose answers wait in the kernel, these wait in the proxy.
async fn read_nothing_in_http2(gateway: SocketAddr, lines: &[Line]) -> Result<End> {
    const STREAMS: usize = 20;
    let mut small = h2::client::Builder::new();
    let mut client = http2_as(gateway, small.initial_window_size(1)).await?;
    let mut answers = Vec::new();
    for _ in 0..STREAMS {
        let Ok(ready) = client.ready().await else {
            return Ok(End::Closed);
        };
        client = ready;
        let Ok((answer, _)) = client.send_request(in_http2(lines)?, true) else {
            return Ok(End::Closed);
        };
        answers.push(answer);
    }
    tokio::time::sleep(HELD).await;
    Ok(End::Left)
}
