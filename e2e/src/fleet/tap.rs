//! Counts an agent's calls of the apiserver on their way: each is a connection of its own, with either kind of agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// A port of this machine that leads to another one. Dropping it cuts what is open.
pub(super) struct Tap {
    port: u16,
    connections: Arc<AtomicU64>,
    _task: AbortOnDropHandle<()>,
}

impl Tap {
    /// A tap before a port.
    pub(super) async fn before(behind: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port")?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(accept(listener, behind, connections.clone()));
        Ok(Self { port, connections, _task: AbortOnDropHandle::new(task) })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// How many connections there were so far.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, behind: u16, connections: Arc<AtomicU64>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((near, _)) => {
                    connections.fetch_add(1, Ordering::Relaxed);
                    open.spawn(pass(near, behind));
                }
                Err(error) => tracing::warn!(%error, "connection not accepted"),
            },
            Some(_) = open.join_next() => {}
        }
    }
}

/// A connection that breaks is the agent's to notice.
async fn pass(mut near: TcpStream, behind: u16) {
    if let Ok(mut far) = TcpStream::connect(("127.0.0.1", behind)).await {
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn what_is_said_passes_and_is_counted() {
        let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tap = Tap::before(behind.local_addr().unwrap().port()).await.unwrap();
        let mut near = TcpStream::connect(("127.0.0.1", tap.port())).await.unwrap();
        near.write_all(b"ask").await.unwrap();
        let (mut far, _) = behind.accept().await.unwrap();
        let mut heard = [0; 3];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ask");
        far.write_all(b"say").await.unwrap();
        near.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"say");
        assert_eq!(tap.connections(), 1);
    }
}
