//! What a policy says about when and into what, held against a write.

use api::{State, names};
use controller::action::{Action, Verb};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use semver::Version;

use super::{Breach, LONGEST_APPROVAL, Observer};
use crate::plan_view::PlanView;
use crate::process::Seen;
use crate::world::World;
use api::shadow::Shadow;

impl Observer {
    /// The windows of this test are the first six minutes of each quarter of an hour.
    pub(super) fn schedule(&mut self, world: &World, view: &PlanView<'_>, policy: &str, action: &Action) {
        if view.spec(policy).is_none_or(|spec| spec["schedule"].is_null()) {
            return;
        }
        let open = |at: Timestamp| at.as_second().rem_euclid(15 * 60) < 6 * 60;
        let before = |at: Timestamp, seconds| at - SignedDuration::from_secs(seconds);
        let original = world.shadow(&action.node).and_then(|shadow| shadow.observed.clone());
        let original = original.is_some_and(|report| report.agent_version.is_none());
        // A write may take a while, and the window close meanwhile.
        let closed = !(0..=30).any(|late| open(before(world.now(), late)));
        let starts = action.verb == Verb::Start && original && closed && self.has_not_jumped(world);
        let outlasts = action.desired.disrupt_not_after.is_some_and(|expiry| !open(before(expiry, 1)));
        if starts || outlasts {
            self.breach(world, Breach::Window, &format!("{:?} of {}", action.verb, action.node));
        }
    }

    fn has_not_jumped(&self, world: &World) -> bool {
        self.jumped.is_none_or(|jumped| world.time > jumped + LONGEST_APPROVAL)
    }

    pub(super) fn version(
        &mut self,
        world: &World,
        (view, seen): (&PlanView<'_>, Seen),
        policy: &str,
        action: &Action,
    ) {
        let (Some(spec), Some(version)) = (view.spec(policy), &action.desired.version) else { return };
        let newest = *version == Version::new(1, 21, 0);
        let out_of_range = newest && spec["versions"]["constraint"] == "<1.21";
        let age = self.offered_since.map_or(0, |since| world.time - since);
        let young = newest && self.jumped.is_none() && spec["versions"]["minimumAge"] == "5m" && age < 300;
        if action.verb == Verb::Start && (out_of_range || young) {
            self.breach(world, Breach::Version, &format!("{version} on {}", action.node));
        }
        let most = spec["failures"]["haltAfter"].as_u64().unwrap_or(1);
        let failed = |node: &&Node| {
            let known = world.shadows.log[..seen.shadows]
                .iter()
                .rev()
                .find(|(of, _)| *of == names::shadow_name(&node.name_any()));
            let known =
                known.and_then(|(_, shadow)| shadow.as_ref()?.0.as_ref().ok()?.status.as_ref()?.failed.as_ref());
            // One that was restored in the version has recovered, and that of an earlier Node is over with it.
            let shadow = world.shadow(&node.name_any()).filter(|shadow| Some(&shadow.node.uid) == node.uid().as_ref());
            let out =
                shadow.filter(|shadow| shadow.desired.state == State::RebootedIntoUpdate || !runs(shadow, version));
            let still = out.and_then(|shadow| shadow.observed.clone()?.failed);
            let acknowledged = node.annotations().get(names::FAILURE_ACKNOWLEDGED_ANNOTATION);
            let stands = known.is_some_and(|failed| failed.version == version.to_string());
            stands
                && still.is_some_and(|failed| failed.version == *version)
                && acknowledged != Some(&version.to_string())
        };
        let its = |node: &&Node| {
            view.node(&node.name_any()).is_some_and(|n| n.uid() == node.uid() && view.owner(n) == Some(policy))
        };
        let nodes = world.nodes.rows.values().map(AsRef::as_ref);
        let failed: Vec<_> = nodes.filter(its).filter(failed).map(|node| node.name_any()).collect();
        if u64::try_from(failed.len()).unwrap() >= most && !failed.contains(&action.node) {
            self.breach(
                world,
                Breach::Halted,
                &format!("{:?} of {} though {failed:?} failed", action.verb, action.node),
            );
        }
    }
}

fn runs(shadow: &Shadow, version: &Version) -> bool {
    shadow.observed.as_ref().is_some_and(|report| report.current_version >= *version)
}
