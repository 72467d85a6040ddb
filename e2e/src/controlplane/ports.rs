//! Ports for servers that take only a number.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpSocket;

/// How often another port is looked for where the one that is free was given out before.
const ATTEMPTS: usize = 100;

/// What this process gave out. A port is free until its server has started, and would be given to a second one meanwhile.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A loopback port that nobody had a moment ago, and that this process has not given out before. Somebody else may have it by the
/// time a server wants it; who starts one tries again with another.
pub(crate) fn free() -> io::Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut port = 0;
    for _ in 0..ATTEMPTS {
        port = bound()?.local_addr()?.port();
        if given.insert(port) {
            break;
        }
    }
    Ok(port)
}

/// A socket with a port of its own. It does not listen: a server has the port as soon as it wants it, also while there is a copy
/// of this descriptor in a child that another thread is starting.
fn bound() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    Ok(socket)
}

/// Whether a server's log says that its port was taken.
pub(super) fn was_taken(log: &str) -> bool {
    log.contains("address already in use")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn no_port_is_given_out_twice() {
        let ports: BTreeSet<_> = (0..1_000).map(|_| free().unwrap()).collect();
        assert_eq!(ports.len(), 1_000);
    }

    #[test]
    fn a_copy_of_the_descriptor_does_not_hold_a_port() {
        let socket = bound().unwrap();
        let address = socket.local_addr().unwrap();
        let _in_a_child = socket.as_fd().try_clone_to_owned().unwrap();
        drop(socket);
        assert_eq!(TcpListener::bind(address).unwrap().local_addr().unwrap(), address);
    }
}
