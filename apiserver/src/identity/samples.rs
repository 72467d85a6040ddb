//! What the tests of several files begin with.

use api::names::{AGENT_COMPONENT, AGENT_SERVICE_ACCOUNT};

use super::{Claims, Evidence, PodIdentity};
use crate::token::Fingerprint;

pub(super) const NAMESPACE: &str = "brupop";

pub(super) fn fingerprint(number: usize) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// The agent's pod on node `a`.
pub(super) fn pod() -> PodIdentity {
    PodIdentity {
        uid: "u".to_owned(),
        node: Some("a".to_owned()),
        component: Some(AGENT_COMPONENT.to_owned()),
        service_account: Some(AGENT_SERVICE_ACCOUNT.to_owned()),
        finished: false,
    }
}

/// What there is to know of the agent on node `a`.
pub(super) fn evidence() -> Evidence {
    Evidence {
        claims: Claims {
            namespace: NAMESPACE.to_owned(),
            service_account: AGENT_SERVICE_ACCOUNT.to_owned(),
            pod_name: "p".to_owned(),
            pod_uid: "u".to_owned(),
            node_name: Some("a".to_owned()),
            node_uid: Some("n".to_owned()),
        },
        pod: Some(pod()),
        node_uid: Some("n".to_owned()),
    }
}
