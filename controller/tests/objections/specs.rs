//! Writes that fit nothing, specs that nobody may write, and specs that do not follow from the one before.

use controller::action::Verb;
use controller::check::Broken;
use jiff::SignedDuration;

use crate::{action, assert_objects, assert_objects_to_both, outdated, set, tampered};

#[test]
fn it_objects_to_a_write_that_does_not_fit_the_snapshot() {
    let twice = tampered(|_, plan| plan.actions.extend(plan.actions.first().cloned()));
    assert_objects(&twice, "a", Verb::Start, Broken::Precondition);
    let older = tampered(|_, plan| action(plan, Verb::Approve).resource_version = "0".to_owned());
    assert_objects(&older, "b", Verb::Approve, Broken::Precondition);
    let of_an_earlier_node =
        outdated(|cluster| cluster.shadows.get_mut("a").unwrap().owner = Some("uid-of-an-earlier-node".to_owned()));
    assert_objects(&of_an_earlier_node, "a", Verb::Start, Broken::Precondition);
}

#[test]
fn it_objects_without_a_policy_that_applies() {
    let another = tampered(|_, plan| action(plan, Verb::Start).desired.policy = Some("another".to_owned()));
    assert_objects(&another, "a", Verb::Start, Broken::Policy);
    assert_objects_to_both(|cluster| cluster.policies.clear(), Broken::Policy);
}

#[test]
fn it_objects_in_a_pause() {
    assert_objects_to_both(|cluster| set(cluster, "paused", true.into()), Broken::Paused);
}

#[test]
fn it_objects_to_specs_that_do_not_follow() {
    let without_version = tampered(|_, plan| action(plan, Verb::Start).desired.version = None);
    assert_objects(&without_version, "a", Verb::Start, Broken::Desired);
    let into_another =
        tampered(|_, plan| action(plan, Verb::Approve).desired.version = Some("1.21.0".parse().unwrap()));
    assert_objects(&into_another, "b", Verb::Approve, Broken::Desired);
}

#[test]
fn it_objects_to_an_approval_that_expires_at_a_wrong_time() {
    for minutes in [0, 11] {
        let wrong = tampered(|snapshot, plan| {
            let expiry = snapshot.now.checked_add(SignedDuration::from_mins(minutes)).ok();
            action(plan, Verb::Approve).desired.disrupt_not_after = expiry;
        });
        assert_objects(&wrong, "b", Verb::Approve, Broken::Expiry);
    }
}

#[test]
fn it_objects_to_more_than_settings_in_an_adjustment() {
    let adjusted = tampered(|_, plan| {
        let approval = action(plan, Verb::Approve);
        approval.verb = Verb::Adjust;
    });
    assert_objects(&adjusted, "b", Verb::Adjust, Broken::Adjustment);
}
