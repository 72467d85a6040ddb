//! A port of this machine that leads into another network namespace.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Connections at once; further ones wait in the backlog.
const CONNECTIONS: usize = 256;
/// Pause after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Hands on connections to a loopback port. Dropping it cuts what is open.
#[derive(Debug)]
pub(super) struct Relay {
    port: u16,
    _until: DropGuard,
}

impl Relay {
    /// From a free port to `target` in the namespace of that link. A thread of its own lives in the namespace: what it
    /// connects to is there, while the port it accepts on is here.
    pub(super) fn start(namespace: &Path, target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let namespace = File::open(namespace).with_context(|| format!("cannot open {}", namespace.display()))?;
        let ended = CancellationToken::new();
        let until = ended.clone().drop_guard();
        let (answer, entered) = sync_channel(1);
        let relay = move || carry(&namespace, listener, target, &ended, &answer);
        thread::Builder::new().name("relay".into()).spawn(relay).context("cannot start a thread")?;
        entered.recv().context("the relay has ended")?.context("cannot enter a network namespace")?;
        Ok(Self { port, _until: until })
    }

    /// The port that it listens on.
    pub(super) const fn port(&self) -> u16 {
        self.port
    }
}

fn carry(
    namespace: &File,
    listener: TcpListener,
    target: SocketAddr,
    ended: &CancellationToken,
    answer: &SyncSender<std::io::Result<()>>,
) {
    let enter = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        let _guard = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        drop(_guard);
        Ok((runtime, listener))
    };
    match enter() {
        Ok((runtime, listener)) => {
            // Whoever asked waits for it.
            let _ = answer.send(Ok(()));
            runtime.block_on(ended.run_until_cancelled(serve(listener, target)));
        }
        Err(error) => drop(answer.send(Err(error))),
    }
}

async fn serve(listener: tokio::net::TcpListener, target: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(hand_on(stream, target));
                }
                Err(error) => {
                    tracing::warn!(%error, "a relay cannot accept connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn hand_on(mut from: TcpStream, target: SocketAddr) {
    // Either end may hang up, at any moment.
    if let Ok(mut to) = TcpStream::connect(target).await {
        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
    }
}
