//! One connection, from its handshake to its end.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::GracefulConnection;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::admission::{Admission, refusal};
use super::body::BoundedBody;
use super::connections::Connection;
use super::handshake::handshake;
use super::limits::Limits;
use super::member::Turn;
use super::open_requests::{OpenRequest, idle};

/// How long a connection that was told to close may go on without a request: enough to hand over its last response.
const CLOSING: Duration = Duration::from_secs(5);

/// The smallest buffer hyper accepts for HTTP/1.
const HTTP1_BUFFER: usize = 8 << 10;

/// Bytes a client may have under way to us within one HTTP/2 connection. hyper's own megabyte, times all connections,
/// would be memory that anybody can take.
const HTTP2_WINDOW: u32 = 64 << 10;

/// Streams that a client may have the server reset, by opening more than it may or by sending what is none: as many as a
/// client opens before it has read how many it may (Go's). One more ends the connection.
const HTTP2_RESETS: usize = 100;

/// Streams that a client may have reset before they were looked at ("rapid reset", CVE-2023-44487). One more ends the
/// connection.
const HTTP2_RESETS_BY_CLIENT: usize = 20;

/// Bytes of a response that wait in memory for their client to take the ones before them.
const HTTP2_SEND_BUFFER: usize = 64 << 10;

/// What all connections of a server share.
pub(super) struct Host {
    tls: Option<Arc<ServerConfig>>,
    routes: Router,
    admission: Arc<Admission>,
    limits: Limits,
    draining: CancellationToken,
}

impl Host {
    pub(super) fn new(
        tls: Option<Arc<ServerConfig>>,
        routes: Router,
        limits: Limits,
        draining: CancellationToken,
    ) -> Self {
        Self { tls, routes, admission: Arc::new(Admission::new(&limits)), limits, draining }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve<I>(&self, io: I, peer: SocketAddr, this: Connection)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(config) = &self.tls else {
            this.turn(Turn::Silent);
            return Box::pin(self.http1(io, peer, this)).await;
        };
        // In boxes, because the task of a connection is as large as the largest of its stages, and most wait in a small one.
        let stream = tokio::select! {
            () = this.evicted() => return,
            stream = Box::pin(handshake(config, io, &this, &self.limits)) => stream,
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err((why, error)) => {
                self.limits.refused.connection(why);
                tracing::debug!(%peer, ?why, %error, "no handshake");
                return;
            }
        };
        this.turn(Turn::Client);
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            Box::pin(self.http2(stream, peer, this)).await;
        } else {
            Box::pin(self.http1(stream, peer, this)).await;
        }
    }

    async fn http1<I>(&self, io: I, peer: SocketAddr, this: Connection)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (open, requests) = watch::channel(0);
        let head = usize::try_from(self.limits.header_bytes).unwrap_or(usize::MAX).max(HTTP1_BUFFER);
        let mut builder = http1::Builder::new();
        builder.max_header_size(head).max_buf_size(head);
        let connection = builder.serve_connection(TokioIo::new(io), self.service(peer, this.clone(), open));
        self.drive(Box::pin(connection), requests, peer, this).await;
    }

    /// hyper runs each request as a task of its own, which ends when its connection does.
    async fn http2<I>(&self, io: I, peer: SocketAddr, this: Connection)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (open, requests) = watch::channel(0);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .max_concurrent_streams(self.limits.streams)
            .max_local_error_reset_streams(HTTP2_RESETS)
            .max_pending_accept_reset_streams(HTTP2_RESETS_BY_CLIENT)
            .max_send_buf_size(HTTP2_SEND_BUFFER)
            .max_header_list_size(self.limits.header_bytes)
            .initial_stream_window_size(HTTP2_WINDOW)
            .initial_connection_window_size(HTTP2_WINDOW);
        let connection = builder.serve_connection(TokioIo::new(io), self.service(peer, this.clone(), open));
        self.drive(Box::pin(connection), requests, peer, this).await;
    }

    /// The routes, with each request counted while it is open, and refused unread where there is no memory for it.
    fn service(
        &self,
        peer: SocketAddr,
        this: Connection,
        open: watch::Sender<usize>,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response,
        Error = Infallible,
        Future = impl Future<Output = Result<Response, Infallible>> + Send + 'static,
    > {
        let (routes, admission, body_timeout) = (self.routes.clone(), self.admission.clone(), self.limits.body_timeout);
        service_fn(move |request: Request<Incoming>| {
            let counted = OpenRequest::count(open.clone(), this.clone());
            let answer = match admission.admit(&request, &this) {
                Err(why) => Err(why),
                Ok(held) => {
                    let mut request = request.map(|body| BoundedBody::new(body, body_timeout, held.clone()));
                    request.extensions_mut().insert(ConnectInfo(peer));
                    request.extensions_mut().insert(this.clone());
                    request.extensions_mut().insert(held.clone());
                    Ok((routes.clone().oneshot(request), held))
                }
            };
            async move {
                let _counted = counted;
                match answer {
                    Err(why) => Ok(refusal(why)),
                    Ok((response, _held)) => response.await,
                }
            }
        })
    }

    /// Runs a connection until it ends, has been idle for too long, or the server drains; the last two let it close in an
    /// orderly way first. One that has to make room is told so if that can be written at once, and cut.
    async fn drive<C>(
        &self,
        mut connection: Pin<Box<C>>,
        requests: watch::Receiver<usize>,
        peer: SocketAddr,
        this: Connection,
    ) where
        C: GracefulConnection<Error: Display>,
    {
        let served = async {
            let mut result = tokio::select! {
                result = connection.as_mut() => Some(result),
                () = idle(requests.clone(), self.limits.idle_timeout) => None,
                () = self.draining.cancelled() => None,
            };
            if result.is_none() {
                connection.as_mut().graceful_shutdown();
                result = tokio::select! {
                    result = connection.as_mut() => Some(result),
                    () = idle(requests, CLOSING) => None,
                };
            }
            if let Some(Err(error)) = result {
                tracing::debug!(%peer, %error, "connection failed");
            }
        };
        let evicted = tokio::select! {
            () = this.evicted() => true,
            () = served => false,
        };
        if evicted {
            connection.as_mut().graceful_shutdown();
            poll_fn(|context| {
                let _ = connection.as_mut().poll(context);
                Poll::Ready(())
            })
            .await;
        }
    }
}
