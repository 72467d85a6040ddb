//! Whole rollouts in virtual time: the controller's real rules against a fleet, an API server whose watches lag and whose
//! answers are lost, and everything that people and machines do to a cluster. What must never happen is looked at from
//! outside, at every write; once the faults stop, every node must arrive.
//!
//! A failure names its seed; `SEED=<n>` runs that one alone, `ROLLOUTS=<n>` the first so many.
//!
//! What the rules learn comes in here by four modules: a field of a policy in `run::policies`, with a value for the end that
//! lets every node arrive in `lift_what_holds`; what people and machines do to it in `run::faults` (a window that closes is an
//! edit or a jump of the clock, a new version is a host's `offered`, a failing health check a label or a condition of a Node);
//! what a host does in `host`; and what must never happen as a `Breach` in `observer`, read from the policies with `plan_view`. Each
//! breach needs a rule in `broken` that commits it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own data")]

mod broken;
mod host;
mod observer;
mod plan_view;
mod process;
mod run;
mod world;

use controller::plan::{Plan, plan};
use controller::snapshot::{ShadowFacts, Snapshot};
use host::Flaw;
use process::Rules;
use run::run;

/// How many clusters are rolled out, each of four to eight nodes.
const SEEDS: u64 = 10_000;

const RULES: Rules = Rules { plan, unchecked: false, forgetful: false, hasty: false, plain: false, flaw: Flaw::None };

/// The same rules with an order that changes all the time: no limit may depend on the same node being chosen again.
const WHIMSICAL: Rules = Rules { plan: whimsical, ..RULES };

fn whimsical(snapshot: &Snapshot) -> Plan {
    let mut snapshot = snapshot.clone();
    let now = snapshot.now.as_second().unsigned_abs();
    for (at, shadow) in (0_u64..).zip(snapshot.shadows.values_mut()) {
        if let ShadowFacts::Readable(shadow) = std::sync::Arc::make_mut(shadow)
            && let Some(report) = shadow.observed.as_mut().filter(|report| report.failed_at.is_none())
        {
            report.crash_count = fastrand::Rng::with_seed(now ^ (at << 32)).u32(..4);
        }
    }
    plan(&snapshot)
}

#[test]
fn every_rollout_arrives_and_none_breaches_an_invariant() {
    let seeds = seeds();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let arrived: usize = std::thread::scope(|scope| {
        let part = |of: usize| {
            let seeds = seeds.clone().skip(of).step_by(threads);
            scope.spawn(|| seeds.map(arrives).sum::<usize>())
        };
        let parts: Vec<_> = (0..threads).map(part).collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    });
    eprintln!("{} rollouts, {arrived} reboots", seeds.end - seeds.start);
    assert!(arrived > 0);
}

fn arrives(seed: u64) -> usize {
    let rules = if seed.is_multiple_of(2) { RULES } else { WHIMSICAL };
    let end = std::panic::catch_unwind(|| run(seed, rules)).unwrap_or_else(|_| panic!("seed {seed}"));
    assert_eq!(end.breach, None, "seed {seed}");
    end.reboots
}

/// An earlier leader's start lands late: another node has been moved to another policy and started under that one since.
#[test]
fn a_node_that_was_moved_meanwhile_counts_for_the_policy_it_was_started_under() {
    arrives(26_808);
}

#[test]
fn one_seed_gives_one_course() {
    assert_eq!(run(7, RULES), run(7, RULES));
}

#[expect(clippy::disallowed_methods, reason = "the switches that run one seed again, or fewer")]
fn seeds() -> std::ops::Range<u64> {
    match std::env::var("SEED") {
        Ok(seed) => seed.parse().map(|seed| seed..seed + 1).unwrap(),
        Err(_) => 0..std::env::var("ROLLOUTS").map_or(SEEDS, |rollouts| rollouts.parse().unwrap()),
    }
}
