//! What the original operator has come to on the nodes of a cluster, in every state it knows, when its controller ends.

use api::{BottlerocketShadow, State, names};
use e2e::controlplane::wait::eventually;
use e2e::fleet::Bare;
use e2e::host::{Command, Deed, Host, UpdateState};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::takeover::{NEW, OLD, PATIENCE};

/// How far the host of a node is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reached {
    Nothing,
    /// The original activates while it stages.
    Activated,
    Rebooted,
}

/// What the original did to the Node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Touched {
    No,
    Cordoned,
    CordonedAndExcluded,
}

/// What the original has come to on one node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    /// What its controller asked for.
    pub(crate) desired: State,
    /// What its agent reported last; `None`: nothing yet.
    pub(crate) reported: Option<State>,
    pub(crate) crashes: u32,
    pub(crate) reached: Reached,
    pub(crate) touched: Touched,
}

use Reached::{Activated, Nothing, Rebooted};
use State::{ErrorReset, Idle, MonitoringUpdate, RebootedIntoUpdate, StagedAndPerformedUpdate};
use Touched::{Cordoned, CordonedAndExcluded, No};

const fn begun(desired: State, reported: State, crashes: u32, reached: Reached, touched: Touched) -> Begun {
    Begun { desired, reported: Some(reported), crashes, reached, touched }
}

/// The node whose agent reported an error past its approval, counted from 1.
pub(crate) const FAILED: usize = 15;

/// Of `node-1`, `node-2` and so on.
pub(crate) const ALL: [Begun; 16] = [
    // Nothing is under way: never heard from, at rest, and at rest after failures.
    Begun { reported: None, ..begun(Idle, Idle, 0, Nothing, No) },
    begun(Idle, Idle, 0, Nothing, No),
    begun(Idle, Idle, 3, Nothing, No),
    // Asked to stage: not answered, answered, failed.
    begun(StagedAndPerformedUpdate, Idle, 0, Nothing, No),
    begun(StagedAndPerformedUpdate, StagedAndPerformedUpdate, 2, Activated, No),
    begun(StagedAndPerformedUpdate, ErrorReset, 1, Nothing, No),
    // Past the approval: untouched, in the middle of its drain, restarted and not heard from, reported.
    begun(RebootedIntoUpdate, StagedAndPerformedUpdate, 0, Activated, No),
    begun(RebootedIntoUpdate, StagedAndPerformedUpdate, 1, Activated, Cordoned),
    begun(RebootedIntoUpdate, StagedAndPerformedUpdate, 0, Activated, CordonedAndExcluded),
    begun(RebootedIntoUpdate, StagedAndPerformedUpdate, 0, Rebooted, CordonedAndExcluded),
    begun(RebootedIntoUpdate, RebootedIntoUpdate, 0, Rebooted, No),
    // Asked to restore: not answered, answered.
    begun(MonitoringUpdate, RebootedIntoUpdate, 1, Rebooted, Cordoned),
    begun(MonitoringUpdate, MonitoringUpdate, 0, Rebooted, No),
    // Done, and not yet said.
    begun(Idle, MonitoringUpdate, 0, Rebooted, No),
    // Failed past the approval, and failed with the answer on its way.
    begun(RebootedIntoUpdate, ErrorReset, 1, Activated, CordonedAndExcluded),
    begun(Idle, ErrorReset, 2, Nothing, No),
];

/// Brings a node to where the original has come on it.
pub(crate) async fn bring_about(cluster: &Bare, host: &Host, begun: &Begun) {
    advance(cluster, host, begun.reached).await;
    let nodes: Api<Node> = Api::all(cluster.plane.client());
    let excluded = (begun.touched == CordonedAndExcluded).then_some(names::ORIGINALS_EXCLUSION);
    let patch = json!({
        "metadata": {"labels": {(names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL): excluded}},
        "spec": {"unschedulable": (begun.touched != No).then_some(true)},
    });
    let node = nodes.patch(host.name(), &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();

    let shadows: Api<BottlerocketShadow> = Api::namespaced(cluster.plane.client(), names::DEFAULT_NAMESPACE);
    let shadow = serde_json::from_value(shadow(&node, begun)).unwrap();
    let shadow = shadows.create(&PostParams::default(), &shadow).await.unwrap();
    if let Some(status) = status(begun) {
        let patch = Patch::Merge(json!({ "status": status }));
        shadows.patch_status(&shadow.name_any(), &PatchParams::default(), &patch).await.unwrap();
    }
}

/// Has somebody else on the host do what the original's agent had done on it.
async fn advance(cluster: &Bare, host: &Host, reached: Reached) {
    if reached == Nothing {
        return;
    }
    let steps = [
        (Command::Refresh, UpdateState::Available),
        (Command::Prepare, UpdateState::Staged),
        (Command::Activate, UpdateState::Ready),
    ];
    for (command, state) in steps {
        host.perform(Deed::Run(command));
        eventually("the host to be that far", PATIENCE, async || {
            let reached = host.with(|machine, _| machine.status().map(|status| status.update_state));
            Ok((reached == Some(state)).then_some(()))
        })
        .await
        .unwrap();
    }
    if reached == Rebooted {
        cluster.reboot(host, PATIENCE).await.unwrap();
        assert_eq!(host.state().version, NEW);
    }
}

fn shadow(node: &Node, begun: &Begun) -> Value {
    let rests = begun.desired == Idle && matches!(begun.reported, None | Some(Idle));
    json!({
        "apiVersion": "brupop.bottlerocket.aws/v2", "kind": "BottlerocketShadow",
        "metadata": {
            "name": names::shadow_name(&node.name_any()), "namespace": names::DEFAULT_NAMESPACE,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node.name_any(), "uid": node.uid()}],
        },
        "spec": {
            "state": begun.desired,
            "version": (!rests).then(|| NEW.to_string()),
            "state_transition_timestamp": (!rests).then(an_hour_ago),
        },
    })
}

fn status(begun: &Begun) -> Option<Value> {
    let state = begun.reported?;
    let running = if matches!(state, RebootedIntoUpdate | MonitoringUpdate) { NEW } else { OLD };
    Some(json!({
        "current_version": running.to_string(), "target_version": NEW.to_string(), "current_state": state,
        "crash_count": begun.crashes,
        "state_transition_failure_timestamp": (begun.crashes > 0).then(an_hour_ago),
    }))
}

/// In the original's own words.
#[expect(clippy::disallowed_methods, reason = "the time of this machine, which the programs have as well")]
fn an_hour_ago() -> String {
    let then = Timestamp::now() - SignedDuration::from_hours(1);
    then.strftime("%Y-%m-%dT%H:%M:%S%.9f+00:00").to_string()
}
