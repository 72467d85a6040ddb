//! Attacks by connections on which little or nothing is said.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::address::attacker;
use super::attack::{Attack, Field};

/// How long an attacker waits before it takes the place of a connection that was closed.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two bytes of a ClientHello.
const DRIBBLE: Duration = Duration::from_millis(100);
/// Connections under way from one address at a time, so that the attackers' own threads do not become the measure.
const AT_A_TIME: usize = 64;

/// The attacks of this kind, which are the same for every server.
pub(crate) fn connections() -> Vec<Attack> {
    use Manner::{Dribbled, HelloAlone, Idle, Silent};
    vec![
        Attack::new("silent-256", "256 silent connections from one address", |field| hold(field, 1, 256, &[Silent])),
        Attack::new("silent-600", "600 silent connections from one address", |field| hold(field, 1, 600, &[Silent])),
        Attack::new(
            "slow-handshakes",
            "600 handshakes from one address: a ClientHello byte by byte, or one with nothing after it",
            |field| hold(field, 1, 600, &[Dribbled, HelloAlone]),
        ),
        Attack::new("table-silent", "256 silent connections from each of 16 addresses", |field| {
            hold(field, 16, 256, &[Silent])
        }),
        Attack::new("table-idle", "256 connections from each of 16 addresses, idle after the handshake", |field| {
            hold(field, 16, 256, &[Idle])
        }),
    ]
}

/// What is said on a connection.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Nothing.
    Silent,
    /// A ClientHello, byte by byte.
    Dribbled,
    /// A ClientHello, and nothing after it.
    HelloAlone,
    /// A whole handshake, and nothing after it.
    Idle,
}

/// Holds `each` connections from each of the first `addresses`, and makes a new one for each that is closed.
async fn hold(field: Field, addresses: u16, each: usize, manners: &[Manner]) {
    let mut all = JoinSet::new();
    for address in 1..=addresses {
        for (number, manner) in manners.iter().cycle().take(each).enumerate() {
            let wait = Duration::from_millis(u64::try_from(number / AT_A_TIME).unwrap_or(0) * 100);
            all.spawn(again(field.clone(), attacker(address), *manner, wait));
        }
    }
    while all.join_next().await.is_some() {}
}

async fn again(field: Field, from: Ipv4Addr, manner: Manner, wait: Duration) {
    sleep(wait).await;
    loop {
        field.gains.tried();
        // However it ended, it was the server who ended it.
        let _ = one(&field, from, manner).await;
        field.gains.cut();
        sleep(AGAIN).await;
    }
}

/// Returns once the server has closed the connection.
async fn one(field: &Field, from: Ipv4Addr, manner: Manner) -> io::Result<()> {
    match manner {
        Manner::Silent => closed(field.server.tcp(from).await?).await,
        Manner::Idle => closed(field.server.tls(from).await?).await,
        Manner::HelloAlone => {
            let mut stream = field.server.tcp(from).await?;
            stream.write_all(&field.server.hello()?).await?;
            closed(stream).await
        }
        Manner::Dribbled => {
            let mut stream = field.server.tcp(from).await?;
            for byte in field.server.hello()? {
                stream.write_all(&[byte]).await?;
                sleep(DRIBBLE).await;
            }
            closed(stream).await
        }
    }
}

async fn closed(mut stream: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}
