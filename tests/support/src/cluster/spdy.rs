//! As much of SPDY/3.1 as a kubelet needs for port-forwards: Kubernetes' API server still speaks it to kubelets
//! ([the draft](https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/)). Nothing here limits the flow of
//! data, as nothing does in Kubernetes' own library.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

/// A control frame's first two bytes.
const CONTROL: u16 = 0x8003;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;

/// The sender has finished this stream.
const FIN: u8 = 1;

/// The draft's words, with which headers are compressed, each preceded by its length.
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin";

/// What follows them in the draft.
const TAIL: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

fn dictionary() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for word in WORDS.split(' ') {
        bytes.extend(u32::try_from(word.len())?.to_be_bytes());
        bytes.extend(word.replace('_', " ").bytes());
    }
    bytes.extend(TAIL.bytes());
    Ok(bytes)
}

/// What the other side sends.
#[derive(Debug)]
pub(super) enum Frame {
    Open {
        stream: u32,
        headers: HashMap<String, String>,
    },
    Data {
        stream: u32,
        bytes: Vec<u8>,
        is_last: bool,
    },
    Reset {
        stream: u32,
    },
    Ping {
        id: u32,
    },
    End,
    Other,
}

/// Reads frames.
pub(super) struct Reader<R> {
    from: R,
    headers: Decompress,
    dictionary: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn of(from: R) -> Result<Self> {
        Ok(Self {
            from,
            headers: Decompress::new(true),
            dictionary: dictionary()?,
        })
    }

    pub(super) async fn next(&mut self) -> Result<Frame> {
        let first = self.from.read_u32().await?;
        let rest = self.from.read_u32().await?;
        let [flags, length @ ..] = rest.to_be_bytes();
        let [high, middle, low] = length.map(usize::from);
        let mut body = vec![0; high << 16 | middle << 8 | low];
        self.from.read_exact(&mut body).await?;
        let kind = (first & 0xffff) as u16;
        if first >> 31 == 0 {
            return Ok(Frame::Data {
                stream: first,
                bytes: body,
                is_last: flags & FIN != 0,
            });
        }
        ensure!((first >> 16) as u16 == CONTROL, "another version of SPDY");
        match kind {
            SYN_STREAM => Ok(Frame::Open {
                stream: number(&body, 0)?,
                // After it the stream that it belongs to, its priority and its slot.
                headers: self.headers(body.get(10..).context("a short frame")?)?,
            }),
            RST_STREAM => Ok(Frame::Reset {
                stream: number(&body, 0)?,
            }),
            PING => Ok(Frame::Ping {
                id: number(&body, 0)?,
            }),
            GOAWAY => Ok(Frame::End),
            _ => Ok(Frame::Other),
        }
    }

    fn headers(&mut self, compressed: &[u8]) -> Result<HashMap<String, String>> {
        let block = self.inflate(compressed)?;
        let mut at = 4;
        let mut text = || -> Result<String> {
            let length = number(&block, at)? as usize;
            let bytes = block.get(at + 4..at + 4 + length);
            at += 4 + length;
            Ok(String::from_utf8(bytes.context("short headers")?.to_vec())?)
        };
        (0..number(&block, 0)?)
            .map(|_| Ok((text()?, text()?)))
            .collect()
    }

    /// All header blocks of a connection are one stream of zlib's.
    fn inflate(&mut self, compressed: &[u8]) -> Result<Vec<u8>> {
        let mut block = Vec::with_capacity(4_096);
        let begin = self.headers.total_in();
        loop {
            let done = usize::try_from(self.headers.total_in() - begin)?;
            let left = compressed.get(done..).unwrap_or_default();
            if left.is_empty() {
                return Ok(block);
            }
            block.reserve(4_096);
            match self
                .headers
                .decompress_vec(left, &mut block, FlushDecompress::Sync)
            {
                Ok(Status::StreamEnd) => bail!("the headers have ended"),
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.headers.set_dictionary(&self.dictionary)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Makes frames.
pub(super) struct Writer {
    headers: Compress,
}

impl Writer {
    pub(super) fn new() -> Result<Self> {
        let mut headers = Compress::new(Compression::default(), true);
        headers.set_dictionary(&dictionary()?)?;
        Ok(Self { headers })
    }

    /// Accepts a stream, with no headers.
    pub(super) fn accept(&mut self, stream: u32) -> Result<Vec<u8>> {
        let mut block = Vec::with_capacity(256);
        self.headers
            .compress_vec(&0u32.to_be_bytes(), &mut block, FlushCompress::Sync)?;
        let body = [stream.to_be_bytes().as_slice(), &block].concat();
        control(SYN_REPLY, &body)
    }

    pub(super) fn ping(id: u32) -> Result<Vec<u8>> {
        control(PING, &id.to_be_bytes())
    }

    pub(super) fn data(stream: u32, bytes: &[u8], is_last: bool) -> Result<Vec<u8>> {
        let flags = if is_last { FIN } else { 0 };
        frame(stream, flags, bytes)
    }
}

fn control(kind: u16, body: &[u8]) -> Result<Vec<u8>> {
    frame(u32::from(CONTROL) << 16 | u32::from(kind), 0, body)
}

fn frame(first: u32, flags: u8, body: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(body.len())?;
    let rest = u32::from(flags) << 24 | length;
    Ok([first.to_be_bytes().as_slice(), &rest.to_be_bytes(), body].concat())
}

fn number(bytes: &[u8], at: usize) -> Result<u32> {
    let bytes = bytes.get(at..at + 4).context("a short frame")?;
    Ok(u32::from_be_bytes(bytes.try_into()?))
}
