//! Clients: a well-behaved one, and a raw one that sends what no library would.

use std::io::{Cursor, Read};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer on one machine takes longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An HTTP/1.1 client that follows no redirect and uses no proxy. Each has its own connections.
pub fn client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE);
    Ok(client.http1_only().build()?)
}

/// The answer to a raw exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// Every header line as received, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, without its chunks.
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// Every value of a header, in order, as text.
    pub fn values(&self, name: &str) -> Vec<String> {
        let values = self.headers.iter().filter(|(header, _)| header == name);
        values
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    /// The first value of a header as text.
    pub fn value(&self, name: &str) -> Option<String> {
        self.values(name).into_iter().next()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends the bytes unchanged on a new connection, and reads the answer until the connection ends.
///
/// The request should say `connection: close`, or the answer only ends at the time-out.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Result<RawAnswer> {
    let bytes = tokio::time::timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(answer)
    });
    parse(&bytes.await.context("no end of the answer")??)
}

/// A GET with header lines exactly as given: any bytes, any case, any number of copies.
pub async fn get(address: SocketAddr, path: &str, headers: &[(&str, &[u8])]) -> Result<RawAnswer> {
    request(address, "GET", path, headers).await
}

/// The same with any method; there is no body.
pub async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &[u8])],
) -> Result<RawAnswer> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n").into_bytes();
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        request.extend_from_slice(format!("host: {address}\r\n").as_bytes());
    }
    for (name, value) in headers {
        request.extend_from_slice(name.as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    exchange(address, &request).await
}

fn parse(bytes: &[u8]) -> Result<RawAnswer> {
    let mut lines = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut lines);
    let httparse::Status::Complete(head) = response.parse(bytes)? else {
        bail!("an incomplete answer: {:?}", String::from_utf8_lossy(bytes));
    };
    let headers: Vec<_> = response
        .headers
        .iter()
        .map(|line| (line.name.to_ascii_lowercase(), line.value.to_vec()))
        .collect();
    let status = response.code.context("an answer without a status")?;
    let rest = bytes.get(head..).unwrap_or_default();
    let chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == b"chunked");
    let body = if chunked {
        unchunk(rest)?
    } else {
        rest.to_vec()
    };
    Ok(RawAnswer {
        status,
        headers,
        body,
    })
}

fn unchunk(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    chunked_transfer::Decoder::new(Cursor::new(bytes)).read_to_end(&mut body)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_of_a_header_and_every_byte_of_its_value_is_kept() -> Result<()> {
        let answer = parse(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: \xff\r\n\r\nbody")?;
        let copies = [
            ("x-a".to_owned(), b"1".to_vec()),
            ("x-a".to_owned(), b"\xff".to_vec()),
        ];
        assert_eq!(answer.headers, copies);
        assert_eq!(answer.body, b"body");
        Ok(())
    }

    #[test]
    fn chunks_are_put_together() -> Result<()> {
        let answer = parse(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        )?;
        assert_eq!(answer.text(), "body");
        Ok(())
    }

    #[test]
    fn half_an_answer_is_an_error() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nx-a").is_err());
    }
}
