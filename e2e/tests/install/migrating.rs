//! `docs/migrating.md`, followed to the letter on an installation of the original.

use api::{BottlerocketShadow, names};
use e2e::certmanager::CertManager;
use e2e::controlplane::ControlPlane;
use e2e::install::workspace;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::apply::kubectl;
use crate::guide::{commands, follow, section};

const GUIDE: &str = "docs/migrating.md";
const SHADOWS: &str = "bottlerocketshadows.brupop.bottlerocket.aws";

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_takes_an_original_installation_over_and_what_it_leaves_is_as_it_was() {
    let plane = ControlPlane::start().await.unwrap();
    CertManager::start(&plane, names::DEFAULT_NAMESPACE).await.unwrap();
    let fixture = workspace("e2e/fixtures/original-installation.yaml");
    let answer = kubectl(&plane, &["apply", "--filename", fixture.to_str().unwrap()], "").await;
    assert!(answer.accepted, "{}", answer.err);
    let shadow = node_in_the_middle_of_an_update(&plane).await;
    // As after a beginning with v0.2.
    let stored = Patch::Merge(json!({"status": {"storedVersions": ["v1", "v2"]}}));
    let crds: Api<CustomResourceDefinition> = Api::all(plane.client());
    crds.patch_status(SHADOWS, &PatchParams::default(), &stored).await.unwrap();
    let ours = workspace("config/crd/bottlerocketshadows.yaml");
    let refused = kubectl(&plane, &["apply", "--filename", ours.to_str().unwrap()], "").await;
    assert!(!refused.accepted && refused.err.contains("storedVersions"), "{}", refused.err);

    follow_all(&plane, "## In this order").await;
    is_ours(&plane).await;
    let shadows: Api<BottlerocketShadow> = Api::namespaced(plane.client(), names::DEFAULT_NAMESPACE);
    let after = shadows.get("brs-node-1").await.unwrap();
    assert_eq!((after.uid(), after.spec.state), (shadow.uid(), shadow.spec.state), "what is under way is kept");

    follow_all(&plane, "## Back out, or remove it").await;
    let node = Api::<Node>::all(plane.client()).get("node-1").await.unwrap();
    assert_eq!(node.spec.as_ref().and_then(|spec| spec.unschedulable), Some(true), "its cordon is the original's");
    assert!(
        node.annotations().keys().all(|key| !key.starts_with("brupop.bottlerocket.aws")),
        "{:?}",
        node.annotations()
    );
    assert!(crds.get_opt(SHADOWS).await.unwrap().is_none());
    let left = kubectl(&plane, &["get", "clusterroles,clusterrolebindings,roles,rolebindings,priorityclasses,validatingadmissionpolicies,validatingwebhookconfigurations", "-A", "-o", "name"], "").await;
    assert!(left.accepted && !left.out.contains("brupop"), "{}", left.out);
}

/// Cordoned by the original, and past its approval.
async fn node_in_the_middle_of_an_update(plane: &ControlPlane) -> BottlerocketShadow {
    let nodes: Api<Node> = Api::all(plane.client());
    let labels = json!({
        "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": "node-1",
        (names::UPDATER_INTERFACE_LABEL): names::UPDATER_INTERFACE_VERSION,
    });
    let node = json!({"metadata": {"name": "node-1", "labels": labels}, "spec": {"unschedulable": true}});
    let node = nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
    // Where the programs' pods go.
    let other =
        json!({"metadata": {"name": "other", "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}}});
    nodes.create(&PostParams::default(), &serde_json::from_value(other).unwrap()).await.unwrap();
    let shadow = json!({
        "apiVersion": "brupop.bottlerocket.aws/v2", "kind": "BottlerocketShadow",
        "metadata": {
            "name": "brs-node-1", "namespace": names::DEFAULT_NAMESPACE,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": node.uid()}],
        },
        "spec": {"state": "RebootedIntoUpdate", "version": "1.51.0", "state_transition_timestamp": "2026-11-25T00:00:00+00:00"},
    });
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", &format!("crd/{SHADOWS}")];
    assert!(kubectl(plane, &wait, "").await.accepted);
    let answer = kubectl(plane, &["create", "--filename=-"], &shadow.to_string()).await;
    assert!(answer.accepted, "{}", answer.err);
    Api::namespaced(plane.client(), names::DEFAULT_NAMESPACE).get("brs-node-1").await.unwrap()
}

/// Runs the commands below a heading of the guide.
async fn follow_all(plane: &ControlPlane, heading: &str) {
    let section = section(GUIDE, heading);
    let count = commands(&section).len();
    assert!(count >= 3, "{heading} has {count} commands");
    follow(plane, &section).await;
}

async fn is_ours(plane: &ControlPlane) {
    let crd = Api::<CustomResourceDefinition>::all(plane.client()).get(SHADOWS).await.unwrap();
    assert_eq!(crd.spec.versions.iter().map(|version| version.name.as_str()).collect::<Vec<_>>(), ["v2"]);
    assert_eq!(crd.spec.conversion.unwrap().strategy, "None");
    let deployments: Api<Deployment> = Api::namespaced(plane.client(), names::DEFAULT_NAMESPACE);
    let controller = deployments.get("brupop-controller-deployment").await.unwrap().spec.unwrap();
    assert_eq!(controller.strategy.unwrap().type_.as_deref(), Some("Recreate"), "never two kinds beside each other");
    let apiserver = deployments.get("brupop-apiserver").await.unwrap().spec.unwrap();
    let agent = Api::<DaemonSet>::namespaced(plane.client(), names::DEFAULT_NAMESPACE).get("brupop-agent").await;
    let agent = agent.unwrap().spec.unwrap();
    for template in [controller.template, apiserver.template, agent.template] {
        let text = serde_json::to_string(&template).unwrap();
        assert_eq!(template.spec.unwrap().containers.len(), 1, "one container of one name");
        for old in ["original.example", "MY_NODE_NAME", "MAX_CONCURRENT_UPDATE", "apiclient", "super_t", "/ping"] {
            assert!(!text.contains(old), "{old} in {text}");
        }
    }
    let controllers = ListParams::default().labels("brupop.bottlerocket.aws/component=brupop-controller");
    let pods = Api::<Pod>::namespaced(plane.client(), names::DEFAULT_NAMESPACE).list(&controllers).await.unwrap();
    let images = pods.items.iter().filter_map(|pod| pod.spec.as_ref()?.containers.first()?.image.as_deref());
    assert!(images.into_iter().all(|image| image.starts_with("bottlerocket-update-operator:")));
    let roles = kubectl(plane, &["get", "clusterroles,clusterrolebindings", "-o", "name"], "").await;
    assert!(!roles.out.contains("brupop-agent") && !roles.out.contains("auth-delegator-role-binding"), "{}", roles.out);
}
