//! From an accepted connection to an encrypted one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use super::connections::Connection;
use super::limits::Limits;
use super::member::Turn;
use super::refused::NoConnection;

/// Bytes that may come before a `ClientHello` is complete: eight times what one with keys of the largest kind has.
const HELLO_BYTES: usize = 16 << 10;

/// How long a client may take for its part of a handshake once the server has begun its own: several slow round trips.
const CLIENT: Duration = Duration::from_secs(3);

/// Waits for the `ClientHello`, for a place among the handshakes with its address, and for the handshake. A client that is
/// silent takes no place.
pub(super) async fn handshake<I>(
    config: &Arc<ServerConfig>,
    io: I,
    this: &Connection,
    limits: &Limits,
) -> Result<TlsStream<I>, (NoConnection, io::Error)>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    this.turn(Turn::Silent);
    let hello = in_time(limits.hello_timeout, hello(io)).await.map_err(|error| (NoConnection::Hello, error))?;
    this.turn(Turn::Server);
    let rest = async {
        let _place = this.handshakes().acquire().await;
        this.turn(Turn::Client);
        in_time(CLIENT, hello.into_stream(config.clone())).await
    };
    in_time(limits.handshake_timeout, rest).await.map_err(|error| (NoConnection::Handshake, error))
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn hello<I: AsyncRead + AsyncWrite + Unpin>(io: I) -> io::Result<StartHandshake<I>> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), Start { io, left: HELLO_BYTES }).await?;
    Ok(StartHandshake::from_parts(start.accepted, start.io.io))
}

/// A connection of which so much can be read.
struct Start<I> {
    io: I,
    left: usize,
}

impl<I: AsyncRead + Unpin> AsyncRead for Start<I> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the ClientHello is too large")));
        }
        let before = out.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, out);
        self.left = self.left.saturating_sub(out.filled().len() - before);
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Start<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
