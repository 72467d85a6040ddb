//! What attackers got, as they count it themselves.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

/// What attackers got so far. A try is a request, or a connection where nothing is asked on it.
#[derive(Debug, Default)]
pub(crate) struct Gains {
    tries: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) tries: u64,
    /// Answered with success.
    pub(crate) answered: u64,
    /// Answered with an error, or turned away before it was looked at.
    pub(crate) refused: u64,
    /// Ended by the server without an answer.
    pub(crate) cut: u64,
}

impl Gains {
    pub(crate) fn tried(&self) {
        self.tries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        let counter = if status.is_success() { &self.answered } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cut(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
    }

    /// A stream has failed.
    pub(crate) fn failed(&self, error: &h2::Error) {
        if error.reason() == Some(h2::Reason::REFUSED_STREAM) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        } else {
            self.cut();
        }
    }

    pub(crate) fn so_far(&self) -> Got {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Got {
            tries: read(&self.tries),
            answered: read(&self.answered),
            refused: read(&self.refused),
            cut: read(&self.cut),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_no_answer_and_no_cut() {
        let gains = Gains::default();
        for status in [200, 202, 401, 503] {
            gains.tried();
            gains.answered(StatusCode::from_u16(status).unwrap());
        }
        for reason in [h2::Reason::REFUSED_STREAM, h2::Reason::ENHANCE_YOUR_CALM] {
            gains.tried();
            gains.failed(&reason.into());
        }
        assert_eq!(gains.so_far(), Got { tries: 6, answered: 2, refused: 3, cut: 1 });
    }
}
