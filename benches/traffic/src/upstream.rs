//! A quick upstream whose answers look like an application's.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::answer;
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

    /// The last request, if one came since the previous call.
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
        // No request here has a body, and none comes before the previous one was answered.
        if request.ends_with(b"\r\n\r\n") {
            let answer = answer::to(&request);
            let request = std::mem::take(&mut request);
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
            connection.write_all(answer)?;
        }
    }
}
