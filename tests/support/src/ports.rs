//! Free ports on loopback.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result};

/// Below the range that Linux gives to outgoing connections, so that the load's own connections take none of these
/// between the choice of a port and its use.
const RANGE: std::ops::Range<u16> = 10_240..32_000;

/// A port on 127.0.0.1 that is free now, and that this process gives out only once.
///
/// If a program can listen on port 0 and report the port that it got, as Envoy and the demo application can, that
/// is safer still.
pub fn free() -> Result<SocketAddr> {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let span = u32::from(RANGE.end - RANGE.start);
    let start = std::process::id().wrapping_mul(97);
    let port = (0..span)
        .filter_map(|step| u16::try_from(start.wrapping_add(step) % span).ok())
        .map(|offset| RANGE.start + offset)
        .find(|port| {
            !given.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
        })
        .context("no port is free on 127.0.0.1")?;
    given.insert(port);
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}
