//! The fence around what a kubelet may write on its own Node.

use api::names;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::site::on_site;
use crate::writers::{administrator, by, fenced, kubelet, remove, said};

const HOLD: &str = names::HOLD_ANNOTATION;
const RECORD: &str = names::DISRUPTION_RECORD_ANNOTATION;

#[test]
fn a_kubelet_may_not_add_change_or_remove_the_operators_annotations() {
    on_site(async |site| {
        let name = "kubelet-1";
        let metadata = json!({"annotations": {HOLD: "disk", RECORD: "{}", "theirs": "x"}});
        fenced(site, name, metadata, json!({})).await;
        let nodes = kubelet(site, name).await;
        let before = nodes.get(name).await.unwrap();
        let mut bare = before.clone();
        bare.metadata.annotations = None;
        let mut otherwise = Vec::new();
        for (key, value) in [
            (names::UPDATE_NOW_ANNOTATION, json!("1.51.0")),
            (names::IGNORE_WINDOW_ANNOTATION, json!("1.51.0")),
            (names::FAILURE_ACKNOWLEDGED_ANNOTATION, json!("1.51.0")),
            (names::VERSION_LOCK_BEFORE_ANNOTATION, json!("{}")),
            ("brupop.bottlerocket.aws/of-later", json!("x")),
            (HOLD, json!("false")),
            (HOLD, Value::Null),
            (RECORD, json!("{\"a\":1}")),
            (RECORD, Value::Null),
        ] {
            let write = Patch::Merge(json!({"metadata": {"annotations": { key: value }}}));
            let parameters = PatchParams::default();
            for answer in [
                said(nodes.patch(name, &parameters, &write).await),
                said(nodes.patch_status(name, &parameters, &write).await),
            ] {
                if !answer.clone().is_err_and(|refusal| refusal.contains(&format!("this write changes {key}"))) {
                    otherwise.push(format!("{key}: {value}: {answer:?}"));
                }
            }
        }
        for answer in [
            said(nodes.replace(name, &PostParams::default(), &bare).await),
            said(nodes.replace_status(name, &PostParams::default(), &bare).await),
            by("kubelet").apply(&nodes, name, json!({"metadata": {"annotations": {HOLD: "x"}}})).await,
        ] {
            if !answer.clone().is_err_and(|refusal| refusal.contains("a kubelet may not write annotations")) {
                otherwise.push(format!("{answer:?}"));
            }
        }
        assert!(otherwise.is_empty(), "{otherwise:#?}");
        assert_eq!(nodes.get(name).await.unwrap().metadata.annotations, before.metadata.annotations);
        let lifted = json!({"metadata": {"annotations": {HOLD: null}}});
        assert_eq!(by("kubectl-annotate").patch(&administrator(site), name, &lifted).await, Ok(()));
        remove(site, name).await;
    });
}

#[test]
fn a_kubelet_registers_and_reports_as_ever_beside_annotations_that_are_not_its_own() {
    on_site(async |site| {
        let name = "kubelet-2";
        fenced(site, name, json!({"annotations": {HOLD: "disk"}}), json!({})).await;
        let nodes = kubelet(site, name).await;
        let ready = json!({"status": {"conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "x",
            "lastHeartbeatTime": "2026-11-30T00:00:00Z", "lastTransitionTime": "2026-11-30T00:00:00Z",
        }]}});
        let parameters = PatchParams::default();
        assert_eq!(said(nodes.patch_status(name, &parameters, &Patch::Strategic(&ready)).await), Ok(()));
        let attach = "volumes.kubernetes.io/controller-managed-attach-detach";
        let own = json!({"metadata": {"annotations": {attach: "true"}, "labels": {"example.com/rack": "7"}}});
        assert_eq!(said(nodes.patch(name, &parameters, &Patch::Strategic(&own)).await), Ok(()));
        remove(site, name).await;

        assert_eq!(register(&nodes, name, json!({attach: "true"})).await, Ok(()));
        assert!(said(nodes.delete(name, &DeleteParams::default()).await).is_err());
        remove(site, name).await;
        let refusal = register(&nodes, name, json!({attach: "true", HOLD: "x"})).await.unwrap_err();
        assert!(refusal.contains(&format!("this write changes {HOLD}")), "{refusal}");
    });
}

async fn register(nodes: &Api<Node>, name: &str, annotations: Value) -> Result<(), String> {
    let node = json!({"metadata": {"name": name, "annotations": annotations}});
    said(nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await)
}

/// What the documentation says that a kubelet can do to its own Node all the same.
#[test]
fn a_kubelet_can_still_unmanage_and_uncordon_its_own_node() {
    on_site(async |site| {
        let name = "kubelet-3";
        let labels = json!({
            (names::UPDATER_INTERFACE_LABEL): names::UPDATER_INTERFACE_VERSION,
            (names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL): "x",
        });
        fenced(site, name, json!({ "labels": labels }), json!({"unschedulable": true})).await;
        let nodes = kubelet(site, name).await;
        for possible in [
            json!({"metadata": {"labels": {names::UPDATER_INTERFACE_LABEL: null}}}),
            json!({"metadata": {"labels": {names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL: null}}}),
            json!({"spec": {"unschedulable": null}}),
        ] {
            assert_eq!(by("kubelet").patch(&nodes, name, &possible).await, Ok(()), "{possible}");
        }
        let restricted = json!({"metadata": {"labels": {"node-restriction.kubernetes.io/pool": "a"}}});
        assert!(by("kubelet").patch(&nodes, name, &restricted).await.is_err());
        remove(site, name).await;
    });
}
