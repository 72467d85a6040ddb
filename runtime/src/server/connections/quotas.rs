//! How many connections there may be.

use crate::server::limits::Limits;

/// How many times the share of one address a /48 network of IPv6 has.
const SITE: usize = 4;

/// How many connections there may be, in sum and from where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quotas {
    /// All of them.
    pub(super) all: usize,
    /// Unauthenticated ones from addresses from which nobody was proven lately.
    pub(super) unknown: usize,
    /// Unauthenticated ones from one address.
    pub(super) address: usize,
    /// Unauthenticated ones from one /48 network of IPv6.
    pub(super) site: usize,
    /// TLS handshakes at a time with one address.
    pub(super) handshakes: usize,
}

impl From<&Limits> for Quotas {
    fn from(limits: &Limits) -> Self {
        let address = limits.unauthenticated_per_address;
        Self {
            all: limits.connections,
            unknown: limits.unauthenticated.min(limits.connections),
            address,
            site: address.saturating_mul(SITE),
            handshakes: limits.handshakes_per_address,
        }
    }
}
