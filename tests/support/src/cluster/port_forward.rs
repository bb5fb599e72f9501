//! What `kubectl port-forward` needs from a kubelet, and no more: an HTTPS server that accepts the API server's request
//! for a Pod's ports and carries each connection to the Pod's address.
//!
//! It replaces a kubelet. kubectl, the API server with its rights, and the gateway at the other end are real.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::api::Api;
use super::spdy::{Frame, Reader, Writer};

/// The node of Pods that are started separately, and whose ports this process opens.
pub(super) const NODE: &str = "gateways";

/// Where the API server finds that node.
const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 244, 254, 1)), 10_250);

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: SPDY/3.1\r\nx-stream-protocol-version: portforward.k8s.io\r\n\r\n";

/// The running server; dropping it ends it.
#[derive(Debug)]
pub(super) struct PortForward(JoinHandle<()>);

impl Drop for PortForward {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl PortForward {
    /// Registers the node and serves its API.
    pub(super) async fn start(api: &Api, directory: &Path) -> Result<Self> {
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE } });
        api.create("/api/v1/nodes", &node).await?;
        let status = json!({ "status": {
            "addresses": [{ "type": "InternalIP", "address": ADDRESS.ip().to_string() }],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": ADDRESS.port() } },
        }});
        api.merge(&format!("/api/v1/nodes/{NODE}/status"), &status)
            .await?;
        let acceptor = TlsAcceptor::from(Arc::new(certified(directory)?));
        let listener = TcpListener::bind(ADDRESS).await?;
        let api = api.clone();
        Ok(Self(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let (acceptor, api) = (acceptor.clone(), api.clone());
                connections.spawn(async move {
                    if let Err(error) = serve(connection, acceptor, &api).await {
                        eprintln!("port-forward: {error:#}");
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        })))
    }
}

/// By default the API server does not check who certifies a kubelet.
fn certified(directory: &Path) -> Result<ServerConfig> {
    let (key, certificate) = (directory.join("kubelet.key"), directory.join("kubelet.crt"));
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
        ])
        .args(["-subj", "/CN=kubelet", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .context("running openssl")?;
    ensure!(
        made.status.success(),
        "openssl: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let config = ServerConfig::builder().with_no_client_auth();
    Ok(config.with_single_cert(
        vec![CertificateDer::from_pem_file(certificate)?],
        PrivateKeyDer::from_pem_file(key)?,
    )?)
}

async fn serve(connection: TcpStream, acceptor: TlsAcceptor, api: &Api) -> Result<()> {
    let mut connection = acceptor.accept(connection).await?;
    let path = requested(&mut connection).await?;
    let pod = path.split('?').next().unwrap_or_default();
    let Some(pod) = pod.strip_prefix("/portForward/") else {
        let refusal = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        connection.write_all(refusal.as_bytes()).await?;
        return Ok(connection.shutdown().await?);
    };
    let (namespace, name) = pod.split_once('/').context("no Pod")?;
    let pod = api
        .get(&format!("/api/v1/namespaces/{namespace}/pods/{name}"))
        .await?;
    let address = pod.pointer("/status/podIP").and_then(|ip| ip.as_str());
    let address = address.context("a Pod without an address")?.parse()?;
    connection.write_all(ACCEPTED.as_bytes()).await?;
    let (reader, writer) = tokio::io::split(connection);
    let (frames, response) = mpsc::unbounded_channel();
    let streams = Streams {
        pod: address,
        frames,
        open: HashMap::new(),
        errors: HashMap::new(),
    };
    tokio::select! {
        ended = streams.serve(Reader::of(reader)?) => ended,
        written = write_all(writer, response) => written,
    }
}

/// The path of the request.
async fn requested(connection: &mut (impl AsyncRead + Unpin)) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < 64 * 1024, "a request without an end");
        head.push(connection.read_u8().await?);
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&head)?;
    Ok(request.path.context("a request without a path")?.to_owned())
}

async fn write_all(
    mut connection: impl AsyncWrite + Unpin,
    mut frames: UnboundedReceiver<Vec<u8>>,
) -> Result<()> {
    while let Some(frame) = frames.recv().await {
        connection.write_all(&frame).await?;
        connection.flush().await?;
    }
    Ok(())
}

/// The streams of one port-forward: for each connection one for errors and one for its bytes.
struct Streams {
    pod: Ipv4Addr,
    frames: UnboundedSender<Vec<u8>>,
    /// Where the bytes of a stream go.
    open: HashMap<u32, UnboundedSender<Vec<u8>>>,
    /// The stream of errors of each connection.
    errors: HashMap<String, u32>,
}

impl Streams {
    async fn serve(mut self, mut reader: Reader<impl AsyncRead + Unpin>) -> Result<()> {
        let mut writer = Writer::new()?;
        let mut connections = JoinSet::new();
        loop {
            // kubectl just hangs up when it is stopped.
            let Ok(frame) = reader.next().await else {
                return Ok(());
            };
            match frame {
                Frame::Open { stream, headers } => {
                    self.frames.send(writer.accept(stream)?)?;
                    if let Some(connection) = self.opened(stream, &headers)? {
                        connections.spawn(connection);
                    }
                }
                Frame::Data {
                    stream,
                    bytes,
                    is_last,
                } => {
                    if let Some(open) = self.open.get(&stream) {
                        // A client that has hung up no longer listens.
                        let _heard = open.send(bytes);
                    }
                    if is_last {
                        self.open.remove(&stream);
                    }
                }
                Frame::Reset { stream } => drop(self.open.remove(&stream)),
                Frame::Ping { id } => self.frames.send(Writer::ping(id)?)?,
                Frame::End => return Ok(()),
                Frame::Other => {}
            }
        }
    }

    /// Handles a new stream; one for bytes begins a connection.
    fn opened(
        &mut self,
        stream: u32,
        headers: &HashMap<String, String>,
    ) -> Result<Option<impl Future<Output = ()> + use<>>> {
        let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
        let id = header("requestid");
        match header("streamtype").as_str() {
            "error" => {
                self.errors.insert(id, stream);
                Ok(None)
            }
            "data" => {
                let error = self.errors.remove(&id);
                let (bytes, incoming) = mpsc::unbounded_channel();
                self.open.insert(stream, bytes);
                let connection = Connection {
                    to: SocketAddr::from((self.pod, header("port").parse()?)),
                    stream,
                    error: error.context("bytes before errors")?,
                    frames: self.frames.clone(),
                };
                Ok(Some(connection.carry(incoming)))
            }
            other => bail!("a stream of type {other:?}"),
        }
    }
}

struct Connection {
    to: SocketAddr,
    stream: u32,
    error: u32,
    frames: UnboundedSender<Vec<u8>>,
}

impl Connection {
    /// Forwards bytes until the Pod has no more, then ends both streams.
    async fn carry(self, incoming: UnboundedReceiver<Vec<u8>>) {
        let problem = match self.exchange(incoming).await {
            Ok(()) => String::new(),
            Err(error) => format!("{}: {error:#}", self.to),
        };
        for (stream, last) in [(self.error, problem.as_bytes()), (self.stream, b"")] {
            if let Ok(frame) = Writer::data(stream, last, true) {
                // The port-forward may have ended before this connection did.
                let _sent = self.frames.send(frame);
            }
        }
    }

    async fn exchange(&self, mut incoming: UnboundedReceiver<Vec<u8>>) -> Result<()> {
        let (mut reader, mut writer) = TcpStream::connect(self.to).await?.into_split();
        let there = async {
            while let Some(bytes) = incoming.recv().await {
                writer.write_all(&bytes).await?;
            }
            Ok::<_, anyhow::Error>(writer.shutdown().await?)
        };
        let back = async {
            let mut buffer = vec![0; 32 * 1024];
            loop {
                let length = reader.read(&mut buffer).await?;
                match buffer.get(..length) {
                    Some(bytes) if length > 0 => {
                        self.frames.send(Writer::data(self.stream, bytes, false)?)?;
                    }
                    _ => return Ok(()),
                }
            }
        };
        tokio::pin!(there, back);
        tokio::select! {
            ended = &mut back => ended,
            sent = &mut there => {
                sent?;
                back.await
            }
        }
    }
}
