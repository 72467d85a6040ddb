//! The unix socket of a host, and what can be wrong with it below HTTP.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::server::{Answer, serve};

/// Connections served at once; further ones wait in the backlog.
const CONNECTIONS: usize = 256;
/// The group that may use the API on a Bottlerocket host. Only root can give a file away, so elsewhere it is the owner's.
const API_GROUP: u32 = 274;
/// Pause after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the API server is there for its clients while the host is up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// As it should be.
    #[default]
    Serving,
    /// No socket: `ENOENT`.
    Missing,
    /// A socket that nobody listens on, as a client with a mount of an old one sees it: `ECONNREFUSED`.
    Dead,
    /// A socket nobody may open: `EACCES`. A client with `CAP_DAC_OVERRIDE`, as root has, is let in all the same: where
    /// tests run as root, run the client as another user.
    NotPermitted,
    /// Connections are accepted and never answered.
    Silent,
    /// Connections are accepted and closed.
    HangsUp,
    /// Connections get these bytes, which need not be HTTP, for their first request and are closed.
    Garbage(Bytes),
}

/// The socket; closed, and removed, when dropped.
pub(super) struct Socket {
    path: PathBuf,
    answer: Answer,
    runtime: Handle,
    accepting: Option<AbortOnDropHandle<()>>,
}

impl Socket {
    /// A closed socket. Its connections will run on the current runtime.
    pub(super) fn new(path: PathBuf, answer: Answer) -> Self {
        Self { path, answer, runtime: Handle::current(), accepting: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a new socket in the place of one that may be there.
    pub(super) fn open(&mut self, service: &Service) -> io::Result<()> {
        self.close();
        if *service == Service::Missing {
            return Ok(());
        }
        let _guard = self.runtime.enter();
        let listener = UnixListener::bind(&self.path)?;
        let mode = if *service == Service::NotPermitted { 0o000 } else { 0o660 };
        fs::set_permissions(&self.path, Permissions::from_mode(mode))?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&self.path, None, Some(API_GROUP))?;
        }
        if *service != Service::Dead {
            let accepting = accept(listener, service.clone(), Arc::clone(&self.answer));
            self.accepting = Some(AbortOnDropHandle::new(self.runtime.spawn(accepting)));
        }
        Ok(())
    }

    /// Ends all connections and removes the socket.
    pub(super) fn close(&mut self) {
        self.accepting = None;
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, socket = %self.path.display(), "cannot remove a host's socket");
        }
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Socket");
        debug.field("path", &self.path).field("open", &self.accepting.is_some()).finish_non_exhaustive()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

async fn accept(listener: UnixListener, service: Service, answer: Answer) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(attend(stream, service.clone(), Arc::clone(&answer)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a host cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn attend(mut stream: UnixStream, service: Service, answer: Answer) {
    let mut request = [0; 4_096];
    match service {
        Service::Serving | Service::NotPermitted => serve(stream, answer).await,
        Service::Silent => while matches!(stream.read(&mut request).await, Ok(1..)) {},
        Service::Garbage(bytes) => {
            if matches!(stream.read(&mut request).await, Ok(1..)) {
                drop(stream.write_all(&bytes).await);
            }
        }
        Service::HangsUp | Service::Missing | Service::Dead => {}
    }
}
