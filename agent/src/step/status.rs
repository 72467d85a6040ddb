//! The report: what the shadow is to say, from what is observed and decided.

use api::shadow::{
    BottlerocketShadowStatus, Failure, FailureKind, MAX_AVAILABLE_VERSIONS, MAX_VERSION, Observed, State,
};
use api::text;
use semver::Version;

use super::decision::{Decision, NewFailure};
use super::lock_record::{administrators_lock, held_to, is_known};
use super::view::View;
use crate::lock::Lock;

/// This program's version, as it reports it.
pub const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Longest message, in characters; the schema's limit is 1024.
const LONGEST_MESSAGE: usize = 512;

/// The status to store, if it differs from the stored one.
pub(crate) fn change(view: &View<'_>, decision: &Decision) -> Option<BottlerocketShadowStatus> {
    let report = compose(view, decision);
    (Some(&report) != view.shadow.observed.as_ref()).then(|| BottlerocketShadowStatus::from(&report))
}

fn compose(view: &View<'_>, decision: &Decision) -> Observed {
    let before = view.shadow.observed.as_ref();
    let failures = Failures::after(view, decision);
    let (target, available) = offered(view, decision);
    let available = available.or_else(|| before.map(|report| report.available_versions.clone()));
    Observed {
        crash_count: failures.count,
        failed_at: failures.at,
        agent_version: Some(AGENT_VERSION.to_owned()),
        available_versions: available.map(listed).unwrap_or_default(),
        activity: Some(decision.activity),
        message: decision.message.as_deref().map(one_line),
        drain_not_before: decision.drain_not_before,
        failure: failures.last,
        rebooting: decision.rebooting.clone(),
        version_lock_before: decision.lock_before.clone(),
        version_lock: administrators_lock(view).map(str::to_owned),
        failed: before.and_then(|report| report.failed.clone()),
        ..Observed::new(decision.state, view.running.clone(), target)
    }
}

/// What the host would take by itself, and all it is offered. Until the first refresh under this boot the last report stands.
/// While the host is held to a version, that is what it takes; stored, it tells our lock from somebody else's.
fn offered(view: &View<'_>, decision: &Decision) -> (Version, Option<Vec<Version>>) {
    let (target, available) = unheld(view);
    let held =
        decision.lock_before.as_ref().and_then(|_| held_to(view).or_else(|| view.shadow.desired.version.clone()));
    (held.unwrap_or(target), available)
}

fn unheld(view: &View<'_>) -> (Version, Option<Vec<Version>>) {
    // What the host is offered means little until it is known what its lock lets it have.
    let offered = view.o.memory.offered.as_ref().filter(|_| is_known(view));
    match (offered, &view.shadow.observed) {
        (Some(offered), _) => {
            let target = offered.chosen.as_ref().filter(|chosen| fits(chosen)).unwrap_or(view.running);
            let lock = administrators_lock(view).map(Lock::new);
            let allowed = |version: &&Version| lock.as_ref().is_none_or(|lock| lock.is(version));
            (target.clone(), Some(offered.available.iter().filter(allowed).cloned().collect()))
        }
        (None, Some(report)) => (report.target_version.clone(), None),
        (None, None) => (view.running.clone(), None),
    }
}

struct Failures {
    count: u32,
    at: Option<jiff::Timestamp>,
    last: Option<Failure>,
}

impl Failures {
    fn after(view: &View<'_>, decision: &Decision) -> Self {
        let before = view.shadow.observed.as_ref();
        let mut failures = Self {
            count: before.map_or(0, |report| report.crash_count),
            at: before.and_then(|report| report.failed_at),
            last: before.and_then(|report| report.failure.clone()),
        };
        if let (Some(NewFailure { kind }), Some(version)) = (&decision.failing, &view.shadow.desired.version) {
            failures.add(*kind, version, view.o.now);
        }
        let succeeded =
            before.is_some_and(|report| report.state == State::MonitoringUpdate) && decision.state == State::Idle;
        if succeeded {
            return Self { count: 0, at: None, last: None };
        }
        failures
    }

    /// A drain that fails says nothing about the version: it does not count as a crash.
    fn add(&mut self, kind: FailureKind, version: &Version, now: jiff::Timestamp) {
        let again = self.last.as_ref().filter(|last| last.kind == kind && last.version == *version);
        let attempts = again.map_or(0, |last| last.attempts).saturating_add(1).min(1_000_000);
        self.last = Some(Failure { kind, version: version.clone(), time: now, attempts });
        if kind != FailureKind::Drain {
            self.count = self.count.saturating_add(1);
            self.at = Some(now);
        }
    }
}

/// Newest first, each once, and no more and no longer ones than the schema takes.
fn listed(mut versions: Vec<Version>) -> Vec<Version> {
    versions.retain(fits);
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.dedup();
    versions.truncate(MAX_AVAILABLE_VERSIONS);
    versions
}

/// Whether a version can be stored.
fn fits(version: &Version) -> bool {
    version.to_string().len() <= MAX_VERSION
}

/// Text of others in one printable line of bounded length: a host's standard error has line breaks and colours.
pub(crate) fn one_line(said: &str) -> String {
    text::line(said, LONGEST_MESSAGE)
}
