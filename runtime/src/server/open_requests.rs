//! The open requests of a connection.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::connections::Connection;
use super::member::Turn;

/// Returns once no request has been open for a time.
pub(super) async fn idle(mut requests: watch::Receiver<usize>, limit: Duration) {
    while requests.wait_for(|open| *open == 0).await.is_ok() {
        match timeout(limit, requests.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break,
            Err(_) => return,
        }
    }
    // The service is gone, so the connection is about to end by itself.
    std::future::pending::<()>().await;
}

/// One open request, counted until dropped.
pub(super) struct OpenRequest {
    requests: watch::Sender<usize>,
    connection: Connection,
}

impl OpenRequest {
    pub(super) fn count(requests: watch::Sender<usize>, connection: Connection) -> Self {
        requests.send_modify(|open| {
            *open += 1;
            connection.turn(Turn::Server);
        });
        Self { requests, connection }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.requests.send_modify(|open| {
            *open -= 1;
            if *open == 0 {
                self.connection.turn(Turn::Client);
            }
        });
    }
}
