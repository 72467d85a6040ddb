//! The fence around who manages which field of a Node.

use std::collections::{BTreeMap, BTreeSet};

use api::names;
use e2e::controlplane::wait::eventually;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use serde_json::{Value, json};

use crate::site::{PATIENCE, Site, on_site};
use crate::writers::{administrator, apiserver, by, fenced, otherwise, patch, remove};

const LB: &str = names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL;
const RECORD: &str = names::DISRUPTION_RECORD_ANNOTATION;

/// The entries of a Node's managedFields.
pub(crate) async fn entries(site: &Site, name: &str) -> Vec<Value> {
    let node = administrator(site).get_metadata(name).await.unwrap();
    node.metadata.managed_fields.unwrap_or_default().iter().map(|entry| serde_json::to_value(entry).unwrap()).collect()
}

/// The fields that each manager has.
pub(crate) async fn fields(site: &Site, name: &str) -> BTreeMap<String, Value> {
    let entries = entries(site, name).await.into_iter();
    entries.map(|entry| (entry["manager"].as_str().unwrap().to_owned(), entry["fieldsV1"].clone())).collect()
}

/// A Node that somebody applies, and that somebody else has cordoned, excluded and given a record.
async fn managed(site: &Site, name: &str) {
    fenced(site, name, json!({"labels": {"zone": "a"}}), json!({})).await;
    let all = administrator(site);
    let applied = json!({
        "metadata": {"labels": {"team": "storage"}, "annotations": {"owner": "x"}},
        "spec": {"taints": [{"key": "dedicated", "effect": "NoSchedule"}]},
    });
    by("gitops").apply(&all, name, applied).await.unwrap();
    let cordoned = json!({
        "metadata": {"labels": {LB: "x", "rack": "7"}, "annotations": {RECORD: "{}", "note": "x"}},
        "spec": {"unschedulable": true},
    });
    by("kubectl-edit").patch(&all, name, &cordoned).await.unwrap();
    by("kubectl-cordon").patch(&all, name, &json!({"spec": {"unschedulable": null}})).await.unwrap();
    by("kubectl-cordon").patch(&all, name, &json!({"spec": {"unschedulable": true}})).await.unwrap();
    // Which Kubernetes answers with a taint, and takes over the taints.
    eventually("the taint of a cordoned Node", PATIENCE, async || {
        let taints = all.get(name).await?.spec.and_then(|spec| spec.taints).unwrap_or_default();
        Ok(taints.iter().any(|taint| taint.key == "node.kubernetes.io/unschedulable").then_some(()))
    })
    .await
    .unwrap();
}

#[test]
fn what_the_api_server_takes_from_others_for_a_write_of_the_apiserver_is_no_fault_of_it() {
    on_site(async |site| {
        let name = "shared";
        managed(site, name).await;
        let before = fields(site, name).await;
        assert!(before["kubectl-edit"]["f:metadata"]["f:labels"].get(format!("f:{LB}")).is_some(), "{before:?}");
        assert_eq!(before["kubectl-cordon"], json!({"f:spec": {"f:unschedulable": {}}}));
        let nodes = apiserver(site).await;
        let write = json!({
            "metadata": {"labels": { LB: null }, "annotations": {RECORD: "{\"a\":1}"}},
            "spec": {"unschedulable": false},
        });
        assert_eq!(patch(&nodes, name, &write).await, Ok(()));
        let after = fields(site, name).await;
        assert_eq!(after["gitops"], before["gitops"]);
        assert_eq!(after["kubectl-create"], before["kubectl-create"]);
        let kept = &after["kubectl-edit"]["f:metadata"];
        assert!(kept["f:labels"].get(format!("f:{LB}")).is_none(), "{kept}");
        assert!(kept["f:annotations"].get(format!("f:{RECORD}")).is_none(), "{kept}");
        assert_eq!((&kept["f:labels"]["f:rack"], &kept["f:annotations"]["f:note"]), (&json!({}), &json!({})));
        assert!(!after.contains_key("kubectl-cordon"), "{after:?}");
        // The second time it has an entry, which grows and shrinks.
        for write in [json!({"spec": {"unschedulable": true}}), json!({"metadata": {"annotations": {RECORD: null}}})] {
            assert_eq!(patch(&nodes, name, &write).await, Ok(()), "{write}");
        }
        remove(site, name).await;
    });
}

#[test]
fn the_last_annotation_of_a_node_may_be_the_apiservers() {
    on_site(async |site| {
        let name = "bare";
        fenced(site, name, json!({}), json!({"providerID": "x"})).await;
        let labelled = json!({"metadata": {"labels": {LB: "x"}, "annotations": {RECORD: "{}"}}});
        by("kubectl-edit").patch(&administrator(site), name, &labelled).await.unwrap();
        let bare = json!({"metadata": {"labels": {LB: null}, "annotations": {RECORD: null}}});
        assert_eq!(patch(&apiserver(site).await, name, &bare).await, Ok(()));
        remove(site, name).await;
    });
}

/// A write that the apiserver may make, with entries that somebody tampered with. A write that changes nothing but the times of
/// entries would come to nothing.
pub(crate) fn tampered(entries: &[Value], manager: &str, tamper: impl FnOnce(&mut Value)) -> Value {
    let mut entries = entries.to_vec();
    tamper(entries.iter_mut().find(|entry| entry["manager"] == manager).unwrap());
    json!({"metadata": {"managedFields": entries, "annotations": {RECORD: "{\"a\":1}"}}})
}

#[test]
fn the_apiserver_may_not_speak_for_other_managers() {
    on_site(async |site| {
        let name = "managed";
        managed(site, name).await;
        let before = entries(site, name).await;
        let without =
            |manager: &str| before.iter().filter(|entry| entry["manager"] != manager).cloned().collect::<Vec<_>>();
        let mut with_another = before.clone();
        with_another.push(json!({
            "manager": "other-gitops", "operation": "Apply", "apiVersion": "v1", "time": "2026-11-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:taints": {}}},
        }));
        let list = |entries: Value| json!({"metadata": {"managedFields": entries}});
        let taints = |entry: &mut Value| entry["fieldsV1"]["f:spec"]["f:taints"] = json!({});
        let label = |entry: &mut Value| entry["fieldsV1"]["f:metadata"]["f:labels"]["f:zone"] = json!({});
        let unlabelled = |entry: &mut Value| {
            entry["fieldsV1"]["f:metadata"]["f:labels"].as_object_mut().unwrap().remove("f:team");
        };
        let status = |entry: &mut Value| entry["fieldsV1"]["f:status"] = json!({"f:phase": {}});
        let writes = [
            (list(json!([{}])), ["managedFields", "gitops"]),
            (list(json!([])), ["managedFields", "gitops"]),
            (list(json!(without("gitops"))), ["managedFields", "gitops"]),
            (list(json!(without("kubectl-edit"))), ["managedFields", "kubectl-edit"]),
            (list(json!(with_another)), ["managedFields", "other-gitops"]),
            (tampered(&before, "gitops", unlabelled), ["managedFields", "gitops"]),
            (tampered(&before, "gitops", label), ["managedFields", "gitops"]),
            (tampered(&before, "kubectl-edit", taints), ["managedFields", "kubectl-edit"]),
            (tampered(&before, "kubectl-edit", status), ["managedFields", "kubectl-edit"]),
            (tampered(&before, "gitops", |entry| entry["operation"] = "Update".into()), ["managedFields", "gitops"]),
            (
                tampered(&before, "gitops", |entry| entry["time"] = "2001-01-01T00:00:00Z".into()),
                ["managedFields", "gitops"],
            ),
            (tampered(&before, "gitops", |entry| entry["manager"] = "flux".into()), ["managedFields", "flux"]),
            (tampered(&before, "gitops", |entry| entry["subresource"] = "status".into()), ["managedFields", "gitops"]),
        ];
        let writes = writes.each_ref().map(|(write, words)| (write.clone(), words.as_slice()));
        let nodes = apiserver(site).await;
        let otherwise = otherwise(&nodes, name, &writes).await;
        assert!(otherwise.is_empty(), "{otherwise:#?}");
        under_another_name(&nodes, name).await;
        let managers =
            |entries: &[Value]| entries.iter().map(|entry| entry["manager"].to_string()).collect::<BTreeSet<_>>();
        assert_eq!(managers(&entries(site, name).await), managers(&before));
        remove(site, name).await;
    });
}

/// By no name but its own, and never by server-side apply.
async fn under_another_name(nodes: &Api<Node>, name: &str) {
    let cordon = json!({"metadata": {"annotations": {RECORD: "{\"b\":1}"}}});
    let as_another = by("gitops").patch(nodes, name, &cordon).await;
    assert!(as_another.clone().is_err_and(|refusal| refusal.contains("managedFields")), "{as_another:?}");
    for manager in ["other", names::APISERVER_FIELD_MANAGER] {
        let applied = by(manager).apply(nodes, name, cordon.clone()).await;
        assert!(applied.clone().is_err_and(|refusal| refusal.contains("managedFields")), "{manager}: {applied:?}");
    }
    // What `gitops` no longer applies would go with this, if nothing else held it.
    assert!(by("gitops").apply(nodes, name, cordon).await.is_err());
}
