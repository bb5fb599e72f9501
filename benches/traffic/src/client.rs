//! The load: one thread, a few connections that stay open, one request at a time on each.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail, ensure};

use crate::head::{self, Head};

/// Enough for Envoy to be woken for several requests at once, as under real load.
const CONNECTIONS: usize = 8;

/// Open connections to one listener.
pub struct Client {
    connections: Vec<TcpStream>,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects to that listener.
    pub fn connect(listener: SocketAddr) -> Result<Self> {
        Self::connect_often(listener, CONNECTIONS)
    }

    /// The same with another number of connections.
    pub fn connect_often(listener: SocketAddr, connections: usize) -> Result<Self> {
        let connect = |_| -> Result<TcpStream> {
            let connection = TcpStream::connect(listener)?;
            connection.set_nodelay(true)?;
            Ok(connection)
        };
        Ok(Self {
            connections: (0..connections).map(connect).collect::<Result<_>>()?,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Sends the request this many times, rounded up to a whole number of turns, and returns how often.
    pub fn send(&mut self, request: &[u8], times: usize, status: u16) -> Result<usize> {
        let turns = times.div_ceil(self.connections.len().max(1));
        for _ in 0..turns {
            for connection in &mut self.connections {
                connection.write_all(request)?;
            }
            for connection in &mut self.connections {
                let answer = read_answer(connection, &mut self.buffer)?;
                ensure!(answer.status() == Some(status), "answered by {answer}");
            }
        }
        Ok(turns * self.connections.len())
    }

    /// Sends the request once.
    pub fn ask(&mut self, request: &[u8]) -> Result<Head> {
        let connection = self.connections.first_mut().context("no connection")?;
        connection.write_all(request)?;
        read_answer(connection, &mut self.buffer)
    }
}

fn read_answer(connection: &mut TcpStream, buffer: &mut [u8]) -> Result<Head> {
    let mut filled = 0;
    loop {
        let length = connection.read(buffer.get_mut(filled..).unwrap_or_default())?;
        ensure!(length > 0, "the connection ended within an answer");
        filled += length;
        let bytes = buffer.get(..filled).unwrap_or_default();
        let Some(end) = head::end_of(bytes) else {
            continue;
        };
        let answer = Head::parse(bytes.get(..end).unwrap_or_default())?;
        let body = match answer.value("content-length") {
            Some(length) => length.parse::<usize>()?,
            None => bail!("an answer without a length: {answer}"),
        };
        if filled == end + body {
            return Ok(answer);
        }
    }
}
