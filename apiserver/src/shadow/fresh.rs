//! A shadow as it is created.

use std::collections::BTreeMap;

use api::names::{VERSION_LOCK_BEFORE_ANNOTATION, shadow_name};
use api::shadow::{NodeRef, Pin};
use api::{BottlerocketShadow, BottlerocketShadowSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

/// The shadow of a node about which nothing is known yet, except perhaps what its version-lock was before a pin that an
/// earlier shadow knew of. It goes when its Node goes.
#[must_use]
pub fn fresh(node: &NodeRef, pin: Option<&Pin>) -> BottlerocketShadow {
    let mut shadow = BottlerocketShadow::new(&shadow_name(&node.name), BottlerocketShadowSpec::default());
    shadow.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.name.clone(),
        uid: node.uid.clone(),
        ..OwnerReference::default()
    }]);
    let record = |pin: &Pin| BTreeMap::from([(VERSION_LOCK_BEFORE_ANNOTATION.to_owned(), pin.encode())]);
    shadow.metadata.annotations = pin.map(record);
    shadow
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fresh_shadow_is_idle_and_owned_by_its_node() {
        let node = NodeRef { name: "a".to_owned(), uid: "n1".to_owned() };
        assert_eq!(
            serde_json::to_value(fresh(&node, None)).unwrap(),
            json!({
                "apiVersion": "brupop.bottlerocket.aws/v2",
                "kind": "BottlerocketShadow",
                "metadata": {
                    "name": "brs-a",
                    "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "n1"}],
                },
                "spec": {"state": "Idle"},
            })
        );
        let pin = Pin { before: "latest".to_owned(), set: "1.20.0".to_owned() };
        assert_eq!(fresh(&node, Some(&pin)).pin(), Some(pin));
    }
}
