//! Whether there is memory for a request, asked before any of its body is read.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use axum::body::Body as Empty;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use hyper::body::Body;

use super::connections::Connection;
use super::limits::Limits;
use super::memory_pool::{Charge, MemoryPool, UsedUp};
use super::refused::{NoRequest, Refused};

/// Bytes that a request takes beside what it brings: its task, its map of headers, its place in the connection.
const REQUEST: usize = 2 << 10;

/// Bytes that a header takes beside its name and value (RFC 9113, section 6.5.2).
const HEADER: usize = 32;

/// Bytes of a body of unknown length that may have come before anybody reads it.
const UNREAD: usize = 64 << 10;

/// Seconds after which it is worth while to ask again.
const RETRY: HeaderValue = HeaderValue::from_static("1");

/// Decides on requests.
#[derive(Debug)]
pub(super) struct Admission {
    pool: Arc<MemoryPool>,
    body_bytes: usize,
    weigh: fn(&[u8]) -> usize,
    refused: Refused,
}

/// What a request holds of the server's memory, among its extensions. It is released once the request has ended and every
/// clone is dropped: work that outlives its request keeps one.
#[derive(Clone, Debug)]
pub struct RequestMemory(Arc<Charged>);

#[derive(Debug)]
struct Charged {
    charge: Charge,
    most: usize,
    weigh: fn(&[u8]) -> usize,
    /// Bytes of the body that have come.
    received: AtomicUsize,
    /// What they weigh, and the head.
    weight: AtomicUsize,
}

/// Why a body is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoBody {
    #[error("the body is too large")]
    TooLarge,
    #[error(transparent)]
    UsedUp(#[from] UsedUp),
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let all = limits.request_bytes;
        // Where every connection may be unauthenticated nobody is known.
        let kept = if limits.unauthenticated < limits.connections { all / 4 } else { 0 };
        Self {
            pool: MemoryPool::new(all, kept),
            body_bytes: limits.body_bytes,
            weigh: limits.weigh,
            refused: limits.refused.clone(),
        }
    }

    /// Charges for a request's head and for the body that it announces.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn admit<B: Body>(
        &self,
        request: &Request<B>,
        connection: &Connection,
    ) -> Result<RequestMemory, NoRequest> {
        let body = request.body().size_hint();
        let announced = usize::try_from(body.lower()).unwrap_or(usize::MAX);
        if announced > self.body_bytes {
            return Err(self.refuse(NoRequest::TooLarge));
        }
        let unread = if body.exact().is_some() { announced } else { UNREAD };
        let head = head(request);
        match self.pool.charge(connection.network(), connection.is_known(), head + unread) {
            Ok(charge) => Ok(RequestMemory(Arc::new(Charged {
                charge,
                most: self.body_bytes,
                weigh: self.weigh,
                received: AtomicUsize::new(0),
                weight: AtomicUsize::new(head),
            }))),
            Err(UsedUp) => Err(self.refuse(NoRequest::Memory)),
        }
    }

    fn refuse(&self, why: NoRequest) -> NoRequest {
        self.refused.request(why);
        why
    }
}

/// The answer to a request that is refused.
pub(super) fn refusal(why: NoRequest) -> Response {
    let mut response = Response::new(Empty::empty());
    match why {
        NoRequest::TooLarge => *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE,
        NoRequest::Memory => {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert(RETRY_AFTER, RETRY);
        }
    }
    response
}

impl RequestMemory {
    /// Charges for a piece of the body.
    pub(super) fn receive(&self, data: &[u8]) -> Result<(), NoBody> {
        let charged = &*self.0;
        let received = charged.received.fetch_add(data.len(), Relaxed) + data.len();
        if received > charged.most {
            return Err(NoBody::TooLarge);
        }
        let weight = (charged.weigh)(data);
        Ok(charged.charge.raise_to(charged.weight.fetch_add(weight, Relaxed) + weight)?)
    }
}

fn head<B>(request: &Request<B>) -> usize {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER);
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    REQUEST + path + headers.sum::<usize>()
}
