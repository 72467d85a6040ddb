//! Whose address is whose: everybody is on the loopback interface, with addresses of their own.

use std::net::Ipv4Addr;

/// The address of an attacker.
pub(crate) fn attacker(number: u16) -> Ipv4Addr {
    numbered(1, number)
}

/// The address of an honest caller.
pub(crate) fn honest(number: u16) -> Ipv4Addr {
    numbered(2, number)
}

fn numbered(network: u8, number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, network, high, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attackers_and_honest_callers_share_no_address() {
        assert_eq!(attacker(258), Ipv4Addr::new(127, 1, 1, 2));
        assert_eq!(honest(258), Ipv4Addr::new(127, 2, 1, 2));
    }
}
