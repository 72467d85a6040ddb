//! Ports for servers that take only a number.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

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
        port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if given.insert(port) {
            break;
        }
    }
    Ok(port)
}

/// Whether a server's log says that its port was taken.
pub(super) fn was_taken(log: &str) -> bool {
    log.contains("address already in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_out_twice() {
        let ports: BTreeSet<_> = (0..1_000).map(|_| free().unwrap()).collect();
        assert_eq!(ports.len(), 1_000);
    }
}
