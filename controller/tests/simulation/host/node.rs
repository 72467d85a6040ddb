//! What the apiserver, the kubelet and the agent write on objects.

use api::shadow::BottlerocketShadowSpec;
use api::{BottlerocketShadow, State, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;

use crate::world::World;

pub(super) fn create(world: &mut World, node: &str) {
    let mut shadow = BottlerocketShadow::new(&names::shadow_name(node), BottlerocketShadowSpec::default());
    let uid = world.nodes.rows[node].uid().unwrap();
    shadow.metadata.uid = Some(format!("shadow-{}-{}", uid, world.shadows.log.len()));
    let owner = OwnerReference {
        api_version: "v1".into(),
        kind: "Node".into(),
        name: node.into(),
        uid,
        ..OwnerReference::default()
    };
    shadow.metadata.owner_references = Some(vec![owner]);
    world.put_shadow(node, shadow);
}

pub(crate) fn set_ready(world: &mut World, name: &str, ready: bool) {
    let status = if ready { "True" } else { "False" };
    world.edit_node(name, |node| {
        node.status.as_mut().unwrap().conditions.as_mut().unwrap()[0].status = status.to_owned();
    });
}

/// Undoes what the record says, and removes it.
pub(crate) fn restore(world: &mut World, name: &str) {
    if let Some(record) = world.record(name) {
        let cordoned = if record.cordoned { record.cordoned_before } else { world.is_unschedulable(name) };
        world.set_record(name, None, cordoned);
    }
}

/// Restores a node without its agent, where the apiserver does.
pub(crate) fn restore_abandoned(world: &mut World, name: &str) {
    if world.record(name).is_none() {
        return;
    }
    let uid = world.nodes.rows[name].uid();
    let shadow = world.shadow(name).filter(|shadow| Some(&shadow.node.uid) == uid.as_ref());
    let silent = !world.agents.rows.contains_key(name);
    let idle = shadow.as_ref().is_some_and(|shadow| shadow.desired.state == State::Idle);
    let reported = shadow.as_ref().and_then(|shadow| shadow.observed.as_ref()).map(|report| report.state);
    if !world.is_managed(name) || shadow.is_none() || (idle && (silent || reported == Some(State::Idle))) {
        restore(world, name);
    }
}
