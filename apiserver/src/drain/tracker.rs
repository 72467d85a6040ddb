//! The pods one drain is waiting for, what each of them waits for, and when each is to be asked for again.

use std::collections::BTreeMap;
use std::time::Duration;

use api::wire::{DrainProgress, PodProgress, PodWait};
use jiff::{SignedDuration, Timestamp};

use super::answer::{Answer, Refused, pause};
use super::select::PodFacts;

/// How long a pod whose eviction was accepted may look as if it was not, before it is asked for again.
const SECOND_LOOK: Duration = Duration::from_secs(10);
/// What a pod gets beyond the grace it has, before a forced drain is done without it.
const BEYOND_GRACE: SignedDuration = SignedDuration::from_secs(60);

/// The pods of one drain. Times are counted from the beginning of its first request.
#[derive(Debug, Default)]
pub struct Tracker(BTreeMap<String, Tracked>);

#[derive(Debug)]
struct Tracked {
    pod: PodFacts,
    wait: PodWait,
    budget: Option<String>,
    /// Since when it waits for this.
    since: Duration,
    /// Refusals in a row.
    tries: u32,
    /// When it is asked for next.
    due: Duration,
    asked: bool,
}

impl Tracker {
    /// Takes over what the last list shows: pods that are not in it are gone.
    pub fn observe(&mut self, pods: Vec<PodFacts>, now: Duration) {
        let mut before = std::mem::take(&mut self.0);
        for pod in pods {
            let mut tracked = before.remove(&pod.uid).unwrap_or_else(|| Tracked {
                pod: pod.clone(),
                wait: PodWait::Eviction,
                budget: None,
                since: now,
                tries: 0,
                due: now,
                asked: false,
            });
            if pod.terminating.is_some() {
                tracked.turn(PodWait::Termination, None, now);
            }
            tracked.pod = pod;
            self.0.insert(tracked.pod.uid.clone(), tracked);
        }
    }

    /// Goes on after a request that may have ended with evictions under way, whose answers nobody takes any more.
    pub fn resume(&mut self) {
        for tracked in self.0.values_mut() {
            tracked.asked = false;
        }
    }

    /// At most `most` pods that are to be asked for now, those that were never asked for first. They count as asked for
    /// until [`Self::answered`].
    pub fn due(&mut self, now: Duration, most: usize) -> Vec<PodFacts> {
        let mut due: Vec<_> = self
            .0
            .values_mut()
            .filter(|tracked| !tracked.asked && tracked.pod.terminating.is_none() && tracked.due <= now)
            .collect();
        due.sort_by_key(|tracked| (tracked.due, tracked.tries));
        due.into_iter()
            .take(most)
            .map(|tracked| {
                tracked.asked = true;
                tracked.pod.clone()
            })
            .collect()
    }

    /// Notes the answer to an eviction. `chance` is a number from 0 to 1 that spreads the retries.
    pub fn answered(&mut self, uid: &str, answer: &Answer, now: Duration, chance: f64) {
        let Some(tracked) = self.0.get_mut(uid) else {
            return;
        };
        tracked.asked = false;
        match answer {
            Answer::Accepted | Answer::Gone => {
                tracked.tries = 0;
                tracked.due = now + SECOND_LOOK;
                tracked.turn(PodWait::Termination, None, now);
                return;
            }
            Answer::Budget { name, .. } => tracked.turn(PodWait::Budget, name.clone(), now),
            Answer::Refused { why: Refused::SeveralBudgets, .. } => tracked.turn(PodWait::SeveralBudgets, None, now),
            Answer::Refused { .. } => tracked.turn(PodWait::Refused, None, now),
        }
        tracked.tries = tracked.tries.saturating_add(1);
        tracked.due = now + pause(answer, tracked.tries, chance);
    }

    /// Makes every pod due now: what was refused so far was asked for in another way.
    pub fn ask_anew(&mut self, now: Duration) {
        for tracked in self.0.values_mut() {
            tracked.due = now;
            tracked.tries = 0;
        }
    }

    /// When the next pod is to be asked for.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let idle = self.0.values().filter(|tracked| !tracked.asked && tracked.pod.terminating.is_none());
        idle.map(|tracked| tracked.due).min()
    }

    /// The pods that wait for a budget, as `namespace/name`, by that budget.
    #[must_use]
    pub fn budgets(&self) -> BTreeMap<String, Vec<String>> {
        let mut budgets = BTreeMap::<String, Vec<String>>::new();
        for tracked in self.0.values().filter(|tracked| tracked.wait == PodWait::Budget) {
            let namespace = &tracked.pod.namespace;
            let budget = tracked.budget.as_deref().unwrap_or("(not named)");
            let pods = budgets.entry(format!("{namespace}/{budget}")).or_default();
            pods.push(format!("{namespace}/{}", tracked.pod.name));
        }
        budgets
    }

    /// The pods that several budgets select, as `namespace/name`: they wait for a person.
    #[must_use]
    pub fn in_several_budgets(&self) -> Vec<String> {
        let pods = self.0.values().filter(|tracked| tracked.wait == PodWait::SeveralBudgets);
        let mut names: Vec<_> = pods.map(|tracked| format!("{}/{}", tracked.pod.namespace, tracked.pod.name)).collect();
        names.sort();
        names
    }

    /// How many pods wait for a budget.
    #[must_use]
    pub fn blocked(&self) -> usize {
        self.0.values().filter(|tracked| tracked.wait == PodWait::Budget).count()
    }

    /// How many pods are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// Whether a drain that was forced at `forced` is over at `now` although pods are left: each has had its grace and a
    /// minute more, counted from its deletion, or from `forced` where its deletion is refused.
    #[must_use]
    pub fn is_overdue(&self, forced: Timestamp, now: Timestamp) -> bool {
        self.0.values().all(|tracked| {
            let grace = SignedDuration::from_secs(tracked.pod.grace_seconds.max(0));
            let (end, patience) = match tracked.pod.terminating {
                Some(end) => (end, BEYOND_GRACE),
                None if tracked.tries > 0 => (forced, grace.saturating_add(BEYOND_GRACE)),
                None => return false,
            };
            now.duration_since(end) >= patience
        })
    }

    /// The names of the pods that are left, `namespace/name`, for a log line.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let pods = self.0.values().map(|tracked| &tracked.pod);
        pods.take(DrainProgress::MAX_PODS).map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect()
    }

    /// What the caller is told.
    #[must_use]
    pub fn progress(&self, now: Duration, elapsed: SignedDuration) -> DrainProgress {
        let mut tracked: Vec<_> = self.0.values().collect();
        tracked.sort_by_key(|tracked| (tracked.since, &tracked.pod.namespace, &tracked.pod.name));
        let pods = tracked.into_iter().take(DrainProgress::MAX_PODS);
        DrainProgress {
            pods_left: u32::try_from(self.0.len()).unwrap_or(u32::MAX),
            elapsed_seconds: u32::try_from(elapsed.as_secs().max(0)).unwrap_or(u32::MAX),
            pods: pods.map(|tracked| tracked.progress(now)).collect(),
        }
    }
}

impl Tracked {
    fn turn(&mut self, wait: PodWait, budget: Option<String>, now: Duration) {
        if self.wait != wait || self.budget != budget {
            self.since = now;
        }
        self.wait = wait;
        self.budget = budget;
    }

    fn progress(&self, now: Duration) -> PodProgress {
        let seconds = now.saturating_sub(self.since).as_secs();
        PodProgress {
            namespace: self.pod.namespace.clone(),
            name: self.pod.name.clone(),
            waiting_for: self.wait,
            budget: self.budget.clone(),
            seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::select::samples::pod;
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn tracking(names: &[&str]) -> Tracker {
        let mut tracker = Tracker::default();
        tracker.observe(names.iter().map(|name| pod(name)).collect(), at(0));
        tracker
    }

    fn names(pods: &[PodFacts]) -> Vec<&str> {
        pods.iter().map(|pod| pod.name.as_str()).collect()
    }

    fn full() -> Answer {
        Answer::Budget { name: Some("web".to_owned()), retry_after: None }
    }

    #[test]
    fn each_pod_is_asked_for_once_at_a_time_and_within_the_bound() {
        let mut tracker = tracking(&["a", "b", "c"]);
        assert_eq!(names(&tracker.due(at(0), 2)), ["a", "b"]);
        assert_eq!(names(&tracker.due(at(0), 2)), ["c"]);
        assert!(tracker.due(at(60), 2).is_empty());
    }

    #[test]
    fn a_blocked_pod_holds_up_no_other() {
        let mut tracker = tracking(&["a", "b"]);
        tracker.due(at(0), 1);
        tracker.answered("uid-a", &full(), at(0), 1.0);
        assert_eq!(names(&tracker.due(at(0), 1)), ["b"]);
        assert_eq!(tracker.next_due(), Some(at(1)));
        assert_eq!(names(&tracker.due(at(1), 1)), ["a"]);
    }

    #[test]
    fn an_accepted_pod_is_waited_for_and_looked_at_again_if_it_does_not_terminate() {
        let mut tracker = tracking(&["a"]);
        tracker.due(at(0), 1);
        tracker.answered("uid-a", &Answer::Accepted, at(0), 1.0);
        assert!(tracker.due(at(9), 1).is_empty());
        assert_eq!(tracker.left(), 1);
        assert_eq!(names(&tracker.due(at(10), 1)), ["a"]);
        tracker.observe(vec![], at(11));
        assert_eq!(tracker.left(), 0);
    }

    #[test]
    fn a_pod_of_the_same_name_is_another_pod() {
        let mut tracker = tracking(&["a"]);
        tracker.due(at(0), 1);
        let successor = PodFacts { uid: "another".to_owned(), ..pod("a") };
        tracker.observe(vec![successor], at(1));
        assert_eq!(tracker.due(at(1), 1)[0].uid, "another");
    }

    #[test]
    fn progress_says_what_each_pod_waits_for_and_for_how_long() {
        let mut tracker = tracking(&["a", "b"]);
        tracker.due(at(0), 2);
        tracker.answered("uid-a", &full(), at(2), 1.0);
        tracker.answered("uid-a", &full(), at(5), 1.0);
        let progress = tracker.progress(at(12), SignedDuration::from_secs(100));
        assert_eq!((progress.pods_left, progress.elapsed_seconds), (2, 100));
        let said: Vec<_> = progress
            .pods
            .iter()
            .map(|pod| (pod.name.as_str(), pod.waiting_for, pod.budget.as_deref(), pod.seconds))
            .collect();
        assert_eq!(said, [("b", PodWait::Eviction, None, 12), ("a", PodWait::Budget, Some("web"), 10)]);
    }

    #[test]
    fn a_pod_in_several_budgets_is_reported_as_that() {
        let mut tracker = tracking(&["a", "b"]);
        tracker.due(at(0), 2);
        let several = Answer::Refused { why: Refused::SeveralBudgets, retry_after: None };
        tracker.answered("uid-a", &several, at(2), 1.0);
        assert_eq!(tracker.in_several_budgets(), ["web/a"]);
        let said = tracker.progress(at(3), SignedDuration::ZERO).pods;
        assert_eq!(said.last().map(|pod| pod.waiting_for), Some(PodWait::SeveralBudgets));
    }

    #[test]
    fn progress_lists_a_bounded_number_of_pods() {
        let many: Vec<_> = (0..50).map(|number| format!("p{number:02}")).collect();
        let tracker = tracking(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let progress = tracker.progress(at(1), SignedDuration::from_secs(-5));
        assert_eq!((progress.pods_left, progress.pods.len(), progress.elapsed_seconds), (50, 20, 0));
    }

    #[test]
    fn a_forced_drain_is_over_a_minute_after_the_longest_grace() {
        let forced = Timestamp::UNIX_EPOCH;
        let later = |seconds| forced + SignedDuration::from_secs(seconds);
        let terminating = PodFacts { terminating: Some(later(30)), ..pod("a") };
        let mut tracker = Tracker::default();
        tracker.observe(vec![terminating.clone()], at(0));
        assert!(!tracker.is_overdue(forced, later(89)));
        assert!(tracker.is_overdue(forced, later(90)));
        tracker.observe(vec![terminating, pod("b")], at(0));
        assert!(!tracker.is_overdue(forced, later(3600)), "b was never asked for");
        tracker.due(at(0), 1);
        let refused = Answer::Refused { why: Refused::Forbidden, retry_after: None };
        tracker.answered("uid-b", &refused, at(1), 1.0);
        assert!(!tracker.is_overdue(forced, later(89)));
        assert!(tracker.is_overdue(forced, later(90)));
        assert_eq!(tracker.names(), ["web/a", "web/b"]);
    }
}
