//! The fence around the apiserver's power over Nodes.

use api::names;
use e2e::controlplane::wait::eventually;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use crate::site::{PATIENCE, Site, on_site};

async fn as_apiserver(site: &Site) -> Api<Node> {
    let account = names::APISERVER_SERVICE_ACCOUNT;
    let path = site.plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, account).await.unwrap();
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Api::all(Client::try_from(config).unwrap())
}

async fn patch(nodes: &Api<Node>, patch: &Value) -> Result<(), String> {
    match nodes.patch("fenced", &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_apiserver_may_change_nothing_else_of_a_node() {
    on_site(async |site| {
        let all: Api<Node> = Api::all(site.plane.client());
        let node = json!({
            "metadata": {
                "name": "fenced", "labels": {"zone": "a"},
                "annotations": {"theirs": "x", names::HOLD_ANNOTATION: "disk"},
            },
            "spec": {"providerID": "x", "taints": [{"key": "theirs", "effect": "NoSchedule"}]},
        });
        all.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
        let nodes = as_apiserver(site).await;
        // The policy takes effect a moment after it was stored.
        let forged = json!({"metadata": {"labels": {"zone": "b"}}});
        eventually("the fence to stand", PATIENCE, async || {
            let refused = patch(&nodes, &forged).await;
            patch(&all, &json!({"metadata": {"labels": {"zone": "a"}}})).await.unwrap();
            Ok(refused.is_err().then_some(()))
        })
        .await
        .unwrap();
        let lb = names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL;
        for allowed in [
            json!({"spec": {"unschedulable": true}, "metadata": {"annotations": {names::MARKS_ANNOTATION: "{}"}}}),
            json!({"metadata": {"labels": { lb: "x" }}}),
            json!({"metadata": {"labels": { lb: null }, "annotations": {names::MARKS_ANNOTATION: null}}}),
            json!({"spec": {"unschedulable": null}}),
        ] {
            assert_eq!(patch(&nodes, &allowed).await, Ok(()), "{allowed}");
        }
        for (forbidden, what) in [
            (json!({"metadata": {"labels": {"zone": "b"}}}), "change no label"),
            (json!({"metadata": {"labels": {"zone": null}}}), "change no label"),
            (json!({"metadata": {"labels": {"more": "x"}}}), "change no label"),
            (json!({"metadata": {"annotations": {"theirs": "y"}}}), "change no annotation"),
            (json!({"metadata": {"annotations": {"theirs": null}}}), "change no annotation"),
            (json!({"metadata": {"annotations": {names::HOLD_ANNOTATION: null}}}), "change no annotation"),
            (json!({"metadata": {"annotations": {names::UPDATE_NOW_ANNOTATION: "1.0.0"}}}), "change no annotation"),
            (json!({"spec": {"taints": null}}), "change nothing but unschedulable"),
            (json!({"spec": {"taints": [{"key": "x", "effect": "NoExecute"}]}}), "change nothing but unschedulable"),
            (
                json!({"spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]}}),
                "change nothing but unschedulable",
            ),
            (json!({"metadata": {"finalizers": ["a.b/c"]}}), "change no finalizer"),
        ] {
            let refused = patch(&nodes, &forbidden).await.unwrap_err();
            assert!(refused.contains(what), "{forbidden}: {refused}");
        }
        // Everybody else is as free as before.
        assert_eq!(patch(&all, &json!({"metadata": {"labels": {"more": "x"}}})).await, Ok(()));
        all.delete("fenced", &kube::api::DeleteParams::default()).await.unwrap();
    });
}
