//! Events on Nodes.

use api::names::APISERVER_FIELD_MANAGER;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;

use super::{Cluster, ClusterError, bounded, posting};
use crate::notices::Notice;

/// Where Kubernetes wants the Events of objects that are in no namespace.
const NAMESPACE: &str = "default";
/// Longest note that Kubernetes takes, in bytes.
const MAX_NOTE: usize = 1024;

impl Cluster {
    /// Writes an Event. Each is an object of its own: a series would keep the first one's note.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn announce(&self, notice: &Notice) -> Result<(), ClusterError> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), NAMESPACE);
        let event = event(notice, runtime::clock::now());
        bounded(events.create(&posting(), &event)).await.map(drop)
    }
}

fn event(notice: &Notice, now: Timestamp) -> Event {
    Event {
        metadata: ObjectMeta {
            // A dash, as the only end that a prefix may have beside a letter or a digit.
            generate_name: Some(format!("{}-", notice.node.name)),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        action: Some("Disrupting".to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(shortened(&notice.note).to_owned()),
        reason: Some(notice.subject.reason().to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(notice.node.name.clone()),
            uid: Some(notice.node.uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(APISERVER_FIELD_MANAGER.to_owned()),
        reporting_instance: Some(APISERVER_FIELD_MANAGER.to_owned()),
        type_: Some(if notice.subject.is_warning() { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

fn shortened(note: &str) -> &str {
    &note[..note.floor_char_boundary(MAX_NOTE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_between_characters() {
        let long = "ä".repeat(600);
        assert_eq!(shortened(&long).len(), 1024);
        let odd = format!("a{long}");
        assert_eq!(shortened(&odd).len(), 1023);
        assert_eq!(shortened("short"), "short");
    }
}
