//! A request's body: it keeps its handler waiting for a bounded time, and what it brings is charged.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::admission::RequestMemory;

/// A body that fails once its handler has been waiting for it longer than the limit, counted from the first wait, and when it
/// brings more than it may or than there is memory for.
pub(super) struct BoundedBody {
    incoming: Incoming,
    limit: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    held: RequestMemory,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

impl BoundedBody {
    pub(super) fn new(incoming: Incoming, limit: Duration, held: RequestMemory) -> Self {
        Self { incoming, limit, deadline: None, held }
    }
}

impl Body for BoundedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| {
                let frame = frame?;
                if let Some(data) = frame.data_ref() {
                    self.held.receive(data)?;
                }
                Ok(frame)
            }));
        }
        let limit = self.limit;
        ready!(self.deadline.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(context));
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the body did not arrive in time").into())))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
