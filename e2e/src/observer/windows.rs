//! Whether the schedule of a policy let an approval be given.
//!
//! That no disruption begins past the approval's expiry is judged in [`super::beginning`]. So none begins outside a window if no approval is given
//! outside one, and none outlasts it. A schedule that is edited while an approval is out does not end it: it is withdrawn, or expires.

use api::{Policy, Shadow};
use jiff::Timestamp;

use super::GRACE;
use super::cluster::TrackedNode;
use super::spec_change::SpecChange;

/// What is wrong with a change of a spec, by the schedule of the policy it is made under. An image may be staged outside a
/// window; an original agent activates it while it stages.
pub(super) fn wrong(
    at: Timestamp,
    policy: &Policy,
    node: &TrackedNode,
    change: SpecChange,
    shadow: &Shadow,
) -> Option<String> {
    let original = shadow.observed.as_ref().is_some_and(|report| report.agent_version.is_none());
    let version = shadow.desired.version.as_ref()?;
    if (change == SpecChange::Start && !original) || node.excuses(at, version, |excuses| excuses.ignore_window) {
        return None;
    }
    // It was decided a moment ago.
    let decided = [Some(at), at.checked_sub(GRACE).ok()];
    let Some(open) = decided.into_iter().flatten().find(|then| policy.schedule.is_open_at(*then)) else {
        return Some("the schedule is closed".to_owned());
    };
    let closes = policy.schedule.closes_at(open).filter(|_| change != SpecChange::Start)?;
    let expiry = shadow.desired.disrupt_not_after?;
    (expiry > closes).then(|| format!("the approval holds until {expiry}, and the schedule closes at {closes}"))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use semver::Version;
    use serde_json::{Value, json};

    use crate::observer::breach::Rule;
    use crate::observer::samples::{World, new_version};

    /// Closed for an hour from so many seconds after now on.
    fn closed_from(world: &World, seconds: i64) -> Value {
        let from = world.now() + SignedDuration::from_secs(seconds);
        let end = from + SignedDuration::from_hours(1);
        json!({"blackouts": [{"start": from.to_string(), "end": end.to_string()}]})
    }

    /// A started node under a policy that closes so many seconds after the approval is due.
    fn closes_in(seconds: i64) -> World {
        let mut world = World::new(&["a", "b"], json!(2));
        let schedule = closed_from(&world, 20 + seconds);
        world.policy("schedule", schedule).after(10).start("a").after(10);
        world
    }

    #[test]
    fn an_image_is_staged_at_any_time_and_an_approval_is_given_while_the_schedule_is_open() {
        let mut closed = closes_in(-15);
        closed.start("b").clean();
        closed.approval_for("a", 60).breach(Rule::Window, "the schedule is closed");
        closes_in(100).approval_for("a", 100).clean();
    }

    #[test]
    fn an_approval_does_not_outlast_the_window_it_is_given_in() {
        closes_in(100).approval_for("a", 101).breach(Rule::Window, "the schedule closes at");
        let mut renewed = closes_in(100);
        renewed.approval_for("a", 50).after(20).shadow("a", |shadow| {
            shadow.desired.disrupt_not_after =
                shadow.desired.disrupt_not_after.map(|at| at + SignedDuration::from_secs(60));
        });
        renewed.breach(Rule::Window, "the schedule closes at");
    }

    #[test]
    fn a_window_that_closed_a_moment_ago_may_have_been_open_when_it_was_decided() {
        closes_in(-1).approval_for("a", -1).clean();
        closes_in(-3).approval_for("a", -3).breach(Rule::Window, "the schedule is closed");
    }

    #[test]
    fn an_approval_that_was_given_stays_though_the_schedule_is_closed_by_an_edit() {
        let mut world = World::new(&["a"], json!(1));
        world.start("a").approval("a").after(9);
        let closed = closed_from(&world, -60);
        world.policy("schedule", closed).after(9).record("a").cordon("a").clean();
    }

    #[test]
    fn the_annotation_excuses_one_version_until_a_moment_after_it_is_gone() {
        let excused = |version: Version| {
            let mut world = closes_in(-15);
            world.node("a", |node| node.ignore_window = Some(version));
            world
        };
        excused(new_version()).after(9).approval("a").clean();
        excused(Version::new(1, 18, 0)).after(9).approval("a").breach(Rule::Window, "closed");
        let gone = |seconds| {
            let mut world = excused(new_version());
            world.after(9).node("a", |node| node.ignore_window = None).after(seconds).approval("a");
            world
        };
        gone(1).clean();
        gone(3).breach(Rule::Window, "closed");
    }

    #[test]
    fn an_original_agent_is_not_started_while_the_schedule_is_closed() {
        let original = |seconds| {
            let mut world = closes_in(seconds);
            world.shadow("b", |shadow| shadow.observed.as_mut().unwrap().agent_version = None).start("b");
            world
        };
        original(100).clean();
        original(-15).breach(Rule::Window, "the schedule is closed");
    }
}
