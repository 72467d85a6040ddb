//! Ports for servers that take only a number.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// A loopback port that nobody had a moment ago. Somebody may have it by the time a server wants it; who starts one tries
/// again with another.
pub(super) fn free() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether a server's log says that its port was taken.
pub(super) fn was_taken(log: &str) -> bool {
    log.contains("address already in use")
}
