//! A proxy between istiod and one gateway, so that this gateway learns changes late.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Forwards connections to one address. While it is paused nothing comes back: what is sent meanwhile
/// waits in order, and the connections stay.
#[derive(Debug)]
pub struct DiscoveryProxy {
    address: SocketAddr,
    open: watch::Sender<bool>,
    acceptor: JoinHandle<()>,
}

impl DiscoveryProxy {
    /// A proxy before that address, not paused.
    pub(super) async fn before(destination: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (open, state) = watch::channel(true);
        let acceptor = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(forward(connection, destination, state.clone()));
            }
        });
        Ok(Self {
            address,
            open,
            acceptor,
        })
    }

    /// Where to connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds back everything from now on.
    pub fn pause(&self) {
        self.open.send_replace(false);
    }

    /// Lets through what was held back, and everything after it.
    pub fn resume(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for DiscoveryProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// Ends when either side does: the agent reconnects by itself.
async fn forward(connection: TcpStream, destination: SocketAddr, open: watch::Receiver<bool>) {
    let Ok(upstream) = TcpStream::connect(destination).await else {
        return;
    };
    let (mut requests, client) = connection.into_split();
    let (server, mut sink) = upstream.into_split();
    tokio::select! {
        _ = copy(&mut requests, &mut sink) => {}
        _ = forward_when_open(server, client, open) => {}
    }
}

async fn forward_when_open(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = server.read(&mut buffer).await?;
        open.wait_for(|open| *open).await?;
        match buffer.get(..length) {
            Some(bytes) if length > 0 => client.write_all(bytes).await?,
            _ => return Ok(()),
        }
    }
}
