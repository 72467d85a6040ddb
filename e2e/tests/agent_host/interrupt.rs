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

use crate::double::Double;

/// What happens at a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The agent is killed.
    Kill,
    /// The machine loses its power for a moment.
    PowerCycle,
    /// The shadow is deleted.
    ShadowDeleted,
    /// The Node is deleted and registered anew, with all that was written on it, and the agent's pod with it.
    NodeAnew,
    /// The apiserver is away for three minutes.
    ApiserverAway,
    /// Nobody is on the host's socket for two minutes.
    HostAway,
}

impl Blow {
    /// Whether the agent gets to see anything of the request it was at.
    const fn ends_agent(self) -> bool {
        matches!(self, Self::Kill | Self::PowerCycle | Self::NodeAnew)
    }
}

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Before the request is sent.
    Before,
    /// When the request has had its effect and the answer is there.
    After,
}

/// Counts requests, and says which is cut.
#[derive(Debug, Default)]
pub(crate) struct Scissors {
    count: Mutex<u32>,
    /// The requests that were sent, by method and path.
    pub(crate) names: Mutex<Vec<String>>,
    pub(crate) at: Option<(u32, Blow, When)>,
    /// The host's socket may not be opened.
    forbidden: AtomicBool,
    /// It is to happen now.
    pub(crate) blow: Notify,
    /// It has happened.
    pub(crate) struck: Notify,
}

impl Scissors {
    pub(crate) fn at(number: u32, blow: Blow, when: When) -> Self {
        Self { at: Some((number, blow, when)), ..Self::default() }
    }

    /// Whether the host's socket may be opened. As root, a socket's mode stops nobody.
    pub(crate) fn forbid(&self, forbidden: bool) {
        self.forbidden.store(forbidden, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u32 {
        *self.count.lock().unwrap()
    }

    fn next(&self) -> Option<(Blow, When)> {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        self.at.filter(|(number, ..)| *number == *count).map(|(_, blow, when)| (blow, when))
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
            let next = self.scissors.next();
            if let Some((blow, When::Before)) = next {
                self.scissors.blow.notify_one();
                self.scissors.struck.notified().await;
                if blow.ends_agent() {
                    std::future::pending::<()>().await;
                }
            }
            let stream: Box<dyn Stream> = match &self.peer {
                Peer::Host(_) if self.scissors.forbidden.load(Ordering::Relaxed) => {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Peer::Host(socket) => Box::new(UnixStream::connect(socket).await?),
                Peer::Apiserver(double) => connect(double)?,
            };
            let stream: Box<dyn Stream> = Box::new(Named { stream, scissors: self.scissors.clone(), named: false });
            Ok(match next {
                Some((blow, When::After)) => {
                    let deaf = blow.ends_agent();
                    Box::new(Answered { stream, scissors: self.scissors.clone(), deaf, struck: false })
                }
                None | Some((_, When::Before)) => stream,
            })
        })
    }
}

fn connect(double: &Double) -> io::Result<Box<dyn Stream>> {
    if double.look().is_away() {
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

/// A connection on which it happens when the answer is there; an agent that ends with it never reads it.
struct Answered {
    stream: Box<dyn Stream>,
    scissors: Arc<Scissors>,
    deaf: bool,
    struck: bool,
}

impl AsyncRead for Answered {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.struck && self.deaf {
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() && !std::mem::replace(&mut self.struck, true) {
            self.scissors.blow.notify_one();
        }
        if self.deaf { Poll::Pending } else { read }
    }
}

impl AsyncWrite for Answered {
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
