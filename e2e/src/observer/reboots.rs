//! Whether a host was rebooted only when its disruption had come that far, and into the right version.
//!
//! A host's events are judged against the cluster as it was [`super::HOLD`] later, but with the pods that were seen to go only
//! after the host. A pod that came onto the node within
//! [`super::GRACE`] before is excused: no drain could have seen it. So are the operator's own pods, which may stay.

use api::shadow::OnTimeout;
use api::{DisruptionRecord, Shadow, State};
use jiff::{SignedDuration, Timestamp};
use semver::Version;

use super::breach::{Breach, Rule};
use super::cluster::{Cluster, PodRecord};
use super::facts::ShadowFacts;
use super::memory::{Down, Memory};
use super::views::within_grace;

/// How much later than the host's event the end of a pod may be seen that came before it.
const LAG: SignedDuration = SignedDuration::from_millis(250);

/// Judges a reboot that the node's agent asked for.
pub(super) fn down(at: Timestamp, cluster: &Cluster, memory: &mut Memory, name: &str, namespace: &str) -> Vec<Breach> {
    let node = cluster.nodes.get(name).map(|record| &record.facts);
    let shadow = node.and_then(|node| cluster.shadow_of(node)).and_then(ShadowFacts::readable);
    memory.down = Some(Down { version: shadow.and_then(|shadow| shadow.desired.version.clone()) });
    let (Some(node), Some(shadow)) = (node, shadow) else {
        return vec![breach(at, name, "rebooted without a Node and a shadow of it")];
    };
    let mut wrong = Vec::new();
    let state = shadow.desired.state;
    if state != State::RebootedIntoUpdate {
        wrong.push(format!("rebooted while it is asked to be {}", state.as_str()));
    }
    let record = node.record().filter(|record| record.cordoned);
    if record.is_none() || !node.unschedulable {
        wrong.push("rebooted without the operator's cordon".to_owned());
    }
    let approval = shadow.desired.approval();
    if state == State::RebootedIntoUpdate && record.is_some_and(|record| approval.as_ref() != Some(&record.approval)) {
        wrong.push("rebooted under another approval than the one its disruption began with".to_owned());
    }
    let stays = |pod: &&PodRecord| pod.facts.namespace == namespace && pod.facts.component().is_some();
    let left = cluster
        .pods_then(name, at.saturating_add(LAG).unwrap_or(at))
        .filter(|pod| pod.facts.must_go() && !within_grace(pod.bound, at));
    let left: Vec<_> = left.filter(|pod| !stays(pod)).map(|pod| pod.facts.path()).collect();
    if !left.is_empty() && !record.is_some_and(|record| is_forced(at, shadow, record)) {
        wrong.push(format!("rebooted before its drain had ended; left: {}", left.join(", ")));
    }
    wrong.iter().map(|message| breach(at, name, message)).collect()
}

/// Judges in which version it came up again. The version it came from is no breach: the new one did not come up.
pub(super) fn up(
    at: Timestamp,
    memory: &mut Memory,
    name: &str,
    from: Option<&Version>,
    to: &Version,
) -> Option<Breach> {
    let asked = memory.down.take()?.version;
    let fell_back = from == Some(to);
    (asked.as_ref() != Some(to) && !fell_back).then(|| {
        let asked = asked.map_or_else(|| "none".to_owned(), |version| version.to_string());
        breach(at, name, &format!("rebooted into {to}, and its shadow named {asked}"))
    })
}

/// Whether the drain's time is over, and the pods that are left may be deleted then.
pub(super) fn is_forced(at: Timestamp, shadow: &Shadow, record: &DisruptionRecord) -> bool {
    let Some((seconds, OnTimeout::Force)) = shadow.desired.drain else { return false };
    let began = record.drain_began.unwrap_or(Timestamp::MAX);
    at.duration_since(began) >= SignedDuration::from_secs(i64::from(seconds))
}

fn breach(at: Timestamp, node: &str, message: &str) -> Breach {
    let message = format!("node {node} {message}");
    Breach { at, rule: Rule::Reboot, objects: vec![format!("node/{node}")], message }
}

#[cfg(test)]
mod tests {
    use api::names::COMPONENT_LABEL;
    use api::shadow::OnTimeout;
    use serde_json::json;

    use super::Version;
    use crate::observer::breach::Rule;
    use crate::observer::event::HostChange;
    use crate::observer::facts::PodFacts;
    use crate::observer::samples::{NAMESPACE, World, labels};

    const REBOOT: HostChange = HostChange::Down { approved: true };

    fn up(minor: u64) -> HostChange {
        HostChange::Up { version: Version::new(1, minor, 0) }
    }

    /// A drained node with an approval, its host running 1.19.0.
    fn drained() -> World {
        let mut world = World::new(&["a", "b"], json!(2));
        world.host("a", up(19)).start("a").approval("a").record("a").cordon("a").after(60);
        world
    }

    #[test]
    fn a_reboot_after_the_drain_into_the_approved_version_is_right() {
        drained().host("a", REBOOT).host("a", up(20)).clean();
    }

    #[test]
    fn a_pod_that_a_drain_has_to_get_rid_of_forbids_the_reboot() {
        let with = |change: fn(&mut PodFacts)| {
            let mut world = drained();
            world.pod("web", "a", change).after(30).host("a", REBOOT);
            world
        };
        with(|_| ()).breach(Rule::Reboot, "left: web/web");
        with(|pod| pod.terminating = true).breach(Rule::Reboot, "left: web/web");
        with(|pod| pod.stays = true).clean();
        with(|pod| pod.finished = true).clean();
        with(|pod| pod.node = Some("b".to_owned())).clean();
        with(|pod| {
            pod.namespace = NAMESPACE.to_owned();
            pod.labels = labels(&[(COMPONENT_LABEL, "controller")]);
        })
        .clean();
        drained().pod("web", "a", |_| ()).after(30).delete_pod("web").host("a", REBOOT).clean();
    }

    #[test]
    fn a_pod_that_ended_only_after_the_host_was_still_there() {
        let ended = |millis| {
            let mut world = drained();
            world.pod("web", "a", |pod| pod.terminating = true).after(30);
            let rebooted = world.now();
            world.after_millis(millis).delete_pod("web").host_at(rebooted, "a", REBOOT);
            world
        };
        ended(100).clean();
        ended(900).breach(Rule::Reboot, "left: web/web");
    }

    #[test]
    fn a_pod_that_no_drain_could_have_seen_is_excused() {
        drained().pod("web", "a", |_| ()).after(1).host("a", REBOOT).clean();
    }

    #[test]
    fn a_forced_drain_may_leave_pods_once_its_time_is_over() {
        let forced = |seconds| {
            let mut world = drained();
            world.shadow("a", |shadow| shadow.desired.drain = Some((seconds, OnTimeout::Force)));
            world.pod("web", "a", |_| ()).after(30).host("a", REBOOT);
            world
        };
        forced(60).clean();
        forced(600).breach(Rule::Reboot, "left: web/web");
    }

    #[test]
    fn a_reboot_needs_the_approval_its_disruption_began_with() {
        drained().start("a").host("a", REBOOT).breach(Rule::Reboot, "asked to be StagedAndPerformedUpdate");
        drained().approval("a").host("a", REBOOT).breach(Rule::Reboot, "another approval");
        let mut idle = World::new(&["a"], json!(1));
        idle.host("a", REBOOT);
        assert_eq!(idle.rules(), [Rule::Reboot; 2], "{:?}", idle.judge.breaches());
    }

    #[test]
    fn a_reboot_needs_the_cordon() {
        drained().node("a", |node| node.unschedulable = false).host("a", REBOOT).breach(Rule::Reboot, "cordon");
        let mut recorded = World::new(&["a"], json!(1));
        recorded.start("a").approval("a").record("a").after(9).host("a", REBOOT).breach(Rule::Reboot, "cordon");
    }

    #[test]
    fn a_reboot_by_somebody_else_is_none_of_ours() {
        let mut world = World::new(&["a"], json!(1));
        world.host("a", up(19)).host("a", HostChange::Down { approved: false }).host("a", up(18)).clean();
    }

    #[test]
    fn a_node_boots_what_its_shadow_names_or_what_it_ran_before() {
        drained().host("a", REBOOT).host("a", up(19)).clean();
        drained().host("a", REBOOT).host("a", up(21)).breach(Rule::Reboot, "rebooted into 1.21.0");
        // What the shadow names by the time that the host is up does not matter.
        drained().host("a", REBOOT).idle("a").host("a", up(20)).clean();
    }
}
