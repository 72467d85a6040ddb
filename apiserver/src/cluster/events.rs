//! Events on Nodes.

use api::event::{NAMESPACE, Telling};
use api::names::APISERVER_FIELD_MANAGER;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use kube::Api;

use super::{Cluster, ClusterError, bounded, posting};
use crate::notices::Notice;

impl Cluster {
    /// Writes an Event.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn announce(&self, notice: &Notice) -> Result<(), ClusterError> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), NAMESPACE);
        let event = telling(notice).event(runtime::clock::now());
        bounded(events.create(&posting(), &event)).await.map(drop)
    }
}

fn telling(notice: &Notice) -> Telling<'_> {
    let regarding = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Node".to_owned()),
        name: Some(notice.node.name.clone()),
        uid: Some(notice.node.uid.clone()),
        ..ObjectReference::default()
    };
    Telling {
        regarding,
        action: "Disrupting",
        reason: notice.subject.reason(),
        note: &notice.note,
        is_warning: notice.subject.is_warning(),
        reporter: APISERVER_FIELD_MANAGER,
    }
}
