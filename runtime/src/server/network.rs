//! Which addresses are one party.

use std::net::{IpAddr, Ipv6Addr};

/// What one party has to itself: an IPv4 address, or the /64 network of an IPv6 one, in which it can have any number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

/// The next larger network that one party may have been given: the /48 of an IPv6 address, which is what a site gets
/// (RFC 6177). IPv4 has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Site(Ipv6Addr);

impl Network {
    /// The network of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self(prefix(address, 64).into()),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }

    pub(super) fn site(self) -> Option<Site> {
        match self.0 {
            IpAddr::V6(address) => Some(Site(prefix(address, 48))),
            IpAddr::V4(_) => None,
        }
    }

    /// Its first address, for logs.
    pub(super) fn address(self) -> IpAddr {
        self.0
    }
}

fn prefix(address: Ipv6Addr, length: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    #[test]
    fn an_ipv4_address_is_a_network_of_its_own_also_when_it_is_written_as_ipv6() {
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_ne!(network("10.0.0.2"), network("10.0.0.1"));
        assert_eq!(network("::ffff:10.0.0.1").site(), None);
    }

    #[test]
    fn ipv6_addresses_are_one_party_by_64_bits_and_one_site_by_48() {
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff::2"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
        assert_eq!(network("2001:db8:0:1::1").site(), network("2001:db8:0:2::1").site());
        assert_ne!(network("2001:db8:0:1::1").site(), network("2001:db8:1:1::1").site());
    }
}
