//! The writes, each with a deadline, a field manager and its preconditions; and what their answers mean.

use std::time::Duration;

use api::shadow::{BottlerocketShadowSpec, Desired, FailureVerdict};
use api::{BottlerocketShadow, UpdatePolicy, UpdatePolicyStatus, names};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::Request;
use kube::{Api, Client, Error, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::timeout;

use crate::action::{Action, stored};
use crate::list::{List, ListError, list};
use crate::shadow_status::ShadowStatus;
use crate::watch::agents;

/// How long a write may take, here and on the server: after this no write of ours can still take effect.
pub(crate) const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// Why a write was not answered with the object.
#[derive(Debug, Error)]
pub(crate) enum WriteError {
    /// The object is not as it was read.
    #[error("the object has changed")]
    Conflict,
    /// The object is gone.
    #[error("the object is gone")]
    Gone,
    /// The API server refused it.
    #[error("the API server refused it: {0}")]
    Refused(String),
    /// Whether it took effect is not known.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
}

impl WriteError {
    /// The word in metrics.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Refused(_) => "refused",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(status) if status.is_conflict() => Self::Conflict,
            Error::Api(status) if status.is_not_found() => Self::Gone,
            Error::Api(status) if status.code < 500 => Self::Refused(status.message),
            // A server error or a lost connection says nothing about what was stored.
            other => Self::Unknown(other.to_string()),
        }
    }
}

/// Writes shadows and statuses, and reads past the caches.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    shadows: Api<BottlerocketShadow>,
    policies: Api<UpdatePolicy>,
    nodes: Api<Node>,
    pods: Api<Pod>,
}

impl Writer {
    pub(crate) fn new(client: &Client, namespace: &str) -> Self {
        Self {
            client: client.clone(),
            shadows: Api::namespaced(client.clone(), namespace),
            policies: Api::all(client.clone()),
            nodes: Api::all(client.clone()),
            pods: Api::namespaced(client.clone(), namespace),
        }
    }

    /// Replaces the spec of `action`'s shadow, if the shadow is as the plan saw it.
    pub(crate) async fn desired(&self, action: &Action) -> Result<BottlerocketShadow, WriteError> {
        self.replace_desired(&action.shadow, &action.uid, &action.resource_version, &action.desired).await
    }

    /// Replaces the spec of a shadow that is at `resource_version`.
    pub(crate) async fn replace_desired(
        &self,
        shadow: &str,
        uid: &str,
        resource_version: &str,
        desired: &Desired,
    ) -> Result<BottlerocketShadow, WriteError> {
        let body = json!({
            "metadata": {"uid": uid, "resourceVersion": resource_version},
            "spec": with_nulls(&stored(desired)),
        });
        let params = PatchParams { field_manager: Some(manager()), ..PatchParams::default() };
        let request = Request::new(self.shadows.resource_url()).patch(shadow, &params, &Patch::Merge(body));
        self.send(request.map_err(Error::BuildRequest)?).await
    }

    /// Replaces what the controller owns on a shadow's status, the conditions and the verdict if there is one, if the shadow is as the
    /// plan saw it.
    pub(crate) async fn conditions(&self, change: &ShadowStatus) -> Result<BottlerocketShadow, WriteError> {
        let shadow = change.shadow.as_str();
        let status = owned_status(&change.conditions, change.failed.as_ref());
        let mut body = apply::<BottlerocketShadow>(shadow, &change.uid, &status);
        body["metadata"]["resourceVersion"] = json!(change.resource_version);
        let params = PatchParams::apply(names::CONTROLLER_FIELD_MANAGER).force();
        let request = Request::new(self.shadows.resource_url());
        let request = request.patch_subresource("status", shadow, &params, &Patch::Apply(body));
        self.send(request.map_err(Error::BuildRequest)?).await
    }

    /// Replaces the status of a policy.
    pub(crate) async fn policy_status(
        &self,
        policy: &str,
        uid: &str,
        status: &UpdatePolicyStatus,
    ) -> Result<UpdatePolicy, WriteError> {
        self.apply_policy(policy, apply::<UpdatePolicy>(policy, uid, &json!(status))).await
    }

    /// Replaces the status of a policy, if the policy is as it was when `status` was decided on.
    pub(crate) async fn policy_verdict(
        &self,
        policy: &str,
        uid: &str,
        resource_version: &str,
        status: &UpdatePolicyStatus,
    ) -> Result<UpdatePolicy, WriteError> {
        let mut body = apply::<UpdatePolicy>(policy, uid, &json!(status));
        body["metadata"]["resourceVersion"] = json!(resource_version);
        self.apply_policy(policy, body).await
    }

    async fn apply_policy(&self, policy: &str, body: Value) -> Result<UpdatePolicy, WriteError> {
        let params = PatchParams::apply(names::CONTROLLER_FIELD_MANAGER).force();
        let request = Request::new(self.policies.resource_url());
        let request = request.patch_subresource("status", policy, &params, &Patch::Apply(body));
        self.send(request.map_err(Error::BuildRequest)?).await
    }

    /// Deletes `action`'s shadow, if it is as the plan saw it.
    pub(crate) async fn delete(&self, action: &Action) -> Result<(), WriteError> {
        let preconditions =
            Preconditions { uid: Some(action.uid.clone()), resource_version: Some(action.resource_version.clone()) };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let deleted = timeout(WRITE_DEADLINE, self.shadows.delete(&action.shadow, &params)).await;
        deleted.map_err(|_| too_late())?.map(|_| ()).map_err(WriteError::from)
    }

    /// Reads a shadow past the caches.
    pub(crate) async fn shadow(&self, name: &str) -> Result<BottlerocketShadow, WriteError> {
        timeout(WRITE_DEADLINE, self.shadows.get(name)).await.map_err(|_| too_late())?.map_err(WriteError::from)
    }

    /// Reads a Node past the caches.
    pub(crate) async fn node(&self, name: &str) -> Result<Node, WriteError> {
        timeout(WRITE_DEADLINE, self.nodes.get(name)).await.map_err(|_| too_late())?.map_err(WriteError::from)
    }

    /// Lists the shadows past the caches.
    pub(crate) async fn list_shadows(&self) -> Result<List, ListError> {
        list(&self.shadows, "").await
    }

    /// Lists the Nodes past the caches.
    pub(crate) async fn list_nodes(&self) -> Result<List, ListError> {
        list(&self.nodes, "").await
    }

    /// Lists the policies past the caches.
    pub(crate) async fn list_policies(&self) -> Result<List, ListError> {
        list(&self.policies, "").await
    }

    /// Lists the agents' pods past the caches.
    pub(crate) async fn list_agents(&self) -> Result<List, ListError> {
        list(&self.pods, &agents()).await
    }

    /// Sends a write that the server, too, gives up after the deadline.
    async fn send<K: DeserializeOwned>(&self, mut request: http::Request<Vec<u8>>) -> Result<K, WriteError> {
        let uri = format!("{}&timeout={}s", request.uri(), WRITE_DEADLINE.as_secs());
        *request.uri_mut() = uri.parse().map_err(|error| WriteError::Refused(format!("{uri}: {error}")))?;
        let answer = timeout(WRITE_DEADLINE, self.client.request(request)).await;
        answer.map_err(|_| too_late())?.map_err(WriteError::from)
    }
}

fn manager() -> String {
    names::CONTROLLER_FIELD_MANAGER.to_owned()
}

fn too_late() -> WriteError {
    WriteError::Unknown(format!("no answer within {} s", WRITE_DEADLINE.as_secs()))
}

/// What is left out of a server-side apply ceases to be: a verdict that is over.
fn owned_status(conditions: &[Condition], failed: Option<&FailureVerdict>) -> Value {
    match failed {
        Some(failed) => json!({"conditions": conditions, "failed": failed}),
        None => json!({"conditions": conditions}),
    }
}

fn apply<K: Resource<DynamicType = ()>>(name: &str, uid: &str, status: &Value) -> Value {
    json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "uid": uid},
        "status": status,
    })
}

/// A spec as a merge patch that leaves nothing of the one before: what is absent is set to null.
fn with_nulls(spec: &BottlerocketShadowSpec) -> Value {
    let mut patch = json!({
        "state_transition_timestamp": null,
        "version": null,
        "policy": null,
        "disrupt_not_after": null,
        "exclude_from_lb_wait_time_in_sec": null,
        "drain": null,
    });
    if let (Some(patch), Value::Object(fields)) = (patch.as_object_mut(), json!(spec)) {
        patch.extend(fields);
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_leaves_nothing_of_the_one_before() {
        let full: Value = serde_json::to_value(BottlerocketShadowSpec {
            state_transition_timestamp: Some(String::new()),
            version: Some(String::new()),
            policy: Some(String::new()),
            disrupt_not_after: Some(String::new()),
            exclude_from_lb_wait_time_in_sec: Some(1),
            drain: stored(&Desired { drain: Some((1, api::shadow::OnTimeout::Abort)), ..Desired::default() }).drain,
            ..BottlerocketShadowSpec::default()
        })
        .unwrap();
        let patch = with_nulls(&BottlerocketShadowSpec::default());
        for field in full.as_object().unwrap().keys() {
            assert!(patch.get(field).is_some(), "{field} would survive");
        }
        assert_eq!(patch["state"], "Idle");
        assert_eq!(patch["version"], Value::Null);
    }
}
