//! Connections that are counted, and cut at a given one.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use agent::http::{Dial, Dialing, Stream};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::double::Double;

/// What happens at a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The agent dies before the request is sent.
    Before,
    /// The agent dies when the request has had its effect and the answer is there, unread.
    After,
    /// The same happens to the whole machine.
    PowerBefore,
    /// The same happens to the whole machine.
    PowerAfter,
}

/// Counts requests, and says which is cut.
#[derive(Debug, Default)]
pub(crate) struct Scissors {
    count: Mutex<u32>,
    /// The requests that were sent, by method and path.
    pub(crate) names: Mutex<Vec<String>>,
    pub(crate) at: Option<(u32, Cut)>,
    /// The host's socket may not be opened.
    forbidden: AtomicBool,
    /// The agent is to be killed.
    pub(crate) agent: Notify,
    /// The power is to be cycled.
    pub(crate) power: Notify,
}

impl Scissors {
    pub(crate) fn at(number: u32, cut: Cut) -> Self {
        Self { at: Some((number, cut)), ..Self::default() }
    }

    /// Whether the host's socket may be opened. As root, a socket's mode stops nobody.
    pub(crate) fn forbid(&self, forbidden: bool) {
        self.forbidden.store(forbidden, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u32 {
        *self.count.lock().unwrap()
    }

    fn next(&self) -> Option<Cut> {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        self.at.filter(|(number, _)| *number == *count).map(|(_, cut)| cut)
    }

    fn snip(&self, cut: Cut) {
        match cut {
            Cut::Before | Cut::After => self.agent.notify_one(),
            Cut::PowerBefore | Cut::PowerAfter => self.power.notify_one(),
        }
    }
}

/// Where a connection leads.
#[derive(Clone)]
pub(crate) enum Peer {
    Host(std::path::PathBuf),
    Apiserver(Double),
}

/// Connections to a peer that can be cut.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) peer: Peer,
    pub(crate) scissors: Arc<Scissors>,
}

impl Dial for Line {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(async {
            let cut = self.scissors.next();
            if let Some(cut @ (Cut::Before | Cut::PowerBefore)) = cut {
                self.scissors.snip(cut);
                std::future::pending::<()>().await;
            }
            let stream: Box<dyn Stream> = match &self.peer {
                Peer::Host(_) if self.scissors.forbidden.load(Ordering::Relaxed) => {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Peer::Host(socket) => Box::new(UnixStream::connect(socket).await?),
                Peer::Apiserver(double) => connect(double)?,
            };
            let stream: Box<dyn Stream> = Box::new(Named { stream, scissors: self.scissors.clone(), named: false });
            Ok(match cut {
                None => stream,
                Some(cut) => Box::new(Deaf { stream, scissors: self.scissors.clone(), cut, snipped: false }),
            })
        })
    }
}

fn connect(double: &Double) -> io::Result<Box<dyn Stream>> {
    if double.look().away_until.is_some_and(|until| Instant::now() < until) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let (client, server) = tokio::io::duplex(1 << 16);
    let double = double.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let double = double.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let answer = double.answer(http::Request::from_parts(head, body)).await;
            Ok::<_, hyper::Error>(answer.map(Full::<Bytes>::new))
        }
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
    Ok(Box::new(client))
}

/// A connection whose request is noted.
struct Named {
    stream: Box<dyn Stream>,
    scissors: Arc<Scissors>,
    named: bool,
}

impl AsyncRead for Named {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Named {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !std::mem::replace(&mut self.named, true) {
            let text = String::from_utf8_lossy(bytes);
            let line = text.lines().next().unwrap_or_default();
            let name = line.split(['?', ' ']).take(2).collect::<Vec<_>>().join(" ");
            self.scissors.names.lock().unwrap().push(name);
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A connection whose answer is never read.
struct Deaf {
    stream: Box<dyn Stream>,
    scissors: Arc<Scissors>,
    cut: Cut,
    snipped: bool,
}

impl AsyncRead for Deaf {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 1];
        let mut answer = ReadBuf::new(&mut bytes);
        if !self.snipped && Pin::new(&mut self.stream).poll_read(context, &mut answer).is_ready() {
            self.snipped = true;
            self.scissors.snip(self.cut);
        }
        Poll::Pending
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
