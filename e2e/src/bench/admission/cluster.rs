//! The nodes and policies that admission happens beside.

use anyhow::Context;
use api::{UpdatePolicy, names};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::controlplane::ControlPlane;

fn policy(name: &str, pool: usize, priority: usize) -> Value {
    json!({
        "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy", "metadata": {"name": name},
        "spec": {
            "priority": priority, "maxConcurrentUpdates": "10%", "maxUnavailable": "20%",
            "nodeSelector": {"matchExpressions": [{"key": "pool", "operator": "In", "values": [format!("pool-{pool}"), "shared"]}]},
            "loadBalancerExclusion": {"waitSeconds": 30}, "drain": {"timeout": "1h"},
        },
    })
}

/// Creates so many managed nodes and policies.
pub(super) async fn fill(
    plane: &ControlPlane,
    nodes_wanted: usize,
    policies_wanted: usize,
) -> anyhow::Result<Api<UpdatePolicy>> {
    let nodes: Api<Node> = Api::all(plane.client());
    let node = |number: usize| {
        let pool = format!("pool-{}", number % policies_wanted.max(1));
        let labels = json!({ "pool": pool, names::UPDATER_INTERFACE_LABEL: names::UPDATER_INTERFACE_VERSION });
        json!({"metadata": {"name": format!("node-{number}"), "labels": labels}})
    };
    let create = async |number| {
        nodes.create(&PostParams::default(), &serde_json::from_value(node(number))?).await.map(drop)?;
        anyhow::Ok(())
    };
    stream::iter(0..nodes_wanted).map(create).buffer_unordered(16).try_collect::<()>().await.context("nodes")?;
    let policies: Api<UpdatePolicy> = Api::all(plane.client());
    for number in 0..policies_wanted {
        let policy = serde_json::from_value(policy(&format!("policy-{number}"), number, number))?;
        policies.create(&PostParams::default(), &policy).await.context("policies")?;
    }
    Ok(policies)
}
