//! A name server that knows one address.

use std::net::Ipv4Addr;

use anyhow::{Context, bail};
use tokio::net::UdpSocket;

/// Its own address: a loopback one that nobody else uses.
pub(super) const ADDRESS: &str = "127.53.0.1";
/// Bytes before the question (RFC 1035, section 4.1.1).
const HEADER: usize = 12;

/// Answers every question for an IPv4 address with that of this machine, and others with nothing.
pub(super) async fn serve(socket: UdpSocket) -> anyhow::Result<()> {
    let mut buffer = [0; 512];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer).await?;
        if let Some(answer) = buffer.get(..length).and_then(|query| answer(query, Ipv4Addr::LOCALHOST)) {
            socket.send_to(&answer, peer).await?;
        }
    }
}

/// Binds its port, which takes root.
pub(super) async fn bind() -> anyhow::Result<UdpSocket> {
    match UdpSocket::bind((ADDRESS, 53)).await {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            bail!("looking up names needs a name server on port 53, which takes root")
        }
        bound => bound.with_context(|| format!("cannot bind {ADDRESS}:53")),
    }
}

/// The answer to a query of one question.
fn answer(query: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    let name = query.get(HEADER..)?.iter().position(|byte| *byte == 0)?;
    // The name, its last byte, and the type and class after it.
    let end = HEADER + name + 1 + 4;
    let question = query.get(HEADER..end)?;
    let of_ipv4 = question.ends_with(&[0, 1, 0, 1]);
    let mut answer = query.get(..2)?.to_vec();
    // A response without an error; one question, perhaps one answer.
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(of_ipv4), 0, 0, 0, 0]);
    answer.extend(question);
    if of_ipv4 {
        // The name at the beginning, an address of class IN, good for a minute.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_answered_and_another_type_is_not() {
        let mut query = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
        let found = answer(&query, Ipv4Addr::LOCALHOST).unwrap();
        assert_eq!((&found[..2], found[7]), (&[7, 9][..], 1));
        assert!(found.ends_with(&[0, 4, 127, 0, 0, 1]));
        query[16] = 28;
        let found = answer(&query, Ipv4Addr::LOCALHOST).unwrap();
        assert_eq!((found[7], found.len()), (0, query.len()));
        assert!(answer(&query[..14], Ipv4Addr::LOCALHOST).is_none());
    }
}
