//! A port of a Pod on this machine, by `kubectl port-forward`.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ChildStderr, ChildStdout, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::gateways::Gateway;
use super::kubectl::Kubectl;
use super::problem::Problem;
use crate::interrupted::Companion;

/// How long it may take until the port is open.
const TIMEOUT: Duration = Duration::from_secs(15);

/// An open one; dropping it closes it.
#[derive(Debug)]
pub(super) struct PortForward {
    kubectl: Companion,
    address: SocketAddr,
}

impl PortForward {
    /// Opens a port of that Pod, and returns when it can be connected to.
    pub(super) fn open(kubectl: &Kubectl, gateway: &Gateway, port: u16) -> Result<Self, Problem> {
        let mut command = kubectl.command();
        command
            .args(["port-forward", "--address=127.0.0.1"])
            .arg("--pod-running-timeout=5s")
            .arg(format!("--namespace={}", gateway.namespace))
            .arg(format!("pod/{}", gateway.pod))
            .arg(format!(":{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Dropped, and with it ended, where it does not open.
        let kubectl =
            Companion::start(&mut command).map_err(|error| Problem::from_spawn_error(&error))?;
        let (stdout, stderr) = kubectl
            .output()
            .ok_or_else(|| Problem::Failed("kubectl has no output".to_owned()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, opened(stdout, stderr)?));
        Ok(Self { kubectl, address })
    }

    /// Where it listens; none where it has ended.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.kubectl.is_running().then_some(self.address)
    }
}

/// The local port, once kubectl says it. What it says later is read too, so that it never waits for a reader.
fn opened(stdout: ChildStdout, stderr: ChildStderr) -> Result<u16, Problem> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(port) = port_of(&line) {
                // Only the first is waited for.
                let _unread = tell.send(port);
            }
        }
    });
    let complaints = thread::spawn(move || {
        let mut complaints = String::new();
        let _read = BufReader::new(stderr).read_to_string(&mut complaints);
        complaints
    });
    told.recv_timeout(TIMEOUT).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => Problem::NoAccess(format!(
            "no port-forward within {}",
            humantime::format_duration(TIMEOUT)
        )),
        mpsc::RecvTimeoutError::Disconnected => {
            Problem::from_stderr(&complaints.join().unwrap_or_default())
        }
    })
}

/// Of `Forwarding from 127.0.0.1:43215 -> 15090`.
fn port_of(line: &str) -> Option<u16> {
    let (address, _) = line.strip_prefix("Forwarding from ")?.split_once(" -> ")?;
    address
        .parse::<SocketAddr>()
        .ok()
        .map(|address| address.port())
}
