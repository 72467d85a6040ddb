//! Agents come and go with their pods.

use api::names;
use e2e::controlplane::wait::eventually;
use e2e::fleet::{Fleet, FleetOptions, OriginalAgents};

use crate::{NEW, PATIENCE, follow, policy};

/// Deletes the pods of all agents, as a change of the DaemonSet does.
async fn delete_pods(fleet: &Fleet) {
    let agents = format!("--selector={}={}", names::COMPONENT_LABEL, names::AGENT_COMPONENT);
    fleet.plane.kubectl(&["delete", "pods", "--namespace", names::DEFAULT_NAMESPACE, &agents]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_in_the_place_of_another_has_an_agent_and_a_token_of_its_own() {
    let original = OriginalAgents { nodes: 1, ..OriginalAgents::default() };
    let (fleet, observer) = follow(FleetOptions { nodes: 2, original, ..FleetOptions::default() }).await;
    let before: Vec<_> = fleet.nodes().map(|node| (node, fleet.agent(node), fleet.token_file(node))).collect();
    delete_pods(&fleet).await;
    eventually("an agent for each new pod", PATIENCE, async || {
        let replaced = before.iter().all(|(node, agent, token_file)| {
            !agent.is_running() && fleet.agent(node).is_running() && fleet.token_file(node) != *token_file
        });
        Ok(replaced.then_some(()))
    })
    .await
    .unwrap();

    // With the tokens of the pods that are gone no agent comes any further.
    fleet.plane.apply(&policy(2)).await.unwrap();
    fleet.publish(&NEW);
    fleet.updated(&NEW, 2, PATIENCE).await.unwrap();
    assert!(fleet.boots().values().all(|boots| *boots == 1), "{:?}", fleet.boots());
    observer.assert_no_breach().await;
}
