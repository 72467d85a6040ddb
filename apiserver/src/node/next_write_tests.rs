//! The table of [`super::next_write`], [`super::may_continue`] and [`super::leftover`].

use api::{DisruptionRecord, Shadow, State};
use jiff::{SignedDuration, Timestamp};

use super::samples::{approval, node, now, originals, record, shadow};
use super::{Change, Disruption, NextWrite, NodeFacts, NotAllowed, leftover, may_continue, next_write};

fn recorded(record: DisruptionRecord) -> NodeFacts {
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

/// An approval that is newer than that of [`record`].
fn next_approval() -> Shadow {
    let mut shadow = shadow();
    shadow.desired.since = Some(now() - SignedDuration::from_secs(1));
    shadow
}

fn first(shadow: &Shadow, node: &NodeFacts) -> Result<NextWrite, NotAllowed> {
    next_write(Disruption::Cordon, shadow, node, false, now())
}

#[test]
fn the_record_comes_before_the_act() {
    assert_eq!(first(&shadow(), &node()), Ok(NextWrite::Record(record())));
    for (what, unschedulable) in [(Disruption::Exclusion, None), (Disruption::Cordon, Some(true))] {
        let Ok(NextWrite::Change(change)) = next_write(what, &shadow(), &recorded(record()), true, now()) else {
            panic!("no change for {what:?}");
        };
        assert_eq!(change.unschedulable, unschedulable);
        assert_eq!(change.exclusion.is_some(), what == Disruption::Exclusion);
        assert_eq!(change.record.unwrap().approval, approval());
    }
}

#[test]
fn asking_again_is_done_at_once_and_keeps_the_drains_clock() {
    let later = now() + SignedDuration::from_hours(3);
    let again = next_write(Disruption::Cordon, &shadow(), &recorded(cordoned()), false, later);
    assert_eq!(again, Ok(NextWrite::Nothing(cordoned())));
}

#[test]
fn without_an_approval_nothing_begins_and_nothing_goes_on() {
    for state in State::ALL.into_iter().filter(|state| *state != State::RebootedIntoUpdate) {
        let mut shadow = shadow();
        shadow.desired.state = state;
        assert_eq!(first(&shadow, &node()), Err(NotAllowed::NoApproval(state)));
        assert_eq!(first(&shadow, &recorded(cordoned())), Err(NotAllowed::NoApproval(state)));
        assert_eq!(may_continue(&shadow, &recorded(cordoned())), Err(NotAllowed::NoApproval(state)));
    }
    let mut originals = shadow();
    originals.desired.disrupt_not_after = None;
    assert_eq!(first(&originals, &node()), Err(NotAllowed::NoApproval(State::RebootedIntoUpdate)));
}

#[test]
fn an_approval_must_have_a_write_deadline_left_until_its_record_was_seen_with_it() {
    let just_expired = expiring_in(4);
    assert_eq!(first(&just_expired, &node()), Err(NotAllowed::Expired));
    assert_eq!(
        next_write(Disruption::Cordon, &just_expired, &recorded(record()), true, now()),
        Err(NotAllowed::Expired)
    );
    assert!(first(&expiring_in(5), &node()).is_ok());
    assert!(matches!(
        next_write(Disruption::Cordon, &just_expired, &recorded(record()), false, now()),
        Ok(NextWrite::Change(_))
    ));
    assert!(may_continue(&expiring_in(-3600), &recorded(cordoned())).is_ok());
}

#[test]
fn on_a_node_that_is_no_longer_managed_nothing_begins_and_what_has_begun_goes_on() {
    let unmanaged = |node| NodeFacts { managed: false, ..node };
    let earlier = recorded(DisruptionRecord {
        approval: api::ApprovalId { since: Timestamp::UNIX_EPOCH, ..approval() },
        ..cordoned()
    });
    for what in [Disruption::Exclusion, Disruption::Cordon] {
        let next = |node, unchecked| next_write(what, &shadow(), &unmanaged(node), unchecked, now());
        assert_eq!(next(node(), false), Err(NotAllowed::Unmanaged));
        assert_eq!(next(earlier.clone(), false), Err(NotAllowed::Unmanaged), "the disruption of another approval");
        assert_eq!(next(recorded(record()), true), Err(NotAllowed::Unmanaged), "since this very call's record");
        assert!(matches!(next(recorded(record()), false), Ok(NextWrite::Change(_))));
    }
    assert_eq!(first(&shadow(), &unmanaged(recorded(cordoned()))), Ok(NextWrite::Nothing(cordoned())));
    assert_eq!(may_continue(&shadow(), &unmanaged(recorded(cordoned()))), Ok(&cordoned()));
}

#[test]
fn a_shadow_of_the_node_before_this_one_allows_nothing() {
    let mut other = shadow();
    other.node.uid = "n0".to_owned();
    assert_eq!(first(&other, &node()), Err(NotAllowed::NotOwned));
    assert_eq!(may_continue(&other, &recorded(cordoned())), Err(NotAllowed::NotOwned));
}

#[test]
fn an_uncordon_during_the_disruption_is_a_veto() {
    let uncordoned = NodeFacts { unschedulable: false, ..recorded(cordoned()) };
    for what in [Disruption::Exclusion, Disruption::Cordon] {
        assert!(matches!(next_write(what, &shadow(), &uncordoned, false, now()), Err(NotAllowed::Vetoed { .. })));
    }
    assert!(matches!(may_continue(&shadow(), &uncordoned), Err(NotAllowed::Vetoed { .. })));
}

#[test]
fn a_node_somebody_cordoned_is_left_alone_unless_it_is_wanted_now() {
    let cordoned_by_someone = NodeFacts { unschedulable: true, ..node() };
    assert_eq!(first(&shadow(), &cordoned_by_someone), Err(NotAllowed::CordonedBefore));
    let mut wanted = cordoned_by_someone;
    for (version, begins) in [("1.19.0", false), ("1.20.0", true)] {
        wanted.update_now = Some(version.to_owned());
        assert_eq!(first(&shadow(), &wanted).is_ok(), begins, "{version}");
    }
    let Ok(NextWrite::Record(record)) = first(&shadow(), &wanted) else {
        panic!("no record");
    };
    assert!(record.cordoned_before);
}

#[test]
fn a_cordon_or_label_that_came_between_record_and_act_is_restored_later() {
    let cordoned_by_someone =
        NodeFacts { unschedulable: true, exclusion: Some("someone".to_owned()), ..recorded(record()) };
    let act = |what| match next_write(what, &shadow(), &cordoned_by_someone, true, now()) {
        Ok(NextWrite::Change(change)) => change,
        other => panic!("{other:?}"),
    };
    assert!(act(Disruption::Cordon).record.unwrap().cordoned_before);
    let exclude = act(Disruption::Exclusion);
    assert_eq!(exclude.record.unwrap().exclusion_before.as_deref(), Some("someone"));
    assert_eq!(exclude.exclusion, Some(Some("someone".to_owned())));
}

#[test]
fn a_new_approval_on_a_failed_node_keeps_what_was_before_and_restarts_the_clock() {
    let old = DisruptionRecord {
        cordoned_before: true,
        excluded: true,
        exclusion_before: Some("someone".to_owned()),
        ..cordoned()
    };
    let Ok(NextWrite::Record(record)) = first(&next_approval(), &recorded(old.clone())) else {
        panic!("no record");
    };
    assert_eq!(Some(&record.approval), next_approval().desired.approval().as_ref());
    assert!(record.cordoned && record.cordoned_before && record.excluded);
    assert_eq!(record.exclusion_before.as_deref(), Some("someone"));
    assert_eq!(record.drain_began, None);
    let since_uncordoned = NodeFacts { unschedulable: false, ..recorded(old) };
    let Ok(NextWrite::Record(record)) = first(&next_approval(), &since_uncordoned) else {
        panic!("no record");
    };
    assert!(!record.cordoned && !record.cordoned_before, "an uncordon under an old approval is no veto of this one");
}

#[test]
fn a_record_of_another_approval_does_not_carry_a_drain_on() {
    assert_eq!(may_continue(&next_approval(), &recorded(cordoned())), Err(NotAllowed::NotBegun));
    assert_eq!(may_continue(&shadow(), &node()), Err(NotAllowed::NotBegun));
    assert_eq!(may_continue(&shadow(), &recorded(record())), Err(NotAllowed::NotBegun));
}

#[test]
fn a_forged_record_allows_nothing() {
    let forged = NodeFacts {
        record: DisruptionRecord::decode(Some(
            &[(api::names::DISRUPTION_RECORD_ANNOTATION.to_owned(), "{}".to_owned())].into(),
        )),
        ..node()
    };
    assert!(matches!(first(&shadow(), &forged), Err(NotAllowed::Unreadable(_))));
    assert!(matches!(may_continue(&shadow(), &forged), Err(NotAllowed::Unreadable(_))));
    assert_eq!(leftover(&shadow(), &forged, None, None), None);
}

#[test]
fn what_the_original_operator_has_begun_goes_on_and_nothing_begins_under_its_spec() {
    let desired = originals(State::RebootedIntoUpdate);
    let no_approval = Err(NotAllowed::NoApproval(State::RebootedIntoUpdate));
    assert_eq!(first(&desired, &node()), no_approval);
    let cordoned_by_someone = NodeFacts { unschedulable: true, ..node() };
    let Ok(NextWrite::Record(written)) = first(&desired, &cordoned_by_someone) else {
        panic!("not adopted");
    };
    assert_eq!(written, cordoned_at(&written));
    let adopted = NodeFacts { record: Ok(Some(written.clone())), ..cordoned_by_someone };
    assert_eq!(
        next_write(Disruption::Cordon, &desired, &adopted, true, now()),
        Ok(NextWrite::Nothing(written.clone()))
    );
    assert_eq!(may_continue(&desired, &adopted), Ok(&written));
    assert_eq!(leftover(&desired, &adopted, Some(&written), None), None, "an adopted record stays");
    let uncordoned = NodeFacts { unschedulable: false, ..adopted };
    assert!(matches!(first(&desired, &uncordoned), Err(NotAllowed::Vetoed { .. })));
    assert!(matches!(may_continue(&desired, &uncordoned), Err(NotAllowed::Vetoed { .. })));
    // A record of that approval under which nothing was done can only be forged.
    assert_eq!(first(&desired, &recorded(record())), no_approval);
    assert_eq!(may_continue(&desired, &recorded(record())), Err(NotAllowed::NotBegun));
}

fn cordoned_at(record: &DisruptionRecord) -> DisruptionRecord {
    DisruptionRecord {
        cordoned: true,
        drain_began: Some(record.began),
        ..DisruptionRecord::first(approval(), now(), false, None)
    }
}

#[test]
fn times_at_the_ends_of_the_calendar_do_no_harm() {
    let mut odd = shadow();
    odd.desired.disrupt_not_after = Some(Timestamp::MIN);
    assert_eq!(first(&odd, &node()), Err(NotAllowed::Expired));
    odd.desired.disrupt_not_after = Some(Timestamp::MAX);
    assert!(first(&odd, &node()).is_ok());
}

#[test]
fn a_refused_call_removes_its_own_record_and_restores_the_one_before() {
    let old =
        DisruptionRecord { approval: api::ApprovalId { since: Timestamp::UNIX_EPOCH, ..approval() }, ..cordoned() };
    let own = record();
    let change = leftover(&shadow(), &recorded(own.clone()), Some(&own), Some(&old));
    assert_eq!(change, Some(Change::record(Some(old))));
    assert_eq!(leftover(&shadow(), &recorded(own.clone()), Some(&own), None), Some(Change::record(None)));
    let acted = DisruptionRecord { cordoned: true, ..own.clone() };
    assert_eq!(leftover(&shadow(), &recorded(acted), Some(&own), None), None);
}

#[test]
fn a_record_of_an_approval_that_is_no_more_goes_unless_something_was_done() {
    assert_eq!(leftover(&next_approval(), &recorded(record()), None, None), Some(Change::record(None)));
    assert_eq!(leftover(&next_approval(), &recorded(cordoned()), None, None), None);
    assert_eq!(leftover(&shadow(), &recorded(record()), None, None), None);
}
