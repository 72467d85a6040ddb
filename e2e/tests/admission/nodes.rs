//! The fence around the apiserver's power over Nodes.

use api::names;
use e2e::controlplane::wait::eventually;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::site::{PATIENCE, on_site};
use crate::writers::{administrator, apiserver, by, fenced, otherwise, patch, remove, said};

const LB: &str = names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL;
const RECORD: &str = names::DISRUPTION_RECORD_ANNOTATION;
const LOCK: &str = names::VERSION_LOCK_BEFORE_ANNOTATION;
const HOLD: &str = names::HOLD_ANNOTATION;
const NOW: &str = names::UPDATE_NOW_ANNOTATION;
const WINDOW: &str = names::IGNORE_WINDOW_ANNOTATION;
const ACKNOWLEDGED: &str = names::FAILURE_ACKNOWLEDGED_ANNOTATION;

#[test]
fn the_apiserver_may_write_its_records_the_cordon_and_the_exclusion_label() {
    on_site(async |site| {
        let (name, all) = ("allowed", administrator(site));
        fenced(site, name, json!({"labels": {"zone": "a"}}), json!({})).await;
        let nodes = apiserver(site).await;
        let read = nodes.get_metadata(name).await.unwrap().metadata;
        let (uid, version) = (read.uid.unwrap(), read.resource_version.unwrap());
        let conditional = json!({"uid": uid, "resourceVersion": version, "annotations": {LOCK: "{}"}});
        for allowed in [
            json!({"metadata": conditional}),
            json!({"metadata": {"annotations": {RECORD: "{}"}, "labels": {LB: "x"}}}),
            json!({"metadata": {"annotations": {RECORD: "{\"a\":1}"}}, "spec": {"unschedulable": true}}),
            json!({"metadata": {"annotations": {RECORD: null}, "labels": {LB: null}}, "spec": {"unschedulable": null}}),
            json!({"metadata": {"annotations": {LOCK: null}}}),
            json!({}),
        ] {
            assert_eq!(patch(&nodes, name, &allowed).await, Ok(()), "{allowed}");
        }
        // As the apiserver of the original operator does, which is still there for a moment when the manifest is applied.
        let unnamed = Patch::Merge(json!({"spec": {"unschedulable": true}}));
        assert_eq!(said(nodes.patch(name, &PatchParams::default(), &unnamed).await), Ok(()));
        // Everybody else is as free as before.
        let free =
            json!({"metadata": {"labels": {"more": "x"}, "annotations": {HOLD: "disk"}, "finalizers": ["a.b/c"]}});
        assert_eq!(by("kubectl-edit").patch(&all, name, &free).await, Ok(()));
        assert_eq!(by("kubectl-edit").patch(&all, name, &json!({"metadata": {"finalizers": null}})).await, Ok(()));
        remove(site, name).await;
    });
}

#[test]
fn the_apiserver_may_change_nothing_else_of_a_node_and_is_told_what() {
    on_site(async |site| {
        let name = "fenced";
        let metadata = json!({"labels": {"zone": "a"}, "annotations": {"theirs": "x", HOLD: "disk"}});
        let spec = json!({"providerID": "x", "taints": [{"key": "theirs", "effect": "NoSchedule"}]});
        fenced(site, name, metadata, spec).await;
        let owner = json!({"apiVersion": "v1", "kind": "Node", "name": "x", "uid": "y"});
        let cidr = json!({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]});
        let writes = [
            (json!({"metadata": {"labels": {"zone": "b"}}}), ["no label", "changes zone;"]),
            (json!({"metadata": {"labels": {"zone": null}}}), ["no label", "changes zone;"]),
            (json!({"metadata": {"labels": {"more": "x"}}}), ["no label", "changes more;"]),
            (json!({"metadata": {"labels": {LB: "x", "more": "x"}}}), ["no label", "changes more;"]),
            (json!({"metadata": {"labels": {RECORD: "x"}}}), ["no label", RECORD]),
            (json!({"metadata": {"annotations": {"theirs": "y"}}}), ["no annotation", "changes theirs;"]),
            (json!({"metadata": {"annotations": {"theirs": null}}}), ["no annotation", "changes theirs;"]),
            (json!({"metadata": {"annotations": {LB: "x"}}}), ["no annotation", LB]),
            (json!({"metadata": {"annotations": {HOLD: null}}}), ["no annotation", HOLD]),
            (json!({"metadata": {"annotations": {HOLD: "other"}}}), ["no annotation", HOLD]),
            (json!({"metadata": {"annotations": {NOW: "1.0.0"}}}), ["no annotation", NOW]),
            (json!({"metadata": {"annotations": {WINDOW: "1.0.0"}}}), ["no annotation", WINDOW]),
            (json!({"metadata": {"annotations": {ACKNOWLEDGED: "1.0.0"}}}), ["no annotation", ACKNOWLEDGED]),
            (
                json!({"metadata": {"annotations": {"brupop.bottlerocket.aws/paused": "x"}}}),
                ["no annotation", "brupop.bottlerocket.aws/paused"],
            ),
            (json!({"spec": {"taints": null}}), ["nothing but unschedulable", "changes taints"]),
            (
                json!({"spec": {"unschedulable": true, "taints": [{"key": "x", "effect": "NoExecute"}]}}),
                ["nothing but unschedulable", "changes taints"],
            ),
            (json!({ "spec": cidr }), ["nothing but unschedulable", "podCIDR"]),
            (json!({"metadata": {"finalizers": ["a.b/c"]}}), ["nothing in a Node's metadata", "changes finalizers"]),
            (json!({"metadata": {"ownerReferences": [owner]}}), ["nothing in a Node's metadata", "ownerReferences"]),
            (json!({"metadata": {"generateName": "x-"}}), ["nothing in a Node's metadata", "changes generateName"]),
        ];
        let writes = writes.each_ref().map(|(write, words)| (write.clone(), words.as_slice()));
        let otherwise = otherwise(&apiserver(site).await, name, &writes).await;
        assert!(otherwise.is_empty(), "{otherwise:#?}");
        remove(site, name).await;
    });
}

#[test]
fn a_refusal_names_three_of_many_keys() {
    on_site(async |site| {
        let name = "many";
        fenced(site, name, json!({}), json!({})).await;
        let many: serde_json::Map<_, _> = (0..40).map(|n| (format!("example.com/key-{n}"), "x".into())).collect();
        let refusal = patch(&apiserver(site).await, name, &json!({"metadata": {"labels": many}})).await.unwrap_err();
        assert_eq!(refusal.matches("example.com/key-").count(), 3, "{refusal}");
        remove(site, name).await;
    });
}

/// What the fence does not look at, because nothing of it is ever stored.
#[test]
fn what_is_not_fenced_is_not_changed_either() {
    on_site(async |site| {
        let name = "unfenced";
        fenced(site, name, json!({}), json!({})).await;
        let nodes = apiserver(site).await;
        let before = nodes.get(name).await.unwrap();
        for unheard in [
            json!({"status": {"addresses": [{"type": "InternalIP", "address": "10.1.1.1"}]}}),
            json!({"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}}),
            json!({"metadata": {"generation": 7}}),
            json!({"metadata": {"selfLink": "/x"}}),
            json!({"metadata": {"namespace": "other"}}),
        ] {
            let answer = patch(&nodes, name, &unheard).await;
            let after = nodes.get(name).await.unwrap();
            assert_eq!(after.metadata, before.metadata, "{unheard}: {answer:?}");
            assert_eq!(after.status, before.status, "{unheard}: {answer:?}");
        }
        for refused in [
            json!({"metadata": {"deletionTimestamp": "2001-01-01T00:00:00Z"}}),
            json!({"metadata": {"deletionGracePeriodSeconds": 1}}),
            json!({"metadata": {"uid": "other"}}),
            json!({"metadata": {"name": "other"}}),
        ] {
            assert!(patch(&nodes, name, &refused).await.is_err(), "{refused}");
        }
        remove(site, name).await;
    });
}

/// As if roles gave it more one day.
#[test]
fn with_more_rights_the_apiserver_still_only_updates_nodes() {
    on_site(async |site| {
        let name = "entitled";
        fenced(site, name, json!({}), json!({})).await;
        let more = ["create", "clusterrole", "more", "--verb=create,delete,patch", "--resource=nodes,nodes/status"];
        site.plane.kubectl(more).await.unwrap();
        let account = format!("{}:{}", names::DEFAULT_NAMESPACE, names::APISERVER_SERVICE_ACCOUNT);
        let bind = ["create", "clusterrolebinding", "more", "--clusterrole=more", "--serviceaccount", &account];
        site.plane.kubectl(bind).await.unwrap();
        let nodes = apiserver(site).await;
        let fence = "may only update Nodes themselves";
        let created: Node = serde_json::from_value(json!({"metadata": {"name": "entitled-2"}})).unwrap();
        // The authorizer learns of a role a moment after it was stored.
        eventually("the rights", PATIENCE, async || {
            let answer = said(nodes.create(&PostParams::default(), &created).await);
            Ok(answer.is_err_and(|refusal| refusal.contains(fence)).then_some(()))
        })
        .await
        .unwrap();
        let deleted = said(nodes.delete(name, &DeleteParams::default()).await.map(|_| ()));
        assert!(deleted.unwrap_err().contains(fence));
        assert!(status(&nodes, name).await.unwrap_err().contains(fence));
        site.plane.kubectl(["delete", "clusterrole,clusterrolebinding", "more"]).await.unwrap();
        remove(site, name).await;
    });
}

async fn status(nodes: &Api<Node>, name: &str) -> Result<(), String> {
    let forged = json!({"status": {"addresses": [{"type": "InternalIP", "address": "10.1.1.1"}]}});
    said(nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(&forged)).await)
}
