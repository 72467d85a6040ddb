//! Whether a rollout has arrived.

use std::time::Duration;

use api::{BottlerocketShadow, State, names};
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use semver::Version;

use crate::controlplane::wait::eventually;

/// Waits until `count` nodes run `version`, at rest: Idle asked for and reported, schedulable, and without a record.
///
/// # Errors
/// When that has not come about within `patience`.
pub async fn updated(client: Client, version: &Version, count: usize, patience: Duration) -> anyhow::Result<()> {
    let shadows: Api<BottlerocketShadow> = Api::namespaced(client.clone(), names::DEFAULT_NAMESPACE);
    let nodes: Api<Node> = Api::all(client);
    let what = format!("{count} nodes at rest in version {version}");
    eventually(&what, patience, async || {
        let shadows = shadows.list(&ListParams::default()).await?;
        let nodes = nodes.list(&ListParams::default()).await?;
        let free = |name: &str| nodes.items.iter().any(|node| node.name_any() == name && is_free(node));
        let done = shadows
            .items
            .iter()
            .filter(|shadow| rests_in(shadow, version))
            .filter(|shadow| shadow.name_any().strip_prefix("brs-").is_some_and(free));
        Ok((done.count() == count).then_some(()))
    })
    .await
}

/// Whether pods may come, and nothing of an update is left on it.
#[must_use]
pub fn is_free(node: &Node) -> bool {
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    !cordoned && !node.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION)
}

fn rests_in(shadow: &BottlerocketShadow, version: &Version) -> bool {
    let status = shadow.status.as_ref();
    shadow.spec.state == State::Idle
        && status
            .is_some_and(|status| status.current_state == State::Idle && status.current_version == version.to_string())
}
