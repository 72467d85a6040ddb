//! What agents and the apiserver say to each other. Paths, headers, audience and bodies of the original v1.x are kept; what
//! is new is optional for the caller.

use serde::{Deserialize, Serialize};

/// Header: the caller's node. Lower case, as HTTP libraries want it; the original writes `BrupopNodeName`.
pub const NODE_NAME_HEADER: &str = "brupopnodename";
/// Header: that Node's uid. May be left out; where it is sent it must be right.
pub const NODE_UID_HEADER: &str = "brupopnodeuid";
/// Header: the agent's token, without a scheme.
pub const TOKEN_HEADER: &str = "brupopk8sauthtoken";
/// Header of our agent, with its version: the caller knows proper status codes. An original agent does not send it and is
/// answered as the original apiserver would.
pub const AGENT_VERSION_HEADER: &str = "brupopagentversion";

/// The caller's own shadow: POST creates, PUT reports, GET reads or waits.
pub const NODE_RESOURCE: &str = "/bottlerocket-node-resource";
/// POST: cordon the node and evict its pods.
pub const CORDON_AND_DRAIN: &str = "/bottlerocket-node-resource/cordon-and-drain";
/// POST: give the node's schedulability back.
pub const UNCORDON: &str = "/bottlerocket-node-resource/uncordon";
/// POST: label the node out of external load balancers.
pub const EXCLUDE_FROM_LB: &str = "/bottlerocket-node-resource/exclude-from-lb";
/// POST: remove that label.
pub const REMOVE_EXCLUSION_FROM_LB: &str = "/bottlerocket-node-resource/remove-exclusion-from-lb";
/// GET, without a token: the original's health route.
pub const PING: &str = "/ping";

/// Longest a reading or draining caller may ask to be kept waiting, in seconds.
pub const MAX_WAIT_SECONDS: u32 = 300;

/// Body of POST on [`NODE_RESOURCE`]. The original sends it and its apiserver never reads it; nor does ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateBody {
    /// The node, as in the headers.
    pub node_selector: NodeSelector,
}

/// The node in a [`CreateBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSelector {
    /// Its name.
    pub node_name: String,
    /// Its uid.
    pub node_uid: String,
}

/// Query of GET on [`NODE_RESOURCE`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadQuery {
    /// Wait until there is a shadow newer than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// How long to wait at most; 304 after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
}

/// Body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// One sentence for people.
    pub error: String,
    /// One word for programs.
    pub reason: Reason,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// A header or the query is missing, doubled or malformed.
    BadRequest,
    /// The token is not known to the cluster, or has expired.
    Unauthenticated,
    /// The node uid is not that of the Node as it is now.
    StaleToken,
    /// The token is good, but not that of the agent on this node.
    Forbidden,
    /// There is no such shadow, Node or path.
    NotFound,
    /// There is such a path, but not for this method.
    MethodNotAllowed,
    /// The shadow is newer than the one the report was computed from.
    Conflict,
    /// There is no approval for this, or no longer.
    #[serde(rename = "NoGo")]
    NoApproval,
    /// Giving back is not asked for.
    NotGivingBack,
    /// Somebody uncordoned the node while it was being drained.
    Vetoed,
    /// The drain did not end in time and is to be aborted.
    DrainTimedOut,
    /// The body is larger than is read.
    TooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// The body is JSON but not what belongs here.
    Invalid,
    /// Something this needs cannot be had now; ask again.
    Unavailable,
    /// One caller has too much in flight; ask again.
    TooManyRequests,
    /// A reason this program does not know, from a newer one.
    #[serde(other)]
    Unknown,
}

/// Body of the 202 answer to a drain that is not over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainProgress {
    /// Pods that are still to go.
    pub pods_left: u32,
    /// Seconds since the drain began.
    pub elapsed_seconds: u32,
    /// The pods that hold it up, the longest first, at most [`DrainProgress::MAX_PODS`].
    pub pods: Vec<PodProgress>,
}

impl DrainProgress {
    /// Most pods that are listed.
    pub const MAX_PODS: usize = 20;
}

/// One pod that is still to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodProgress {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What holds it.
    pub waiting_for: PodWait,
    /// The PodDisruptionBudget that blocks it, where the API named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// Seconds for which this has been so, as this request has seen it.
    pub seconds: u32,
}

/// What an eviction waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PodWait {
    /// Its eviction has not been answered yet.
    Eviction,
    /// A PodDisruptionBudget has no room.
    Budget,
    /// It is terminating.
    Termination,
    /// Several PodDisruptionBudgets select it, which the eviction API does not support: somebody must correct that.
    SeveralBudgets,
    /// The API refuses the eviction for another reason.
    Refused,
    /// Something this program does not know, from a newer one.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_keep_their_words_across_versions() {
        let words = [
            (Reason::NoApproval, "NoGo"),
            (Reason::NotGivingBack, "NotGivingBack"),
            (Reason::StaleToken, "StaleToken"),
            (Reason::Conflict, "Conflict"),
            (Reason::Vetoed, "Vetoed"),
            (Reason::DrainTimedOut, "DrainTimedOut"),
            (Reason::Unavailable, "Unavailable"),
            (Reason::TooManyRequests, "TooManyRequests"),
        ];
        for (reason, word) in words {
            assert_eq!(serde_json::to_value(reason).unwrap(), word);
        }
        assert_eq!(serde_json::from_str::<Reason>("\"NoApproval\"").unwrap(), Reason::Unknown, "no word of ours");
    }
}
