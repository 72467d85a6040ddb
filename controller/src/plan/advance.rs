//! What is under way goes on: no limit, pause or window stands in its way.

use api::{
    HoldReason, Shadow, State,
    shadow::{Desired, Verdict},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    Hold, approval,
    deadline::{deadline, given_up_until},
    draft::Draft,
    gate::Closed,
    in_flight::agent_is_silent,
    phase::Phase,
    releases::Choice,
    situation::Situation,
};
use crate::action::Verb;

/// How long a node that was given back may be not Ready before its update is called finished all the same.
const LONGEST_WAIT_FOR_READY: SignedDuration = SignedDuration::from_mins(30);

/// Answers what agents have reported: healthy after the boot, given back, failed.
pub(super) fn finish_what_is_under_way(draft: &mut Draft<'_>) {
    let phases = [Phase::Begun, Phase::Disrupting, Phase::Booted, Phase::GivenBack, Phase::Failed, Phase::Odd];
    for at in draft.open_in(&phases) {
        let situation = &draft.situations[at];
        let Some(shadow) = situation.readable() else { continue };
        let answer = match situation.phase {
            Phase::Disrupting if !is_adopted_by_ours(situation, shadow) => continue,
            Phase::Disrupting => put_back(situation, shadow).map(|desired| (Verb::PutBack, desired)),
            Phase::Begun if is_bare(situation) && approval::forbidden(draft, at).is_some() => {
                Some((Verb::Return, back_to_idle(shadow, draft.now)))
            }
            Phase::Begun => put_back(situation, shadow).map(|desired| (Verb::PutBack, desired)),
            Phase::Booted => match situation.gate(draft.snapshot).map_err(Clone::clone) {
                Ok(()) => Some((Verb::GiveBack, give_back(shadow, draft.now))),
                Err(Closed { why, until }) => {
                    until.into_iter().for_each(|until| draft.wake_at(until));
                    draft.hold(at, Hold::new(HoldReason::Unhealthy, why));
                    continue;
                }
            },
            Phase::Failed if must_wait(situation) || is_put_back(situation) => continue,
            Phase::Failed => match put_back(situation, shadow).filter(|_| was_out_before(situation)) {
                Some(desired) => Some((Verb::PutBack, desired)),
                None => Some((Verb::Reset, back_to_idle(shadow, draft.now))),
            },
            Phase::GivenBack => {
                given_back_for_good(situation, shadow, draft.now).map(|desired| (Verb::Finish, desired))
            }
            _ => Some((Verb::Reset, back_to_idle(shadow, draft.now))),
        };
        match answer {
            Some((verb, desired)) => draft.act(at, verb, desired),
            None => {
                let deadline = shadow.desired.since.and_then(|since| since.checked_add(LONGEST_WAIT_FOR_READY).ok());
                if let Some(later) = deadline.filter(|deadline| *deadline > draft.now) {
                    draft.wake_at(later);
                }
            }
        }
    }
}

/// Says of nodes that wait for their agent that it is not heard from: its pod is not Ready, or a deadline has passed. Around a
/// reboot only the deadline counts, where there is one.
pub(super) fn hold_the_silent(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Returning, Phase::GivingBack, Phase::Staging, Phase::Approved, Phase::Disrupting])
    {
        let situation = &draft.situations[at];
        let rebooting = situation.observed().is_some_and(|observed| observed.rebooting.is_some());
        let deadline = deadline(situation);
        let tells = !rebooting || deadline.is_none();
        match deadline {
            _ if tells && agent_is_silent(situation.node, situation.observed()) => {
                draft.hold(at, Hold::new(HoldReason::AgentSilent, "the agent's pod on the node is not Ready"));
            }
            Some(deadline) if deadline <= draft.now => {
                let message = format!("the agent should have reported by {deadline}");
                draft.hold(at, Hold::new(HoldReason::AgentSilent, message));
            }
            Some(deadline) => draft.wake_at(deadline),
            None => {}
        }
    }
}

/// Names the version-lock of nodes that an administrator keeps where they are.
pub(super) fn hold_the_locked(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Resting]) {
        let stays = draft.offer(at).filter(|_| *draft.choice(at) == Choice::Current);
        if let Some(lock) = stays.and_then(|offer| offer.lock) {
            let message = format!("the host's version-lock is {lock}, and not the operator's");
            draft.hold(at, Hold::new(HoldReason::VersionLocked, message));
        }
    }
}

/// Clears what is left of an update that is over, so that a shadow at rest names no policy and no version.
pub(super) fn rest(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Resting]) {
        let situation = &draft.situations[at];
        if !situation.digest.desires_nothing && given_up_until(situation, draft.now).is_none() {
            draft.act(at, Verb::Rest, Desired::default());
        }
    }
}

/// Whether our agent has come to a node that the original operator had begun to disrupt. An order of the original's gives it no approval
/// to act on: the one that the marks name does.
fn is_adopted_by_ours(situation: &Situation<'_>, shadow: &Shadow) -> bool {
    shadow.desired.begun_by_the_original().is_some() && !situation.has_original_agent()
}

/// Whether nothing but the mark was done to the Node: it is neither cordoned nor excluded under it. An apiserver died before it
/// read the shadow again.
fn is_bare(situation: &Situation<'_>) -> bool {
    matches!(&situation.node.record, Ok(Some(record)) if !record.cordoned && !record.excluded)
}

/// The approval that the Node's marks name, as it was. It has expired; the marks are what makes it hold.
pub(super) fn put_back(situation: &Situation<'_>, shadow: &Shadow) -> Option<Desired> {
    let record = situation.node.record.as_ref().ok()?.as_ref()?;
    Some(Desired {
        state: State::RebootedIntoUpdate,
        since: Some(record.approval.since),
        version: Some(record.approval.version.clone()),
        disrupt_not_after: Some(record.began),
        ..shadow.desired.clone()
    })
}

/// Whether a newer version was started on a node that is kept out for an earlier failure, and that has failed too before anything
/// was done for it: the node stays where it was.
fn was_out_before(situation: &Situation<'_>) -> bool {
    let kept = situation.failed.as_ref().filter(|failed| matches!(failed.kind, Verdict::NoBoot | Verdict::Health));
    let record = situation.node.record.as_ref().ok().and_then(Option::as_ref);
    let newer = situation.desired_version() > record.map(|record| &record.approval.version);
    newer && kept.is_some_and(|failed| record.is_some_and(|record| record.approval.version == failed.version))
}

/// Whether the agent has not answered yet that the node is where it was.
fn is_put_back(situation: &Situation<'_>) -> bool {
    let runs = situation.observed().map(|observed| &observed.current_version);
    situation.has_failed && runs == situation.desired_version()
}

/// Whether a failure is not answered yet: the verdict on it is not stored, or the node, which came back in the version it had
/// before, is not Ready.
fn must_wait(situation: &Situation<'_>) -> bool {
    let Some(failed) = &situation.failed else { return false };
    let stored = situation.observed().and_then(|observed| observed.failed.as_ref()) == Some(failed);
    let about_it = situation.desired_version() == Some(&failed.version);
    about_it && (!stored || (failed.kind == Verdict::Fallback && !situation.node.ready))
}

fn give_back(shadow: &Shadow, now: Timestamp) -> Desired {
    Desired { state: State::MonitoringUpdate, since: Some(now), disrupt_not_after: None, ..shadow.desired.clone() }
}

/// The last Idle. It keeps the policy, for whose limits the node counts until it reports Idle too.
fn given_back_for_good(situation: &Situation<'_>, shadow: &Shadow, now: Timestamp) -> Option<Desired> {
    let deadline = shadow.desired.since.and_then(|since| since.checked_add(LONGEST_WAIT_FOR_READY).ok());
    let late = deadline.is_none_or(|deadline| deadline <= now);
    let desired = || Desired { since: Some(now), policy: shadow.desired.policy.clone(), ..Desired::default() };
    (situation.node.ready || late).then(desired)
}

/// Idle before the update was finished: the agent gives back what it did.
pub(super) fn back_to_idle(shadow: &Shadow, now: Timestamp) -> Desired {
    Desired { since: Some(now), policy: shadow.desired.policy.clone(), ..Desired::default() }
}
