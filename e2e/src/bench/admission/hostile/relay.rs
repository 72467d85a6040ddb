//! Between kube-apiserver and the webhook: gives kube-apiserver an address of its own, and cuts its connections when it is told.

use std::sync::Arc;

use anyhow::Context;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::bench::hostile::{Server, honest};

/// A port of this machine behind which the webhook is. Dropping it cuts what is open.
pub(super) struct Relay {
    port: u16,
    cuts: watch::Sender<u64>,
    _task: AbortOnDropHandle<()>,
}

impl Relay {
    pub(super) async fn before(webhook: Arc<Server>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port")?;
        let port = listener.local_addr()?.port();
        let (cuts, cut) = watch::channel(0);
        let task = tokio::spawn(accept(listener, webhook, cut));
        Ok(Self { port, cuts, _task: AbortOnDropHandle::new(task) })
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Closes every connection: the next call needs a new one.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(listener: TcpListener, webhook: Arc<Server>, cut: watch::Receiver<u64>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((near, _)) => {
                    open.spawn(pass(near, webhook.clone(), cut.clone()));
                }
                Err(error) => tracing::warn!(%error, "connection not accepted"),
            },
            Some(_) = open.join_next() => {}
        }
    }
}

/// A connection that breaks is kube-apiserver's to notice.
async fn pass(mut near: TcpStream, webhook: Arc<Server>, mut cut: watch::Receiver<u64>) {
    cut.mark_unchanged();
    if let Ok(mut far) = webhook.tcp(honest(1)).await {
        tokio::select! {
            _ = copy_bidirectional(&mut near, &mut far) => {}
            _ = cut.changed() => {}
        }
    }
}
