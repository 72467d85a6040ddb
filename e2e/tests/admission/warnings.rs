//! What kubectl prints as warnings.

use api::names;
use e2e::controlplane::wait::eventually;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::site::{PATIENCE, Site, policy};

async fn node(site: &Site, name: &str, pool: &str, in_flight: bool) {
    let labels = json!({ "pool": pool, names::UPDATER_INTERFACE_LABEL: names::UPDATER_INTERFACE_VERSION });
    let annotations = if in_flight { json!({ names::DISRUPTION_RECORD_ANNOTATION: "{}" }) } else { json!({}) };
    let node = json!({"metadata": {"name": name, "labels": labels, "annotations": annotations}});
    let nodes: Api<Node> = Api::all(site.plane.client());
    nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
}

/// Waits until a dry run is accepted with a warning: what was stored just before may take a moment to reach the webhook.
async fn warned(site: &Site, spec: &Value, expected: &str) {
    let manifest = policy("new", spec);
    eventually(&format!("the warning {expected:?}"), PATIENCE, async || {
        let answer = site.dry_run(&manifest).await;
        assert!(answer.accepted, "{}", answer.says);
        Ok(answer.says.contains(&format!("Warning: {expected}")).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_surprise_is_accepted_with_a_warning() {
    let site = Site::start().await;
    for (name, pool, in_flight) in [("a", "blue", true), ("b", "blue", false), ("c", "green", false)] {
        node(&site, name, pool, in_flight).await;
    }
    let red = json!({"nodeSelector": {"matchLabels": {"pool": "red"}}});
    warned(&site, &red, "spec.nodeSelector: selects no node that there is now").await;
    warned(
        &site,
        &json!({"nodeSelector": {}, "maxConcurrentUpdates": "unlimited"}),
        "spec.maxConcurrentUpdates: \"unlimited\"",
    )
    .await;
    let many = json!({"nodeSelector": {}, "maxConcurrentUpdates": 2, "loadBalancerExclusion": {"waitSeconds": 60}});
    warned(&site, &many, "spec.maxConcurrentUpdates: 2 of 3 nodes may be out of the load balancers").await;
    let short = json!({
        "nodeSelector": {}, "drain": {"timeout": "30m"},
        "schedule": {"windows": [{"start": "0 2 * * *", "duration": "10m"}]},
    });
    warned(
        &site,
        &short,
        "spec.schedule.windows[0].duration: 10m is shorter than load-balancer wait plus drain timeout (30m)",
    )
    .await;
    let after = json!({"nodeSelector": {}, "versions": {"after": [{"policy": "canary", "soak": "1h"}]}});
    warned(&site, &after, "spec.versions.after[0].policy: there is no policy \"canary\" now").await;

    let all = policy("all", &json!({"nodeSelector": {}, "priority": 5}));
    assert!(site.apply(&all).await.accepted);
    let blue = policy("blue", &json!({"nodeSelector": {"matchLabels": {"pool": "blue"}}}));
    assert!(site.apply(&blue).await.accepted);
    let tie = json!({"priority": 5, "nodeSelector": {"matchLabels": {"pool": "blue"}}});
    warned(&site, &tie, "spec.priority: 5 is also that of all: 2 nodes that both select will be held").await;
    let shadowed = json!({"priority": 4, "nodeSelector": {"matchLabels": {"pool": "green"}}});
    warned(&site, &shadowed, "spec.priority: has no effect now").await;
    let expected = "policy all applies to 3 nodes, of which 1 in flight; without it: \
                    2 nodes will be updated under blue, 1 node will not be updated";
    let deleted = site.delete(&all).await;
    assert!(deleted.accepted && deleted.says.contains(expected), "{}", deleted.says);
}
