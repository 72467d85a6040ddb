//! One HTTP/1.1 exchange on one connection. There is no deadline: the original waits for as long as the connection lives.

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Sends a request and reads the whole answer.
pub(super) async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        anyhow::Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    };
    let (answer, connection) = tokio::join!(answer, connection);
    let answer = answer?;
    connection.context("the connection broke")?;
    Ok(answer)
}
