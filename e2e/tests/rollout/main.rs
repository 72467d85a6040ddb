//! What a platform engineer does with the operator, on a real control plane with real programs.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail as tests do")]

mod budgets;
mod crash_matrix;
mod disruption;
mod drains;
mod edits;
mod failures;
mod identity;
mod interruptions;
mod leaders;
mod originals;
mod pods;
mod policies;
mod promotion;
mod single_node;
mod windows;

use std::collections::BTreeMap;
use std::time::Duration;

use api::{State, names};
use e2e::controlplane::wait::eventually;
use e2e::fleet::{Fleet, FleetOptions};
use e2e::observer::Observer;
use kube::ResourceExt;
use kube::api::ListParams;
use semver::Version;

/// Far longer than anything here takes on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// The version that is published.
pub(crate) const NEW: Version = Version::new(1, 51, 0);

/// A fleet whose agents have all reported, and an observer of it.
pub(crate) async fn fleet(nodes: usize) -> (Fleet, Observer) {
    follow(FleetOptions { nodes, ..FleetOptions::default() }).await
}

/// As [`fleet`], with options of its own.
pub(crate) async fn follow(options: FleetOptions) -> (Fleet, Observer) {
    let fleet = Fleet::start(options).await.unwrap();
    let observer = Observer::start(fleet.plane.client(), names::DEFAULT_NAMESPACE);
    fleet.hosts().for_each(|host| observer.follow(host));
    fleet.reported(PATIENCE).await.unwrap();
    (fleet, observer)
}

/// A policy for every node.
pub(crate) fn policy(limit: u32) -> String {
    format!(
        "apiVersion: brupop.bottlerocket.aws/v1alpha1
kind: UpdatePolicy
metadata: {{name: default}}
spec: {{nodeSelector: {{}}, maxConcurrentUpdates: {limit}}}
"
    )
}

/// The state each node is asked for.
pub(crate) async fn asked(fleet: &Fleet) -> BTreeMap<String, State> {
    let shadows = fleet.shadows().list(&ListParams::default()).await.unwrap();
    shadows.items.iter().map(|shadow| (shadow.name_any(), shadow.spec.state)).collect()
}

/// How many nodes are asked for anything but Idle.
pub(crate) async fn in_flight(fleet: &Fleet) -> usize {
    asked(fleet).await.values().filter(|state| **state != State::Idle).count()
}

/// Waits until `count` nodes are asked for anything but Idle.
pub(crate) async fn wait_in_flight(fleet: &Fleet, count: usize) {
    let what = format!("{count} nodes in flight");
    eventually(&what, PATIENCE, async || Ok((in_flight(fleet).await == count).then_some(()))).await.unwrap();
}
