//! Which addresses are one party.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What one party has to itself: an IPv4 address, or the /64 network of an IPv6 one, in which it can have any number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// The network of an address. Callers without one, which no server has, are one party.
    #[must_use]
    pub fn of(address: Option<IpAddr>) -> Self {
        match address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()).to_canonical() {
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into()),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_one_party_by_32_bits_of_ipv4_and_64_of_ipv6() {
        let network = |address: &str| Network::of(Some(address.parse().unwrap()));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff::2"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
    }
}
