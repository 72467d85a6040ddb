//! What is refused, counted.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// The counters of what a program's servers refuse. Clones are the same counters; the default ones count nothing.
#[derive(Clone, Debug, Default)]
pub struct Refused(Option<Counters>);

#[derive(Clone, Debug)]
struct Counters {
    connections: [IntCounter; NoConnection::ALL.len()],
    requests: [IntCounter; NoRequest::ALL.len()],
}

/// Why a connection is refused or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoConnection {
    /// Its address has as many as it may have.
    Address,
    /// There are as many as there may be, and its address has no fewer than another.
    Full,
    /// It made room for another.
    Evicted,
    /// It brought no TLS `ClientHello`, or none in time.
    Hello,
    /// Its TLS handshake failed, or took too long.
    Handshake,
}

/// Why a request is refused before anybody looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRequest {
    /// There is no memory left for its address.
    Memory,
    /// Its body is too large, by its own word.
    TooLarge,
}

impl NoRequest {
    const ALL: [Self; 2] = [Self::Memory, Self::TooLarge];

    fn label(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::TooLarge => "too_large",
        }
    }
}

impl NoConnection {
    const ALL: [Self; 5] = [Self::Address, Self::Full, Self::Evicted, Self::Hello, Self::Handshake];

    fn label(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Full => "full",
            Self::Evicted => "evicted",
            Self::Hello => "hello",
            Self::Handshake => "handshake",
        }
    }
}

impl Refused {
    /// Registers `brupop_connections_refused_total` and `brupop_requests_refused_total`, both with the label `reason`.
    ///
    /// # Errors
    /// When the registry has such a metric already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["reason"])?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let connections = counter("brupop_connections_refused_total", "Connections refused or cut, by the reason.")?;
        let requests = counter("brupop_requests_refused_total", "Requests refused unread, by the reason.")?;
        Ok(Self(Some(Counters {
            connections: NoConnection::ALL.map(|why| connections.with_label_values(&[why.label()])),
            requests: NoRequest::ALL.map(|why| requests.with_label_values(&[why.label()])),
        })))
    }

    pub(super) fn connection(&self, why: NoConnection) {
        if let Some(counters) = &self.0 {
            counters.connections[why as usize].inc();
        }
    }

    pub(super) fn request(&self, why: NoRequest) {
        if let Some(counters) = &self.0 {
            counters.requests[why as usize].inc();
        }
    }
}
