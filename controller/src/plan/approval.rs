//! The approval: the permission to disrupt a node, given, renewed and taken back.

mod excess;

use api::{Shadow, State, shadow::Desired};
use jiff::{SignedDuration, Timestamp};
use semver::Version;

use super::{
    Hold,
    draft::Draft,
    eligible,
    order::{in_order, rank},
    phase::Phase,
    settings,
    situation::Situation,
    start::wake_after_back_off,
    window,
};
use crate::{action::Verb, snapshot::PolicyFacts};

/// How far ahead an approval expires.
const GO_HOLDS_FOR: SignedDuration = SignedDuration::from_mins(10);
/// An approval that was not used yet is renewed when less than this is left of it.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// Takes back or renews the approvals that were not used yet, then gives new ones, first in order first.
pub(super) fn give_and_take_back(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Approved]) {
        take_back_if_forbidden(draft, at);
    }
    for policy in draft.snapshot.policies.values().filter(|policy| policy.accepted.is_ok()) {
        excess::take_back(draft, policy);
    }
    for at in draft.open_in(&[Phase::Approved]) {
        renew(draft, at);
    }
    let staged = draft.open_in(&[Phase::Staged]).into_iter();
    for at in in_order(staged.filter_map(|at| Some(rank(draft, at, draft.situations[at].desired_version()?)))) {
        give(draft, at);
    }
}

fn take_back_if_forbidden(draft: &mut Draft<'_>, at: usize) {
    if let Some(hold) = forbidden(draft, at) {
        take_back(draft, at, hold);
    }
}

fn take_back(draft: &mut Draft<'_>, at: usize, hold: Hold) {
    let Some(shadow) = draft.situations[at].readable() else { return };
    let desired = Desired { state: State::StagedAndPerformedUpdate, ..without_approval(shadow, draft.now) };
    draft.act(at, Verb::Withdraw, desired);
    draft.hold(at, hold);
}

/// An unused approval is worth nothing once it has expired: the node waits for the controller then, and the controller may take
/// its time. It is renewed as long as it would be given.
fn renew(draft: &mut Draft<'_>, at: usize) {
    let situation = &draft.situations[at];
    let Some(shadow) = situation.readable() else { return };
    let Some(expiry) = shadow.desired.disrupt_not_after else { return };
    let renew_at = expiry.checked_sub(RENEW_BEFORE).unwrap_or(expiry);
    if renew_at <= draft.now {
        let (Some(policy), Some(version)) = (situation.owner.policy(), &shadow.desired.version) else { return };
        let expires = expires(draft, policy, situation, version);
        if expires.is_none_or(|later| later <= expiry) {
            // The window closes then.
            return draft.wake_at(expiry);
        }
        let desired = Desired {
            disrupt_not_after: expires,
            policy: Some(policy.name.clone()),
            ..settings::apply(policy, shadow.desired.clone())
        };
        draft.act(at, Verb::Renew, desired);
    } else {
        draft.wake_at(renew_at);
    }
}

fn give(draft: &mut Draft<'_>, at: usize) {
    let situation = &draft.situations[at];
    let Some(shadow) = situation.readable() else { return };
    if let Some(hold) = forbidden(draft, at) {
        wake_when_it_may_go(draft, at);
        return draft.hold(at, hold);
    }
    let (Some(policy), Some(version)) = (situation.owner.policy(), situation.desired_version()) else { return };
    let stuck = eligible::is_stuck(draft.snapshot, situation);
    if let Some(hold) = stuck.or_else(|| draft.budgets.forbid_approval(policy, situation)) {
        return draft.hold(at, hold);
    }
    draft.budgets.add_approval(policy, situation);
    let desired = Desired {
        state: State::RebootedIntoUpdate,
        disrupt_not_after: expires(draft, policy, situation, version),
        policy: Some(policy.name.clone()),
        ..settings::apply(policy, without_approval(shadow, draft.now))
    };
    draft.act(at, Verb::Go, desired);
}

/// Makes sure there is a plan when time alone lets a staged node go on: its version is old enough, or its back-off is over. A window
/// wakes the plan by itself.
fn wake_when_it_may_go(draft: &mut Draft<'_>, at: usize) {
    let situation = &draft.situations[at];
    let Some(version) = situation.desired_version() else { return };
    let policy = situation.owner.policy();
    let until = policy.and_then(|policy| draft.releases.held_until(policy, version, draft.now));
    until.into_iter().for_each(|until| draft.wake_at(until));
    wake_after_back_off(draft, at, version);
}

/// Why the node must not be disrupted now.
pub(super) fn forbidden(draft: &Draft<'_>, at: usize) -> Option<Hold> {
    let situation = &draft.situations[at];
    let Some(policy) = situation.owner.policy() else {
        return Some(super::start::ownerless(&situation.owner));
    };
    let version = situation.desired_version()?;
    let forbidden = eligible::forbids_approval(draft, policy, situation, version);
    let forbidden = forbidden.or_else(|| draft.releases.forbid(policy, version, draft.now));
    forbidden.or_else(|| eligible::hindrance(situation, version, draft.now))
}

/// A new order for the same version, whose time begins now.
fn without_approval(shadow: &Shadow, now: Timestamp) -> Desired {
    Desired { since: Some(now), disrupt_not_after: None, ..shadow.desired.clone() }
}

/// An approval ends with the window it was given in.
fn expires(draft: &Draft<'_>, policy: &PolicyFacts, situation: &Situation<'_>, version: &Version) -> Option<Timestamp> {
    let window = draft.windows.get(policy.name.as_str()).filter(|_| !window::is_ignored(situation, version));
    let latest = draft.now.checked_add(GO_HOLDS_FOR).ok();
    latest.into_iter().chain(window.and_then(|window| window.closes_at)).min()
}
