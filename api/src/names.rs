//! Names that several programs, or a program and the manifests, must agree on.

/// API group of both custom resources.
pub const GROUP: &str = "brupop.bottlerocket.aws";

/// Namespace the shipped manifests install into; the programs take theirs as a flag.
pub const DEFAULT_NAMESPACE: &str = "brupop-bottlerocket-aws";

/// Node label that makes a node managed, and its value. The value is the version of Bottlerocket's update API.
pub const UPDATER_INTERFACE_LABEL: &str = "bottlerocket.aws/updater-interface-version";
/// The one value of [`UPDATER_INTERFACE_LABEL`] under which a node is managed.
pub const UPDATER_INTERFACE_VERSION: &str = "2.0.0";

/// Node label by which cloud load balancers leave a node out (Kubernetes' well-known labels).
pub const EXCLUDE_FROM_LOAD_BALANCERS_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// The value of that label where the original operator set it. This one writes another.
pub const ORIGINALS_EXCLUSION: &str = "True";

/// Pod label that names the operator's component; also the selector of its workloads.
pub const COMPONENT_LABEL: &str = "brupop.bottlerocket.aws/component";
/// Value of [`COMPONENT_LABEL`] on agent pods.
pub const AGENT_COMPONENT: &str = "agent";

/// ServiceAccount of the agents.
pub const AGENT_SERVICE_ACCOUNT: &str = "brupop-agent-service-account";
/// ServiceAccount of the apiserver.
pub const APISERVER_SERVICE_ACCOUNT: &str = "brupop-apiserver-service-account";
/// ServiceAccount of the controller.
pub const CONTROLLER_SERVICE_ACCOUNT: &str = "brupop-controller-service-account";
/// ServiceAccount of the webhook.
pub const WEBHOOK_SERVICE_ACCOUNT: &str = "brupop-webhook-service-account";

/// Audience of the agents' projected tokens.
pub const TOKEN_AUDIENCE: &str = "brupop-apiserver";
/// Service in front of the apiserver's replicas.
pub const APISERVER_SERVICE: &str = "brupop-apiserver";
/// Service in front of the webhook's replicas.
pub const WEBHOOK_SERVICE: &str = "brupop-webhook";

/// Node annotation: never start this node; its value is the reason shown to people.
pub const HOLD_ANNOTATION: &str = "brupop.bottlerocket.aws/hold";
/// Node annotation: this node goes first, for the version that is its value.
pub const UPDATE_NOW_ANNOTATION: &str = "brupop.bottlerocket.aws/update-now";
/// Node annotation: schedule windows do not apply to this node for the version that is its value.
pub const IGNORE_WINDOW_ANNOTATION: &str = "brupop.bottlerocket.aws/ignore-window";
/// Node annotation: the failure of the version that is its value no longer counts.
pub const FAILURE_ACKNOWLEDGED_ANNOTATION: &str = "brupop.bottlerocket.aws/failure-acknowledged";
/// Node annotation that holds the operator's [`crate::DisruptionRecord`].
pub const DISRUPTION_RECORD_ANNOTATION: &str = "brupop.bottlerocket.aws/disruption";
/// Node annotation with the host's `version-lock` from before the agent pinned it, and what it was pinned to
/// ([`crate::shadow::Pin`] as JSON). The apiserver writes it before it stores the report that says so, and takes it away after
/// the report that no longer does. A shadow that is created while it is there is created with it.
pub const VERSION_LOCK_BEFORE_ANNOTATION: &str = "brupop.bottlerocket.aws/version-lock-before";
/// Longest version-lock that is believed, in characters, as the shadow stores it.
pub const MAX_VERSION_LOCK: usize = 128;

/// Field manager of the controller's writes.
pub const CONTROLLER_FIELD_MANAGER: &str = "brupop-controller";
/// Field manager of the apiserver's writes.
pub const APISERVER_FIELD_MANAGER: &str = "brupop-apiserver";

/// Name of the shadow of `node`.
#[must_use]
pub fn shadow_name(node: &str) -> String {
    format!("brs-{node}")
}
