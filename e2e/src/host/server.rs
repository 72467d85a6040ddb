//! HTTP/1.1 on a connection, in front of a machine.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::reply::{self, Reply};

/// What the machine behind the server says to a request.
pub(super) type Answer = Arc<dyn Fn(&Request<Bytes>) -> Reply + Send + Sync>;

/// Bytes of a request body that are read, as many as the real server's JSON extractor takes.
const BODY_LIMIT: usize = 2 * 1024 * 1024;
/// A huge body is sent in pieces of this size.
const PIECE: [u8; 16 * 1024] = [b'x'; 16 * 1024];

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Serves a connection until its client or the machine hangs up.
pub(super) async fn serve(stream: UnixStream, answer: Answer) {
    let service = service_fn(move |request| respond(request, Arc::clone(&answer)));
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        // A client that goes away and a fault that hangs up are both what a host lives with.
        tracing::debug!(%error, "connection ended");
    }
}

async fn respond(request: Request<Incoming>, answer: Answer) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Ok(whole(reply::text(StatusCode::PAYLOAD_TOO_LARGE, "JSON payload is larger than allowed")));
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    match answer(&Request::from_parts(head, body)) {
        Reply::Answer(response) => Ok(whole(response)),
        Reply::Huge(bytes) => Ok(huge(bytes)),
        Reply::Silence => std::future::pending().await,
        Reply::HangUp => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
    }
}

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync())
}

fn huge(bytes: u64) -> Response<Body> {
    let pieces = stream::unfold(bytes, |left| async move {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE.len());
        let piece = PIECE.get(..size).filter(|piece| !piece.is_empty())?;
        Some((Ok(Frame::data(Bytes::from_static(piece))), left - size as u64))
    });
    let mut response = Response::new(StreamBody::new(pieces).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
