//! One HTTP/1.1 exchange on one connection of its own. Dropping it closes the connection.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection on its way.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// How connections are made: over a unix socket, over TLS, or within a test.
pub trait Dial: Send + Sync {
    /// Connects.
    fn dial(&self) -> Dialing<'_>;
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum NoAnswer {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// Nothing within the deadline.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// The connection broke, or what came was no HTTP.
    #[error("the connection broke: {0}")]
    Broken(#[source] hyper::Error),
    /// The body broke off or is larger than is read.
    #[error("the answer cannot be read: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Connects, asks and reads the whole answer, of which the body has at most `longest` bytes, within `deadline`.
///
/// # Errors
/// When there is no whole answer in time.
pub async fn exchange(
    dial: &dyn Dial,
    request: Request<Full<Bytes>>,
    longest: usize,
    deadline: Duration,
) -> Result<Response<Bytes>, NoAnswer> {
    let talk = async {
        let stream = dial.dial().await.map_err(NoAnswer::Connect)?;
        talk(stream, request, longest).await
    };
    timeout(deadline, talk).await.unwrap_or(Err(NoAnswer::Late(deadline)))
}

async fn talk(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
    longest: usize,
) -> Result<Response<Bytes>, NoAnswer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(NoAnswer::Broken)?;
    let answer = async move {
        let response = sender.send_request(request).await.map_err(NoAnswer::Broken)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, longest).collect().await.map_err(NoAnswer::Body)?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    let (mut answer, connection) = (pin!(answer), pin!(connection));
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = connection => match ended {
            // What the connection has read is still to be taken.
            Ok(()) => answer.await,
            Err(error) => Err(NoAnswer::Broken(error)),
        },
    }
}
