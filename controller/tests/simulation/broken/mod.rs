//! For each invariant of the design a rule that is broken on purpose: the simulation must catch it, or it would prove nothing.
//!
//! | invariant | what is broken on purpose here | what proves the rest |
//! |---|---|---|
//! | 1 no start and no approval above a limit | starts and approvals without a limit, of unavailable nodes, across zones | `tests/properties/limits`, `monotone` |
//! | 1 across a restart, a stale watch, a leader change | own writes that do not count, a new leader that does not wait | e2e `rollout::leaders` |
//! | 1 across an edit | a node that does not count for the policy it began under | e2e `rollout::edits` |
//! | 2 no disruption outside a window | approvals that outlast it | `tests/properties/limits` for blackouts too; e2e `rollout::windows` |
//! | 2 none past the approval's expiry | an apiserver that does not look at it, approvals for an hour | e2e observer, `beginning` |
//! | 2 none without a policy that applies | a policy that takes all nodes, priorities upside down, ties that are broken, old selectors | `tests/objections` |
//! | 2 none while paused, halted or held | rules that are deaf to each, approvals that are not withdrawn, nodes that are not sent back to Idle | `tests/objections` |
//! | 2 the reboot belongs to its disruption | a reboot without one | e2e observer, `reboots` |
//! | 3 a reboot only after the drain, and into the version asked for | no drain, half a drain, another version | e2e observer, `reboots` |
//! | 4 what was done to a Node is undone | a cordon that is left, a node that is restored too early or never | what it was before the operator came: apiserver `node::restore`, e2e observer, `restore` |
//! | 5 no PodDisruptionBudget is bypassed | nothing: there are no pods here | apiserver `tests/router/draining`; e2e observer, `budgets`; e2e `rollout::drains`, `rollout::disruption` |
//! | 6 a crash or an outage loses nothing | failures and nodes that nobody answers; leaders, agents and machines die in every rollout | e2e `rollout::crash_matrix`, `interruptions`, `leaders` |
//! | 6 the operator's own pods go last | nothing: there are no pods here | apiserver `drain::select`; e2e `rollout::single_node` |
//! | 7 an agent can change its own node alone | nothing: nobody here is unauthenticated | apiserver `tests/router/identity`, `hostile`; e2e `apiserver::identity` |
//! | 8 deterministic | rules that decide by more than the snapshot | `tests/properties/determinism`, and `one_seed_gives_one_course` |
//! | 8 a converged cluster is not written to | rules that write what is there | `tests/properties/converged` |

mod limits;
mod permission;
mod plans;
mod update;

use controller::check::Broken;

use crate::observer::Breach;
use crate::process::Rules;
use crate::run::run;

/// How many seeds it may take.
const SEEDS: u64 = 3000;

/// Runs clusters under broken rules until one breaches what they must breach. Others may be breached before in other clusters.
fn caught(rules: Rules, as_one_of: &[Breach]) {
    let rules = Rules { unchecked: true, ..rules };
    let breaches = (0..SEEDS).filter_map(|seed| run(seed, rules).breach.map(|breach| (seed, breach)));
    let found = breaches.take(500).find(|(_, (breach, _))| as_one_of.contains(breach));
    let Some((seed, (breach, what))) = found else { panic!("{as_one_of:?} is not caught") };
    eprintln!("seed {seed}: {breach:?} {}", what.lines().next().unwrap_or_default());
}

/// Runs clusters under broken rules, with the check as it is, until it refuses a plan for this reason.
fn refused(rules: Rules, broken: Broken) {
    let breaches = (0..SEEDS).filter_map(|seed| run(seed, rules).breach);
    let found = breaches.take(20).any(|(breach, _)| breach == Breach::Refused(broken));
    assert!(found, "no plan is refused with {broken:?}");
}
