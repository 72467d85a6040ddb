//! How many requests a connection has in flight.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::connections::Connection;
use super::member::Turn;

/// Returns once no request has been in flight for a time.
pub(super) async fn idle(mut requests: watch::Receiver<usize>, limit: Duration) {
    while requests.wait_for(|in_flight| *in_flight == 0).await.is_ok() {
        match timeout(limit, requests.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break,
            Err(_) => return,
        }
    }
    // The service is gone, so the connection is about to end by itself.
    std::future::pending::<()>().await;
}

/// One request in flight, until dropped.
pub(super) struct InFlight {
    requests: watch::Sender<usize>,
    connection: Connection,
}

impl InFlight {
    pub(super) fn count(requests: watch::Sender<usize>, connection: Connection) -> Self {
        requests.send_modify(|in_flight| {
            *in_flight += 1;
            connection.turn(Turn::Server);
        });
        Self { requests, connection }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.requests.send_modify(|in_flight| {
            *in_flight -= 1;
            if *in_flight == 0 {
                self.connection.turn(Turn::Client);
            }
        });
    }
}
