//! Keys that other admission adds to a Node while the apiserver writes it.

use api::names;
use e2e::controlplane::wait::eventually;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::site::{PATIENCE, Site, on_site};
use crate::writers::{apiserver, fenced, patch, remove};

const BINDING: &str = "brupop-apiserver-nodes";
const LIST: &str = "brupop.bottlerocket.aws/tolerated-node-keys";
const LABEL: &str = "example.com/team";
const ANNOTATION: &str = "example.com/cost-centre";
const NAME: &str = "mutated";
/// Entries of a list that are no key, or another one's.
const NO_KEYS: [&str; 8] =
    ["*", "example.com/*", "example.com/", "example.com", "team", "example.com/teams", ".*", "[example.com/team]"];

/// Somebody's admission that labels and annotates the Node of this test wherever that is missing.
fn others() -> String {
    let missing = format!("object.metadata.name == '{NAME}' && !('{LABEL}' in object.metadata.?labels.orValue({{}}))");
    let adds = format!(
        "Object{{metadata: Object.metadata{{labels: {{'{LABEL}': 'platform'}}, annotations: {{'{ANNOTATION}': '7'}}}}}}"
    );
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": "others"},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["nodes"]},
            ]},
            "failurePolicy": "Ignore", "reinvocationPolicy": "Never",
            "matchConditions": [{"name": "missing", "expression": missing}],
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": adds}}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": "others"}, "spec": {"policyName": "others"},
    });
    format!("{policy}\n---\n{binding}")
}

/// Lists the keys for the apiserver's fence.
async fn list(site: &Site, keys: Option<&str>) {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(site.plane.client());
    let listed = json!({"metadata": {"annotations": { LIST: keys }}});
    bindings.patch(BINDING, &PatchParams::default(), &Patch::Merge(listed)).await.unwrap();
}

/// Waits until a write of the apiserver comes to this, since what an administrator changes takes effect a moment later.
async fn comes_to(nodes: &Api<Node>, write: &Value, expected: impl Fn(&Result<(), String>) -> bool) {
    eventually("the write to come to it", PATIENCE, async || {
        let answer = patch(nodes, NAME, write).await;
        anyhow::ensure!(expected(&answer), "{write}: {answer:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[test]
fn what_other_admission_adds_is_refused_by_name_until_an_administrator_lists_it() {
    on_site(async |site| {
        fenced(site, NAME, json!({}), json!({})).await;
        site.plane.apply(&others()).await.unwrap();
        let nodes = apiserver(site).await;
        let cordon = json!({"spec": {"unschedulable": true}});
        let names = |key: &'static str| {
            move |answer: &Result<(), String>| {
                answer
                    .as_ref()
                    .is_err_and(|refusal| refusal.contains(&format!("changes {key};")) && refusal.contains(LIST))
            }
        };
        comes_to(&nodes, &cordon, names(LABEL)).await;
        for (n, no_key) in NO_KEYS.into_iter().enumerate() {
            let marker = format!("example.com/marker-{n}");
            list(site, Some(&format!("{no_key},{marker}"))).await;
            // With the marker's key tolerated, and nothing else.
            let marked = json!({"metadata": {"labels": { &marker: "x" }}});
            let only_theirs = |answer: &Result<(), String>| {
                names(LABEL)(answer) && answer.as_ref().is_err_and(|refusal| !refusal.contains(&marker))
            };
            comes_to(&nodes, &marked, only_theirs).await;
        }
        list(site, Some(LABEL)).await;
        comes_to(&nodes, &cordon, names(ANNOTATION)).await;
        list(site, Some(&format!("example.com/other,\n {LABEL} ,{ANNOTATION}"))).await;
        comes_to(&nodes, &cordon, Result::is_ok).await;
        let node = nodes.get(NAME).await.unwrap();
        assert_eq!(node.metadata.labels.unwrap()[LABEL], "platform");

        never_tolerated(site, &nodes).await;
        for (n, nothing) in [Some(""), Some(" , ,"), None].into_iter().enumerate() {
            let relabel = json!({"metadata": {"labels": {LABEL: format!("other-{n}")}}});
            list(site, Some(LABEL)).await;
            comes_to(&nodes, &relabel, Result::is_ok).await;
            list(site, nothing).await;
            let relabel = json!({"metadata": {"labels": {LABEL: "again"}}});
            comes_to(&nodes, &relabel, names(LABEL)).await;
        }
        site.plane
            .kubectl(["delete", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", "others"])
            .await
            .unwrap();
        remove(site, NAME).await;
    });
}

/// Keys by which nodes are chosen or kept apart, and what people tell the operator.
async fn never_tolerated(site: &Site, nodes: &Api<Node>) {
    let labels = [
        "node-restriction.kubernetes.io/team",
        "sub.node-restriction.kubernetes.io/team",
        names::UPDATER_INTERFACE_LABEL,
        "brupop.bottlerocket.aws/hold",
    ];
    let annotations = [
        names::HOLD_ANNOTATION,
        names::UPDATE_NOW_ANNOTATION,
        names::IGNORE_WINDOW_ANNOTATION,
        names::FAILURE_ACKNOWLEDGED_ANNOTATION,
        "brupop.bottlerocket.aws/paused",
    ];
    // The last one shows that the list is in force.
    let listed = [labels.as_slice(), &annotations, &["example.com/listed"]].concat();
    list(site, Some(&listed.join(","))).await;
    comes_to(nodes, &json!({"metadata": {"labels": {"example.com/listed": "x"}}}), Result::is_ok).await;
    for (kind, keys) in [("labels", labels.as_slice()), ("annotations", &annotations)] {
        for key in keys {
            let write = json!({"metadata": {kind: {*key: "x"}}});
            let refusal = patch(nodes, NAME, &write).await.unwrap_err();
            assert!(refusal.contains(key), "{refusal}");
        }
    }
}
