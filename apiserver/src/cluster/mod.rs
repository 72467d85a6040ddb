//! Reads and writes of the Kubernetes API, each with a deadline, none from a cache.

mod error;
mod pods;

use std::time::Duration;

use api::BottlerocketShadow;
use api::event::{Event, NAMESPACE};
use api::names::{APISERVER_FIELD_MANAGER, TOKEN_AUDIENCE, shadow_name};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewStatus};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

pub use error::ClusterError;

use crate::token::Token;

/// How long any one request may take.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// The Kubernetes API, as far as this program uses it.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
    nodes: Api<Node>,
    shadows: Api<BottlerocketShadow>,
    pods: Api<Pod>,
}

/// One request within its deadline.
async fn bounded<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, ClusterError> {
    match timeout(DEADLINE, request).await {
        Ok(answer) => answer.map_err(ClusterError::from),
        Err(_) => Err(ClusterError::Unavailable("kubernetes does not answer".to_owned())),
    }
}

fn present<T>(answer: Result<T, ClusterError>) -> Result<Option<T>, ClusterError> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(ClusterError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn posting() -> PostParams {
    PostParams { field_manager: Some(APISERVER_FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

fn patching() -> PatchParams {
    PatchParams { field_manager: Some(APISERVER_FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

impl Cluster {
    /// The cluster behind `client`; shadows and agents are in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            nodes: Api::all(client.clone()),
            shadows: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
            namespace: namespace.to_owned(),
            client,
        }
    }

    /// Has a token reviewed.
    ///
    /// # Errors
    /// [`ClusterError::Unavailable`] when there is no review, which says nothing about the token.
    pub async fn review(&self, token: &Token) -> Result<TokenReviewStatus, ClusterError> {
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "metadata": {},
            "spec": { "token": token.reveal(), "audiences": [TOKEN_AUDIENCE] },
        });
        let request = http::Request::post("/apis/authentication.k8s.io/v1/tokenreviews?")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes());
        let request = request.map_err(|error| ClusterError::Unavailable(format!("kubernetes: {error}")))?;
        // Not through `Api`: that logs the whole answer, with the token in it, when it cannot be read.
        let text = bounded(self.client.request_text(request)).await?;
        let unreadable = || ClusterError::Unavailable("kubernetes: the token review cannot be read".to_owned());
        let review: TokenReview = serde_json::from_str(&text).map_err(|_| unreadable())?;
        review.status.ok_or_else(unreadable)
    }

    /// A pod in our namespace.
    ///
    /// # Errors
    /// When it cannot be known.
    pub async fn pod(&self, name: &str) -> Result<Option<Pod>, ClusterError> {
        present(bounded(self.pods.get(name)).await)
    }

    /// The uid of a Node.
    ///
    /// # Errors
    /// When it cannot be known.
    pub async fn node_uid(&self, name: &str) -> Result<Option<String>, ClusterError> {
        let found = present(bounded(self.nodes.get_metadata(name)).await)?;
        Ok(found.and_then(|node| node.metadata.uid))
    }

    /// A Node.
    ///
    /// # Errors
    /// When there is none, or it cannot be had.
    pub async fn node(&self, name: &str) -> Result<Node, ClusterError> {
        bounded(self.nodes.get(name)).await
    }

    /// Writes a Node; answers with what it is then.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] when the patch names a resourceVersion that is no longer the Node's.
    pub async fn patch_node(&self, name: &str, patch: &Value) -> Result<Node, ClusterError> {
        bounded(self.nodes.patch(name, &patching(), &Patch::Merge(patch))).await
    }

    /// A node's shadow.
    ///
    /// # Errors
    /// When it cannot be known.
    pub async fn shadow(&self, node: &str) -> Result<Option<BottlerocketShadow>, ClusterError> {
        present(bounded(self.shadows.get(&shadow_name(node))).await)
    }

    /// Creates a shadow.
    ///
    /// # Errors
    /// [`ClusterError::AlreadyExists`] when there is one.
    pub async fn create_shadow(&self, shadow: &BottlerocketShadow) -> Result<BottlerocketShadow, ClusterError> {
        bounded(self.shadows.create(&posting(), shadow)).await
    }

    /// Writes the status of a node's shadow.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] when the patch names a resourceVersion that is no longer the shadow's.
    pub async fn patch_status(&self, node: &str, patch: &Value) -> Result<BottlerocketShadow, ClusterError> {
        let name = shadow_name(node);
        bounded(self.shadows.patch_status(&name, &patching(), &Patch::Merge(patch))).await
    }

    /// Writes an Event.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn create_event(&self, event: Event) -> Result<(), ClusterError> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), NAMESPACE);
        bounded(events.create(&posting(), &event)).await.map(drop)
    }

    /// The namespace of the operator.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}
