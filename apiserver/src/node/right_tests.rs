//! The table of [`super::step`], [`super::may_continue`] and [`super::leftover`].

use api::{DisruptionRecord, Shadow, State};
use jiff::{SignedDuration, Timestamp};

use super::samples::{approval, node, now, originals, record, shadow};
use super::{Change, Goal, NoRight, NodeFacts, Step, leftover, may_continue, step};

fn marked(record: DisruptionRecord) -> NodeFacts {
    NodeFacts {
        unschedulable: record.cordoned,
        exclusion: record.excluded.then(|| "true".to_owned()),
        record: Ok(Some(record)),
        ..node()
    }
}

fn cordoned() -> DisruptionRecord {
    DisruptionRecord { cordoned: true, drain_began: Some(now()), ..record() }
}

fn expiring_in(seconds: i64) -> Shadow {
    let mut shadow = shadow();
    shadow.desired.disrupt_not_after = Some(now() + SignedDuration::from_secs(seconds));
    shadow
}

/// An approval given after the marks of [`marks`] were written.
fn next_approval() -> Shadow {
    let mut shadow = shadow();
    shadow.desired.since = Some(now() - SignedDuration::from_secs(1));
    shadow
}

fn first(shadow: &Shadow, node: &NodeFacts) -> Result<Step, NoRight> {
    step(Goal::Cordon, shadow, node, false, now())
}

#[test]
fn the_mark_comes_before_the_act() {
    assert_eq!(first(&shadow(), &node()), Ok(Step::Mark(record())));
    for (goal, unschedulable) in [(Goal::Exclude, None), (Goal::Cordon, Some(true))] {
        let Ok(Step::Act(change)) = step(goal, &shadow(), &marked(record()), true, now()) else {
            panic!("no act for {goal:?}");
        };
        assert_eq!(change.unschedulable, unschedulable);
        assert_eq!(change.exclusion.is_some(), goal == Goal::Exclude);
        assert_eq!(change.record.unwrap().approval, approval());
    }
}

#[test]
fn asking_again_is_done_at_once_and_keeps_the_drains_clock() {
    let later = now() + SignedDuration::from_hours(3);
    let again = step(Goal::Cordon, &shadow(), &marked(cordoned()), false, later);
    assert_eq!(again, Ok(Step::Done(cordoned())));
}

#[test]
fn without_an_approval_nothing_begins_and_nothing_goes_on() {
    for state in State::ALL.into_iter().filter(|state| *state != State::RebootedIntoUpdate) {
        let mut shadow = shadow();
        shadow.desired.state = state;
        assert_eq!(first(&shadow, &node()), Err(NoRight::NoApproval(state)));
        assert_eq!(first(&shadow, &marked(cordoned())), Err(NoRight::NoApproval(state)));
        assert_eq!(may_continue(&shadow, &marked(cordoned())), Err(NoRight::NoApproval(state)));
    }
    let mut originals = shadow();
    originals.desired.disrupt_not_after = None;
    assert_eq!(first(&originals, &node()), Err(NoRight::NoApproval(State::RebootedIntoUpdate)));
}

#[test]
fn an_approval_must_have_a_write_deadline_left_until_its_mark_was_seen_with_it() {
    let just_expired = expiring_in(4);
    assert_eq!(first(&just_expired, &node()), Err(NoRight::Expired));
    assert_eq!(step(Goal::Cordon, &just_expired, &marked(record()), true, now()), Err(NoRight::Expired));
    assert!(first(&expiring_in(5), &node()).is_ok());
    assert!(matches!(step(Goal::Cordon, &just_expired, &marked(record()), false, now()), Ok(Step::Act(_))));
    assert!(may_continue(&expiring_in(-3600), &marked(cordoned())).is_ok());
}

#[test]
fn on_a_node_that_is_no_longer_managed_nothing_begins_and_what_has_begun_goes_on() {
    let unmanaged = |node| NodeFacts { managed: false, ..node };
    let earlier = marked(DisruptionRecord {
        approval: api::ApprovalId { since: Timestamp::UNIX_EPOCH, ..approval() },
        ..cordoned()
    });
    for goal in [Goal::Exclude, Goal::Cordon] {
        let next = |node, unchecked| step(goal, &shadow(), &unmanaged(node), unchecked, now());
        assert_eq!(next(node(), false), Err(NoRight::Unmanaged));
        assert_eq!(next(earlier.clone(), false), Err(NoRight::Unmanaged), "the disruption of another approval");
        assert_eq!(next(marked(record()), true), Err(NoRight::Unmanaged), "since this very call's mark");
        assert!(matches!(next(marked(record()), false), Ok(Step::Act(_))));
    }
    assert_eq!(first(&shadow(), &unmanaged(marked(cordoned()))), Ok(Step::Done(cordoned())));
    assert_eq!(may_continue(&shadow(), &unmanaged(marked(cordoned()))), Ok(&cordoned()));
}

#[test]
fn a_shadow_of_the_node_before_this_one_gives_no_right() {
    let mut other = shadow();
    other.node.uid = "n0".to_owned();
    assert_eq!(first(&other, &node()), Err(NoRight::NotOwned));
    assert_eq!(may_continue(&other, &marked(cordoned())), Err(NoRight::NotOwned));
}

#[test]
fn an_uncordon_during_the_disruption_is_a_veto() {
    let uncordoned = NodeFacts { unschedulable: false, ..marked(cordoned()) };
    for goal in [Goal::Exclude, Goal::Cordon] {
        assert!(matches!(step(goal, &shadow(), &uncordoned, false, now()), Err(NoRight::Vetoed { .. })));
    }
    assert!(matches!(may_continue(&shadow(), &uncordoned), Err(NoRight::Vetoed { .. })));
}

#[test]
fn a_node_somebody_cordoned_is_left_alone_unless_it_is_wanted_now() {
    let theirs = NodeFacts { unschedulable: true, ..node() };
    assert_eq!(first(&shadow(), &theirs), Err(NoRight::CordonedBefore));
    let mut wanted = theirs;
    for (version, begins) in [("1.19.0", false), ("1.20.0", true)] {
        wanted.update_now = Some(version.to_owned());
        assert_eq!(first(&shadow(), &wanted).is_ok(), begins, "{version}");
    }
    let Ok(Step::Mark(mark)) = first(&shadow(), &wanted) else {
        panic!("no mark");
    };
    assert!(mark.cordoned_before);
}

#[test]
fn a_cordon_or_label_that_came_between_mark_and_act_is_restored_later() {
    let theirs = NodeFacts { unschedulable: true, exclusion: Some("theirs".to_owned()), ..marked(record()) };
    let act = |goal| match step(goal, &shadow(), &theirs, true, now()) {
        Ok(Step::Act(change)) => change,
        other => panic!("{other:?}"),
    };
    assert!(act(Goal::Cordon).record.unwrap().cordoned_before);
    let exclude = act(Goal::Exclude);
    assert_eq!(exclude.record.unwrap().exclusion_before.as_deref(), Some("theirs"));
    assert_eq!(exclude.exclusion, Some(Some("theirs".to_owned())));
}

#[test]
fn a_new_approval_on_a_failed_node_keeps_what_was_before_and_restarts_the_clock() {
    let old = DisruptionRecord {
        cordoned_before: true,
        excluded: true,
        exclusion_before: Some("theirs".to_owned()),
        ..cordoned()
    };
    let Ok(Step::Mark(mark)) = first(&next_approval(), &marked(old.clone())) else {
        panic!("no mark");
    };
    assert_eq!(Some(&mark.approval), next_approval().desired.approval().as_ref());
    assert!(mark.cordoned && mark.cordoned_before && mark.excluded);
    assert_eq!(mark.exclusion_before.as_deref(), Some("theirs"));
    assert_eq!(mark.drain_began, None);
    let since_uncordoned = NodeFacts { unschedulable: false, ..marked(old) };
    let Ok(Step::Mark(mark)) = first(&next_approval(), &since_uncordoned) else {
        panic!("no mark");
    };
    assert!(!mark.cordoned && !mark.cordoned_before, "an uncordon under an old approval is no veto of this one");
}

#[test]
fn marks_of_another_approval_do_not_carry_a_drain_on() {
    assert_eq!(may_continue(&next_approval(), &marked(cordoned())), Err(NoRight::NotBegun));
    assert_eq!(may_continue(&shadow(), &node()), Err(NoRight::NotBegun));
    assert_eq!(may_continue(&shadow(), &marked(record())), Err(NoRight::NotBegun));
}

#[test]
fn forged_marks_give_no_right() {
    let forged = NodeFacts {
        record: DisruptionRecord::decode(Some(
            &[(api::names::DISRUPTION_RECORD_ANNOTATION.to_owned(), "{}".to_owned())].into(),
        )),
        ..node()
    };
    assert!(matches!(first(&shadow(), &forged), Err(NoRight::Unreadable(_))));
    assert!(matches!(may_continue(&shadow(), &forged), Err(NoRight::Unreadable(_))));
    assert_eq!(leftover(&shadow(), &forged, None, None), None);
}

#[test]
fn what_the_original_operator_has_begun_goes_on_and_nothing_begins_under_its_order() {
    let desired = originals(State::RebootedIntoUpdate);
    let no_approval = Err(NoRight::NoApproval(State::RebootedIntoUpdate));
    assert_eq!(first(&desired, &node()), no_approval);
    let theirs = NodeFacts { unschedulable: true, ..node() };
    let Ok(Step::Mark(mark)) = first(&desired, &theirs) else {
        panic!("not adopted");
    };
    assert_eq!(mark, cordoned_at(&mark));
    let adopted = NodeFacts { record: Ok(Some(mark.clone())), ..theirs };
    assert_eq!(step(Goal::Cordon, &desired, &adopted, true, now()), Ok(Step::Done(mark.clone())));
    assert_eq!(may_continue(&desired, &adopted), Ok(&mark));
    assert_eq!(leftover(&desired, &adopted, Some(&mark), None), None, "an adopted mark stays");
    let uncordoned = NodeFacts { unschedulable: false, ..adopted };
    assert!(matches!(first(&desired, &uncordoned), Err(NoRight::Vetoed { .. })));
    assert!(matches!(may_continue(&desired, &uncordoned), Err(NoRight::Vetoed { .. })));
    // A mark of that approval under which nothing was done can only be forged.
    assert_eq!(first(&desired, &marked(record())), no_approval);
    assert_eq!(may_continue(&desired, &marked(record())), Err(NoRight::NotBegun));
}

fn cordoned_at(mark: &DisruptionRecord) -> DisruptionRecord {
    DisruptionRecord {
        cordoned: true,
        drain_began: Some(mark.began),
        ..DisruptionRecord::first(approval(), now(), false, None)
    }
}

#[test]
fn times_at_the_ends_of_the_calendar_do_no_harm() {
    let mut odd = shadow();
    odd.desired.disrupt_not_after = Some(Timestamp::MIN);
    assert_eq!(first(&odd, &node()), Err(NoRight::Expired));
    odd.desired.disrupt_not_after = Some(Timestamp::MAX);
    assert!(first(&odd, &node()).is_ok());
}

#[test]
fn a_refused_call_takes_its_own_mark_back_and_restores_the_one_before() {
    let old =
        DisruptionRecord { approval: api::ApprovalId { since: Timestamp::UNIX_EPOCH, ..approval() }, ..cordoned() };
    let own = record();
    let change = leftover(&shadow(), &marked(own.clone()), Some(&own), Some(&old));
    assert_eq!(change, Some(Change::record(Some(old))));
    assert_eq!(leftover(&shadow(), &marked(own.clone()), Some(&own), None), Some(Change::record(None)));
    let acted = DisruptionRecord { cordoned: true, ..own.clone() };
    assert_eq!(leftover(&shadow(), &marked(acted), Some(&own), None), None);
}

#[test]
fn a_mark_of_an_approval_that_is_no_more_goes_unless_something_was_done() {
    assert_eq!(leftover(&next_approval(), &marked(record()), None, None), Some(Change::record(None)));
    assert_eq!(leftover(&next_approval(), &marked(cordoned()), None, None), None);
    assert_eq!(leftover(&shadow(), &marked(record()), None, None), None);
}
