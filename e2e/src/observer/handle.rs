//! The observer as tests and the demo hold it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::HOLD;
use super::breach::Breach;
use super::event::{HostChange, Seen};
use super::judge::Judge;
use super::merge::Merge;
use super::report::Report;
use super::watch::watch;
use super::writes::Write;
use crate::host::{Cause, Client as HostClient, Host, HostEvent};

/// How often events that have waited long enough are judged.
const TICK: Duration = Duration::from_millis(100);

/// A place in the order of all writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

/// What the tasks of an observer share.
pub(super) struct Shared(Mutex<(Merge, Judge)>);

impl Shared {
    fn with<R>(&self, act: impl FnOnce(&mut Merge, &mut Judge) -> R) -> R {
        let mut both: MutexGuard<'_, _> = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (merge, judge) = &mut *both;
        act(merge, judge)
    }

    pub(super) fn seen(&self, seen: Seen) {
        self.with(|merge, _| merge.seen(now(), seen));
    }

    pub(super) fn list(&self, all: Vec<Seen>) {
        self.with(|_, judge| judge.list(now(), all));
    }

    pub(super) fn lose(&self, why: String) {
        self.with(|merge, judge| {
            // Between the last event and the next list everything may have happened.
            merge.forget();
            judge.lose(now(), why);
        });
    }

    fn tick(&self) {
        self.with(|merge, judge| merge.release(now()).into_iter().for_each(|event| judge.see(event)));
    }
}

/// Watches a cluster from outside the programs and judges what it sees. Dropped, it stops.
pub struct Observer {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl Observer {
    /// Starts watching. `client` may read everything; `namespace` is the operator's. The API need not answer yet.
    #[must_use]
    pub fn start(client: Client, namespace: &str) -> Self {
        let shared = Arc::new(Shared(Mutex::new((Merge::default(), Judge::new(namespace)))));
        let watches = tokio::spawn(watch(client, namespace.to_owned(), Arc::clone(&shared)));
        let judged = tokio::spawn(judge_in_time(Arc::clone(&shared)));
        let tasks = [watches, judged].into_iter().map(AbortOnDropHandle::new).collect();
        Self { shared, tasks: Mutex::new(tasks) }
    }

    /// Follows a simulated host, whose name is its Node's, until the host is dropped. To be called before it reboots.
    pub fn follow(&self, host: &Host) {
        let (name, mut events, shared) = (host.name().to_owned(), host.subscribe(), Arc::clone(&self.shared));
        let running = HostChange::Up { version: host.state().version };
        shared.with(|merge, _| merge.host(now(), name.clone(), running));
        let task = tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(event) => shared.with(|merge, _| merge.host(now(), name.clone(), change(event))),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::warn!(node = name, missed, "observer missed host events");
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        });
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(AbortOnDropHandle::new(task));
    }

    /// Tells what happened to a host that it does not follow.
    pub fn host_event(&self, node: &str, at: Timestamp, change: HostChange) {
        self.shared.with(|merge, _| merge.host(at, node.to_owned(), change));
    }

    /// Waits until everything that has been seen by now is judged, and returns where that is in the order of all writes.
    pub async fn settle(&self) -> Position {
        sleep(TICK * 2 + Duration::try_from(HOLD).unwrap_or_default()).await;
        self.shared.with(|_, judge| Position(judge.latest()))
    }

    /// The operator's writes to Nodes, shadows and policies after `position`, as far as they are judged. Requests that changed
    /// nothing, and deletions, are not among them: the audit log has those.
    #[must_use]
    pub fn writes_since(&self, position: Position) -> Vec<Write> {
        self.shared.with(|_, judge| judge.writes_since(position.0))
    }

    /// What was judged so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.shared.with(|_, judge| judge.report())
    }

    /// The breaches so far.
    #[must_use]
    pub fn breaches(&self) -> Vec<Breach> {
        self.shared.with(|_, judge| judge.breaches().to_vec())
    }

    /// Settles, and fails the test when there was a breach, or when nothing was seen at all.
    ///
    /// # Panics
    /// With the report and what happened to every node.
    #[expect(clippy::panic, reason = "it fails a test, as an assertion does")]
    pub async fn assert_no_breach(&self) {
        self.settle().await;
        let report = self.report();
        let blind = report.since.is_none() || report.gaps.last().is_some_and(|gap| gap.until.is_none());
        if blind {
            panic!("the observer sees nothing:\n{report}");
        }
        if !report.breaches.is_empty() {
            panic!("the observer saw breaches:\n{}", report.in_full());
        }
    }
}

async fn judge_in_time(shared: Arc<Shared>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.tick();
    }
}

/// What a host's event means to the judge: the agent is the host's client on the socket.
fn change(event: HostEvent) -> HostChange {
    match event {
        HostEvent::GoingDown { cause } => {
            HostChange::Down { approved: cause == Cause::RebootRequest(HostClient::Socket) }
        }
        HostEvent::Up { version, .. } => HostChange::Up { version },
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge of the observer")]
fn now() -> Timestamp {
    Timestamp::now()
}
