//! What honest callers saw.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::bench::latency::Latencies;

/// Honest calls at a time of one kind. More are not made: then none has been answered for long.
const AT_A_TIME: usize = 256;

/// The calls of honest callers. Clones are one ledger.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<Call>>>);

struct Call {
    kind: &'static str,
    begun: Instant,
    outcome: Result<Duration, String>,
}

/// The calls of one kind before an attack and during it.
pub(crate) struct Seen {
    pub(crate) alone: Latencies,
    pub(crate) attacked: Latencies,
    /// Why the first of those failed that were made during the attack.
    pub(crate) failure: Option<String>,
}

impl Ledger {
    /// Notes a call that has just ended.
    pub(crate) fn note(&self, kind: &'static str, begun: Instant, outcome: Result<(), String>) {
        let outcome = outcome.map(|()| begun.elapsed());
        self.calls().push(Call { kind, begun, outcome });
    }

    /// The calls of a kind, apart by whether they were begun before the attack.
    pub(super) fn seen(&self, kind: &str, attacked_from: Instant) -> Seen {
        let calls = self.calls();
        let of_kind = |attacked: bool| {
            calls.iter().filter(move |call| call.kind == kind && (call.begun >= attacked_from) == attacked)
        };
        let latencies = |attacked| {
            Latencies::of(of_kind(attacked).map(|call| call.outcome.as_ref().ok().copied()), Duration::from_secs(1))
        };
        let failure = of_kind(true).find_map(|call| call.outcome.as_ref().err().cloned());
        Seen { alone: latencies(false), attacked: latencies(true), failure }
    }

    /// Held for plain pushes and reads only, so a poisoned lock is as good as any.
    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a call at every `interval` until a moment, whether those before are answered or not, and then waits for them.
pub(crate) async fn every<F>(interval: Duration, until: Instant, mut call: impl FnMut(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut calls = JoinSet::new();
    let mut next = Instant::now();
    for number in 0.. {
        if next >= until {
            break;
        }
        sleep_until(next).await;
        while calls.try_join_next().is_some() {}
        if calls.len() < AT_A_TIME {
            calls.spawn(call(number));
        }
        next += interval;
    }
    while calls.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_told_apart_by_kind_and_by_the_moment_they_were_begun_in() {
        let (ledger, begun) = (Ledger::default(), Instant::now());
        let attacked = begun + Duration::from_secs(2);
        every(Duration::from_secs(1), begun + Duration::from_secs(4), |number| {
            let ledger = ledger.clone();
            async move {
                let begun = Instant::now();
                // Longer than the interval: the next one is not kept waiting.
                sleep(Duration::from_millis(1500)).await;
                ledger.note("ping", begun, if number == 3 { Err("late".to_owned()) } else { Ok(()) });
            }
        })
        .await;
        let seen = ledger.seen("ping", attacked);
        assert_eq!((seen.alone.failed, seen.attacked.failed), (0, 1));
        assert_eq!(seen.alone.percentile(99), Duration::from_millis(1500));
        assert_eq!((seen.alone.count(), seen.attacked.count()), (2, 1));
        assert_eq!(seen.failure.as_deref(), Some("late"));
        assert_eq!(ledger.seen("other", attacked).alone.count(), 0);
    }
}
