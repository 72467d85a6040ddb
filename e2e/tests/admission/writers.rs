//! Those who write Nodes: the operator's apiserver and kubelets, each by credentials of its own, beside administrators.

use std::path::PathBuf;

use api::names;
use e2e::controlplane::wait::eventually;
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use serde_json::{Value, json};

use crate::site::{PATIENCE, Site};

/// The Nodes, as an administrator writes them.
pub(crate) fn administrator(site: &Site) -> Api<Node> {
    Api::all(site.plane.client())
}

/// The Nodes, as the operator's apiserver writes them.
pub(crate) async fn apiserver(site: &Site) -> Api<Node> {
    let account = names::APISERVER_SERVICE_ACCOUNT;
    nodes_with(site.plane.service_account_kubeconfig(names::DEFAULT_NAMESPACE, account).await.unwrap()).await
}

/// The Nodes, as the kubelet of one writes them.
pub(crate) async fn kubelet(site: &Site, node: &str) -> Api<Node> {
    nodes_with(site.plane.kubelet_kubeconfig(node).unwrap()).await
}

async fn nodes_with(kubeconfig: PathBuf) -> Api<Node> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Api::all(Client::try_from(config).unwrap())
}

/// Creates a Node with this metadata beside its name, and this spec; returns once the fences stand around it, and Kubernetes'
/// own programs have written on it what they write on a new Node.
pub(crate) async fn fenced(site: &Site, name: &str, mut metadata: Value, spec: Value) {
    metadata["name"] = name.into();
    let node = serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
    administrator(site).create(&by("kubectl-create").into_post(), &node).await.unwrap();
    let (apiserver, kubelet) = (apiserver(site).await, kubelet(site, name).await);
    // A policy takes effect a moment after it was stored.
    eventually("the fences to stand", PATIENCE, async || {
        let dry = PatchParams { dry_run: true, ..PatchParams::default() };
        let forged = json!({"metadata": {"labels": {"probe": "x"}, "annotations": {names::HOLD_ANNOTATION: "x"}}});
        let refused = async |nodes: &Api<Node>| said(nodes.patch(name, &dry, &Patch::Merge(&forged)).await).is_err();
        Ok((refused(&apiserver).await && refused(&kubelet).await).then_some(()))
    })
    .await
    .unwrap();
    eventually("the Node to be left alone", PATIENCE, async || {
        let node = administrator(site).get(name).await?;
        Ok(is_settled(&node).then_some(()))
    })
    .await
    .unwrap();
}

/// Whether it is Ready, without the taint of one that is not yet, and annotated by the controller that annotates every Node.
fn is_settled(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let is_new = taints.into_iter().any(|taint| taint.key == "node.kubernetes.io/not-ready");
    is_ready && !is_new && node.annotations().contains_key("node.alpha.kubernetes.io/ttl")
}

/// Takes a Node away again.
pub(crate) async fn remove(site: &Site, name: &str) {
    administrator(site).delete(name, &DeleteParams::default()).await.unwrap();
}

/// Writes under the name of a field manager.
#[derive(Clone, Copy)]
pub(crate) struct By<'a>(&'a str);

/// See [`By`].
pub(crate) const fn by(manager: &str) -> By<'_> {
    By(manager)
}

impl By<'_> {
    pub(crate) fn into_post(self) -> PostParams {
        PostParams { field_manager: Some(self.0.to_owned()), ..PostParams::default() }
    }

    /// Writes part of a Node; what the refusal says where it is refused.
    pub(crate) async fn patch(self, nodes: &Api<Node>, name: &str, patch: &Value) -> Result<(), String> {
        let parameters = PatchParams { field_manager: Some(self.0.to_owned()), ..PatchParams::default() };
        said(nodes.patch(name, &parameters, &Patch::Merge(patch)).await)
    }

    /// Applies a Node, taking over what others have.
    pub(crate) async fn apply(self, nodes: &Api<Node>, name: &str, mut node: Value) -> Result<(), String> {
        node["apiVersion"] = "v1".into();
        node["kind"] = "Node".into();
        node["metadata"]["name"] = name.into();
        said(nodes.patch(name, &PatchParams::apply(self.0).force(), &Patch::Apply(&node)).await)
    }
}

/// Writes part of a Node as the operator's apiserver does.
pub(crate) async fn patch(nodes: &Api<Node>, name: &str, patch: &Value) -> Result<(), String> {
    by(names::APISERVER_FIELD_MANAGER).patch(nodes, name, patch).await
}

/// What a refusal says.
pub(crate) fn said<T>(answer: kube::Result<T>) -> Result<(), String> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(error) => panic!("{error}"),
    }
}

/// Of writes and the words that their refusals have to hold, those that went otherwise. None are stored.
pub(crate) async fn otherwise(nodes: &Api<Node>, name: &str, writes: &[(Value, &[&str])]) -> Vec<String> {
    let dry = PatchParams {
        dry_run: true,
        field_manager: Some(names::APISERVER_FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let mut otherwise = Vec::new();
    for (write, words) in writes {
        match said(nodes.patch(name, &dry, &Patch::Merge(write)).await) {
            Err(refusal) if words.iter().all(|word| refusal.contains(word)) => {}
            answer => otherwise.push(format!("{write}: {answer:?}")),
        }
    }
    otherwise
}
