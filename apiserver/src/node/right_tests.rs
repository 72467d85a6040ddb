//! The table of [`super::step`], [`super::may_continue`] and [`super::leftover`].

use api::{Marks, Shadow, State};
use jiff::{SignedDuration, Timestamp};

use super::samples::{go, marks, node, now, originals, shadow};
use super::{Change, Goal, NoRight, NodeFacts, Step, leftover, may_continue, step};

fn marked(marks: Marks) -> NodeFacts {
    NodeFacts {
        unschedulable: marks.cordoned,
        exclusion: marks.excluded.then(|| "true".to_owned()),
        marks: Ok(Some(marks)),
        ..node()
    }
}

fn cordoned() -> Marks {
    Marks { cordoned: true, drain_began: Some(now()), ..marks() }
}

fn expiring_in(seconds: i64) -> Shadow {
    let mut shadow = shadow();
    shadow.order.disrupt_not_after = Some(now() + SignedDuration::from_secs(seconds));
    shadow
}

/// A go given after the marks of [`marks`] were written.
fn next_go() -> Shadow {
    let mut shadow = shadow();
    shadow.order.since = Some(now() - SignedDuration::from_secs(1));
    shadow
}

fn first(shadow: &Shadow, node: &NodeFacts) -> Result<Step, NoRight> {
    step(Goal::Cordon, shadow, node, false, now())
}

#[test]
fn the_mark_comes_before_the_act() {
    assert_eq!(first(&shadow(), &node()), Ok(Step::Mark(marks())));
    for (goal, unschedulable) in [(Goal::Exclude, None), (Goal::Cordon, Some(true))] {
        let Ok(Step::Act(change)) = step(goal, &shadow(), &marked(marks()), true, now()) else {
            panic!("no act for {goal:?}");
        };
        assert_eq!(change.unschedulable, unschedulable);
        assert_eq!(change.exclusion.is_some(), goal == Goal::Exclude);
        assert_eq!(change.marks.unwrap().go, go());
    }
}

#[test]
fn asking_again_is_done_at_once_and_keeps_the_drains_clock() {
    let later = now() + SignedDuration::from_hours(3);
    let again = step(Goal::Cordon, &shadow(), &marked(cordoned()), false, later);
    assert_eq!(again, Ok(Step::Done(cordoned())));
}

#[test]
fn without_a_go_nothing_begins_and_nothing_goes_on() {
    for state in State::ALL.into_iter().filter(|state| *state != State::RebootedIntoUpdate) {
        let mut shadow = shadow();
        shadow.order.state = state;
        assert_eq!(first(&shadow, &node()), Err(NoRight::NoGo(state)));
        assert_eq!(first(&shadow, &marked(cordoned())), Err(NoRight::NoGo(state)));
        assert_eq!(may_continue(&shadow, &marked(cordoned())), Err(NoRight::NoGo(state)));
    }
    let mut originals = shadow();
    originals.order.disrupt_not_after = None;
    assert_eq!(first(&originals, &node()), Err(NoRight::NoGo(State::RebootedIntoUpdate)));
}

#[test]
fn a_go_must_have_a_write_deadline_left_until_its_mark_was_seen_with_it() {
    let just_expired = expiring_in(4);
    assert_eq!(first(&just_expired, &node()), Err(NoRight::Expired));
    assert_eq!(step(Goal::Cordon, &just_expired, &marked(marks()), true, now()), Err(NoRight::Expired));
    assert!(first(&expiring_in(5), &node()).is_ok());
    assert!(matches!(step(Goal::Cordon, &just_expired, &marked(marks()), false, now()), Ok(Step::Act(_))));
    assert!(may_continue(&expiring_in(-3600), &marked(cordoned())).is_ok());
}

#[test]
fn on_a_node_that_is_no_longer_managed_nothing_begins_and_what_has_begun_goes_on() {
    let unmanaged = |node| NodeFacts { managed: false, ..node };
    let earlier = marked(Marks { go: api::GoId { since: Timestamp::UNIX_EPOCH, ..go() }, ..cordoned() });
    for goal in [Goal::Exclude, Goal::Cordon] {
        let next = |node, unchecked| step(goal, &shadow(), &unmanaged(node), unchecked, now());
        assert_eq!(next(node(), false), Err(NoRight::Unmanaged));
        assert_eq!(next(earlier.clone(), false), Err(NoRight::Unmanaged), "the disruption of another go");
        assert_eq!(next(marked(marks()), true), Err(NoRight::Unmanaged), "since this very call's mark");
        assert!(matches!(next(marked(marks()), false), Ok(Step::Act(_))));
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
    let theirs = NodeFacts { unschedulable: true, exclusion: Some("theirs".to_owned()), ..marked(marks()) };
    let act = |goal| match step(goal, &shadow(), &theirs, true, now()) {
        Ok(Step::Act(change)) => change,
        other => panic!("{other:?}"),
    };
    assert!(act(Goal::Cordon).marks.unwrap().cordoned_before);
    let exclude = act(Goal::Exclude);
    assert_eq!(exclude.marks.unwrap().exclusion_before.as_deref(), Some("theirs"));
    assert_eq!(exclude.exclusion, Some(Some("theirs".to_owned())));
}

#[test]
fn a_new_go_on_a_failed_node_keeps_what_was_before_and_restarts_the_clock() {
    let old =
        Marks { cordoned_before: true, excluded: true, exclusion_before: Some("theirs".to_owned()), ..cordoned() };
    let Ok(Step::Mark(mark)) = first(&next_go(), &marked(old.clone())) else {
        panic!("no mark");
    };
    assert_eq!(Some(&mark.go), next_go().order.go().as_ref());
    assert!(mark.cordoned && mark.cordoned_before && mark.excluded);
    assert_eq!(mark.exclusion_before.as_deref(), Some("theirs"));
    assert_eq!(mark.drain_began, None);
    let since_uncordoned = NodeFacts { unschedulable: false, ..marked(old) };
    let Ok(Step::Mark(mark)) = first(&next_go(), &since_uncordoned) else {
        panic!("no mark");
    };
    assert!(!mark.cordoned && !mark.cordoned_before, "an uncordon under an old go is no veto of this one");
}

#[test]
fn marks_of_another_go_do_not_carry_a_drain_on() {
    assert_eq!(may_continue(&next_go(), &marked(cordoned())), Err(NoRight::NotBegun));
    assert_eq!(may_continue(&shadow(), &node()), Err(NoRight::NotBegun));
    assert_eq!(may_continue(&shadow(), &marked(marks())), Err(NoRight::NotBegun));
}

#[test]
fn forged_marks_give_no_right() {
    let forged = NodeFacts {
        marks: Marks::decode(Some(&[(api::names::MARKS_ANNOTATION.to_owned(), "{}".to_owned())].into())),
        ..node()
    };
    assert!(matches!(first(&shadow(), &forged), Err(NoRight::Unreadable(_))));
    assert!(matches!(may_continue(&shadow(), &forged), Err(NoRight::Unreadable(_))));
    assert_eq!(leftover(&shadow(), &forged, None, None), None);
}

#[test]
fn what_the_original_operator_has_begun_goes_on_and_nothing_begins_under_its_order() {
    let order = originals(State::RebootedIntoUpdate);
    let no_go = Err(NoRight::NoGo(State::RebootedIntoUpdate));
    assert_eq!(first(&order, &node()), no_go);
    let theirs = NodeFacts { unschedulable: true, ..node() };
    let Ok(Step::Mark(mark)) = first(&order, &theirs) else {
        panic!("not adopted");
    };
    assert_eq!(mark, cordoned_at(&mark));
    let adopted = NodeFacts { marks: Ok(Some(mark.clone())), ..theirs };
    assert_eq!(step(Goal::Cordon, &order, &adopted, true, now()), Ok(Step::Done(mark.clone())));
    assert_eq!(may_continue(&order, &adopted), Ok(&mark));
    assert_eq!(leftover(&order, &adopted, Some(&mark), None), None, "an adopted mark stays");
    let uncordoned = NodeFacts { unschedulable: false, ..adopted };
    assert!(matches!(first(&order, &uncordoned), Err(NoRight::Vetoed { .. })));
    assert!(matches!(may_continue(&order, &uncordoned), Err(NoRight::Vetoed { .. })));
    // A mark of that go under which nothing was done can only be forged.
    assert_eq!(first(&order, &marked(marks())), no_go);
    assert_eq!(may_continue(&order, &marked(marks())), Err(NoRight::NotBegun));
}

fn cordoned_at(mark: &Marks) -> Marks {
    Marks { cordoned: true, drain_began: Some(mark.began), ..Marks::first(go(), now(), false, None) }
}

#[test]
fn times_at_the_ends_of_the_calendar_do_no_harm() {
    let mut odd = shadow();
    odd.order.disrupt_not_after = Some(Timestamp::MIN);
    assert_eq!(first(&odd, &node()), Err(NoRight::Expired));
    odd.order.disrupt_not_after = Some(Timestamp::MAX);
    assert!(first(&odd, &node()).is_ok());
}

#[test]
fn a_refused_call_takes_its_own_mark_back_and_restores_the_one_before() {
    let old = Marks { go: api::GoId { since: Timestamp::UNIX_EPOCH, ..go() }, ..cordoned() };
    let own = marks();
    let change = leftover(&shadow(), &marked(own.clone()), Some(&own), Some(&old));
    assert_eq!(change, Some(Change::marks(Some(old))));
    assert_eq!(leftover(&shadow(), &marked(own.clone()), Some(&own), None), Some(Change::marks(None)));
    let acted = Marks { cordoned: true, ..own.clone() };
    assert_eq!(leftover(&shadow(), &marked(acted), Some(&own), None), None);
}

#[test]
fn a_mark_of_a_go_that_is_no_more_goes_unless_something_was_done() {
    assert_eq!(leftover(&next_go(), &marked(marks()), None, None), Some(Change::marks(None)));
    assert_eq!(leftover(&next_go(), &marked(cordoned()), None, None), None);
    assert_eq!(leftover(&shadow(), &marked(marks()), None, None), None);
}
