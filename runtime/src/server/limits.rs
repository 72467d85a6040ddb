//! What one server lets its clients have.

use std::time::Duration;

use super::Refused;

/// What one server lets its clients have, in sum and for one address. An address is an IPv4 address, or the /64 network of an
/// IPv6 one; a /48 network has four times what one address has.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time. When there are as many, an unauthenticated one of the address that has most of them is cut
    /// for a new one; where that would be no fairer, the new one is closed at once.
    pub connections: usize,
    /// Unauthenticated connections at a time from addresses from which no caller was [`super::Proven`] lately. A
    /// connection is unauthenticated while no request on it is proven. What is left of `connections` is kept for the others.
    pub unauthenticated: usize,
    /// Unauthenticated connections at a time from one address. Beyond them a new one takes the place of one whose client
    /// keeps the server waiting, or is closed at once.
    pub unauthenticated_per_address: usize,
    /// From the accepted connection to the end of its TLS `ClientHello`.
    pub hello_timeout: Duration,
    /// TLS handshakes at a time with one address, each from its complete `ClientHello` on. Further ones wait, within
    /// `handshake_timeout`, and keep nobody from another address waiting.
    pub handshakes_per_address: usize,
    /// From the `ClientHello` to the end of the handshake.
    pub handshake_timeout: Duration,
    /// How long a connection may be without an open request. It bounds the reading of a request's head, the taking of
    /// a response and the keeping alive of an idle connection, the same for both protocols.
    pub idle_timeout: Duration,
    /// How long a request's body may keep its handler waiting.
    pub body_timeout: Duration,
    /// Bytes that requests may hold in memory at a time, heads and bodies together. One address has at most half of it, each
    /// of two a third, and so on; a quarter is kept for addresses from which a caller was proven lately. A request for which
    /// there is none left is answered with 503 and not read.
    pub request_bytes: usize,
    /// Bytes of one request's body. A larger one is answered with 413, unread where it says how long it is.
    pub body_bytes: usize,
    /// Bytes of memory that a handler takes for a piece of a body, the piece itself included.
    pub weigh: fn(&[u8]) -> usize,
    /// Bytes of a request's head. A larger one is answered with 431. Below 8 KiB it counts as 8 KiB over HTTP/1.
    pub header_bytes: u32,
    /// Requests at a time within one HTTP/2 connection.
    pub streams: u32,
    /// How long open requests may go on after the server was told to stop, before they are cut.
    pub drain: Duration,
    /// Where it is counted what is refused.
    pub refused: Refused,
}

impl Default for Limits {
    /// For a program's main port.
    fn default() -> Self {
        Self {
            connections: 4096,
            unauthenticated: 768,
            unauthenticated_per_address: 256,
            hello_timeout: Duration::from_secs(2),
            handshakes_per_address: 32,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(10),
            request_bytes: 48 << 20,
            body_bytes: 1 << 20,
            weigh: twice,
            header_bytes: 16 << 10,
            streams: 8,
            drain: Duration::from_secs(20),
            refused: Refused::default(),
        }
    }
}

/// The body, and what is made of it.
fn twice(body: &[u8]) -> usize {
    2 * body.len()
}

impl Limits {
    /// For a port that only the kubelet and a metrics scraper ask, neither of which proves who it is.
    #[must_use]
    pub fn probes() -> Self {
        Self {
            connections: 64,
            unauthenticated: 64,
            unauthenticated_per_address: 16,
            request_bytes: 1 << 20,
            drain: Duration::from_secs(1),
            ..Self::default()
        }
    }
}
