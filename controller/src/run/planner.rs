//! Where decisions are made, and for how long that may take: on a thread away from those that serve probes, renew the Lease and hear
//! signals. A plan reads text that others wrote; it is meant to be cheap whatever that says, and this is for the day on which it is not.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::decide::{Decision, Work, decide};
use crate::snapshot::Place;

/// How long a decision may take: thousands of times longer than one over 5,000 nodes does, and a quarter of the time after which a loop
/// without a sign of life is stuck.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// How often one looks where a decision is that is not there yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After how many looks nobody waits any longer. The deadline is counted in looks: a process that was frozen has not used it up.
const LOOKS: usize = (DEADLINE.as_secs() / LOOK_EVERY.as_secs()) as usize;

/// A decision that does not come.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("planning was not finished in time{}", whereabouts(place.as_ref()))]
pub(super) struct Stuck {
    /// Where the work was most of the time; `None` where it was at no policy's text.
    pub(super) place: Option<Place>,
    /// Whether every write that was begun before has ended.
    pub(super) settled: bool,
}

fn whereabouts(place: Option<&Place>) -> String {
    let Some(Place { policy, generation, step, .. }) = place else { return String::new() };
    let generation = generation.map(|generation| format!(", generation {generation}")).unwrap_or_default();
    format!("; the time went to policy {policy}{generation}: to {step}")
}

type Decide = dyn Fn(Work) -> Decision + Send + Sync;

/// Who decides. Clones are the same one.
#[derive(Clone)]
pub(super) struct Planner(Arc<Decide>);

impl Default for Planner {
    fn default() -> Self {
        Self::by(decide)
    }
}

impl Planner {
    /// One that decides by `decide`.
    pub(super) fn by(decide: impl Fn(Work) -> Decision + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    /// Has it decided.
    ///
    /// # Errors
    /// When that takes too long. The thread goes on with it, so that this is the last thing that the process asks for.
    pub(super) async fn decide(&self, work: Work) -> Result<Decision, Stuck> {
        let progress = work.memory.parsed.progress();
        let settled = work.memory.own.unknown().is_empty();
        let decide = self.0.clone();
        let mut deciding = spawn_blocking(move || decide(work));
        let mut seen = Vec::with_capacity(LOOKS);
        while seen.len() < LOOKS {
            tokio::select! {
                biased;
                decided = &mut deciding => match decided.map_err(tokio::task::JoinError::try_into_panic) {
                    Ok(decision) => return Ok(decision),
                    // As if it had happened here.
                    Err(Ok(panic)) => resume_unwind(panic),
                    // Cancelled: the runtime ends, and this with it.
                    Err(Err(_)) => pending().await,
                },
                () = sleep(LOOK_EVERY) => seen.push(progress.now()),
            }
        }
        Err(Stuck { place: most_often(&seen), settled })
    }
}

/// Where it was seen most often, whatever was done there; of several the one where it was seen last.
fn most_often(seen: &[Option<Place>]) -> Option<Place> {
    let policy = |place: &Option<Place>| place.clone().map(|place| (place.uid, place.generation));
    let times = |one: &&Option<Place>| seen.iter().filter(|other| policy(other) == policy(one)).count();
    seen.iter().max_by_key(times).cloned().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Step;

    fn at(policy: &str, step: Step) -> Option<Place> {
        Some(Place { policy: policy.to_owned(), uid: format!("uid-{policy}"), generation: Some(3), step })
    }

    #[test]
    fn who_is_met_last_by_chance_is_not_blamed() {
        let check = |name: &str| Step::Check(name.to_owned());
        let seen = [at("slow", check("a")), at("slow", check("b")), None, at("fast", Step::Read)];
        assert_eq!(most_often(&seen), at("slow", check("b")));
        assert_eq!(most_often(&[None, at("fast", Step::Read), None]), None, "it was at no policy");
        assert_eq!(most_often(&[]), None);
    }

    #[test]
    fn what_is_logged_names_the_policy_and_what_was_done_with_it() {
        let stuck = |place| Stuck { place, settled: true }.to_string();
        assert_eq!(
            stuck(at("default", Step::Check("disk".to_owned()))),
            "planning was not finished in time; the time went to policy default, generation 3: to evaluate its health check disk"
        );
        assert_eq!(stuck(None), "planning was not finished in time");
    }
}
