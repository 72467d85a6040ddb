//! The pods of a node: listed, evicted, deleted.

use api::names::COMPONENT_LABEL;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use kube::core::Status;
use serde_json::Value;
use tokio::time::timeout;

use super::{Cluster, ClusterError, DEADLINE, bounded, posting};

/// Pods in one page of a list.
const PAGE: u32 = 250;
/// Most pages of one list; a node has some hundred pods at most.
const MAX_PAGES: usize = 40;

impl Cluster {
    /// Every pod on a node.
    ///
    /// # Errors
    /// When they cannot be known.
    pub async fn pods_on(&self, node: &str) -> Result<Vec<Pod>, ClusterError> {
        let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
        pages(&Api::all(self.client.clone()), on_node).await
    }

    /// The operator's own pods.
    ///
    /// # Errors
    /// When they cannot be known.
    pub async fn own_pods(&self) -> Result<Vec<Pod>, ClusterError> {
        let labelled = ListParams::default().labels(COMPONENT_LABEL);
        pages(&self.pods, labelled).await
    }

    /// Asks for the eviction of the pod with this uid. `Err` holds the API's own answer, or `None` when there was none.
    ///
    /// # Errors
    /// When the API did not accept it.
    pub async fn evict(&self, namespace: &str, name: &str, uid: &str) -> Result<(), Option<Box<Status>>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        // Not `Api::evict`: that sends the precondition under a name which the API server does not know.
        let eviction = Eviction {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            delete_options: Some(DeleteOptions {
                preconditions: Some(Preconditions { uid: Some(uid.to_owned()), ..Preconditions::default() }),
                ..DeleteOptions::default()
            }),
        };
        let post = posting();
        let request = pods.create_subresource::<_, Value>("eviction", name, &post, &eviction);
        answered(request).await
    }

    /// Deletes the pod with this uid, with its own grace, past every budget. Errors as [`Self::evict`].
    ///
    /// # Errors
    /// When the API did not accept it.
    pub async fn delete_pod(&self, namespace: &str, name: &str, uid: &str) -> Result<(), Option<Box<Status>>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let this_one = kube::api::Preconditions { uid: Some(uid.to_owned()), ..kube::api::Preconditions::default() };
        let how = DeleteParams::default().preconditions(this_one);
        answered(async { pods.delete(name, &how).await.map(drop) }).await
    }
}

async fn answered<T>(request: impl Future<Output = kube::Result<T>>) -> Result<(), Option<Box<Status>>> {
    match timeout(DEADLINE, request).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) => Err(Some(status)),
        Ok(Err(_)) | Err(_) => Err(None),
    }
}

/// A whole list, page by page.
async fn pages(pods: &Api<Pod>, selection: ListParams) -> Result<Vec<Pod>, ClusterError> {
    let mut all = Vec::new();
    let mut params = selection.limit(PAGE);
    for _ in 0..MAX_PAGES {
        let page = bounded(pods.list(&params)).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(next) => params.continue_token = Some(next),
            None => return Ok(all),
        }
    }
    Err(ClusterError::Unavailable("kubernetes: the list of pods does not end".to_owned()))
}
