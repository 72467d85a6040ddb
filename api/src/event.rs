//! Kubernetes Events, as all of the operator's programs write them.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

pub use k8s_openapi::api::events::v1::Event;

use crate::text;

/// Where Kubernetes wants the Events of objects that are in no namespace.
pub const NAMESPACE: &str = "default";

/// Longest note that Kubernetes takes, in bytes.
const MAX_NOTE: usize = 1024;

/// An Event about an object that is in no namespace, before it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Which object.
    pub regarding: ObjectReference,
    /// What the program does with it, in `CamelCase`.
    pub action: &'static str,
    /// What happened, in `CamelCase`.
    pub reason: &'static str,
    /// The sentence for people. Kubernetes takes a kilobyte of it. What it repeats of others becomes a printable line.
    pub note: String,
    /// Whether somebody may have to do something.
    pub is_warning: bool,
    /// The program, by the name of its field manager.
    pub reporter: &'static str,
}

/// The reference to an object that is in no namespace.
#[must_use]
pub fn regarding(api_version: &str, kind: &str, name: &str, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(api_version.to_owned()),
        kind: Some(kind.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

impl NewEvent {
    /// The Event. Each is an object of its own: a series would keep the first one's note.
    #[must_use]
    pub fn into_event(self, now: Timestamp) -> Event {
        let note = text::line(&self.note, MAX_NOTE);
        let note = &note[..note.floor_char_boundary(MAX_NOTE)];
        Event {
            metadata: ObjectMeta {
                // A dash, as the only end that a prefix may have beside a letter or a digit.
                generate_name: self.regarding.name.as_ref().map(|name| format!("{name}-")),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            },
            action: Some(self.action.to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(note.to_owned()),
            reason: Some(self.reason.to_owned()),
            regarding: Some(self.regarding),
            reporting_controller: Some(self.reporter.to_owned()),
            reporting_instance: Some(self.reporter.to_owned()),
            type_: Some(if self.is_warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(note: &str, is_warning: bool) -> Event {
        let new = NewEvent {
            regarding: regarding("v1", "Node", "node-1", "u1"),
            action: "Disrupting",
            reason: "Drained",
            note: note.to_owned(),
            is_warning,
            reporter: "brupop-apiserver",
        };
        new.into_event("2026-11-22T10:00:00Z".parse().unwrap())
    }

    #[test]
    fn an_event_has_what_kubernetes_asks_for() {
        assert_eq!(
            serde_json::to_value(event("the drain is over", false)).unwrap(),
            json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event",
                "metadata": {"generateName": "node-1-", "namespace": "default"},
                "regarding": {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "u1"},
                "action": "Disrupting", "reason": "Drained", "note": "the drain is over", "type": "Normal",
                "eventTime": "2026-11-22T10:00:00.000000Z",
                "reportingController": "brupop-apiserver", "reportingInstance": "brupop-apiserver",
            })
        );
        assert_eq!(event("", true).type_.as_deref(), Some("Warning"));
    }

    #[test]
    fn a_note_is_a_printable_line() {
        let note = |note: &str| event(note, false).note.unwrap();
        assert_eq!(note("held: \u{1b}]0;owned\u{7}it\nburns"), "held: it burns");
    }

    #[test]
    fn a_note_is_cut_between_characters() {
        let long = "ä".repeat(600);
        let length = |note: &str| event(note, false).note.unwrap().len();
        assert_eq!(length(&long), 1024);
        assert_eq!(length(&format!("a{long}")), 1023);
        assert_eq!(length("short"), 5);
    }
}
