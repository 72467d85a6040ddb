//! Writes Events, beside the loop: no plan waits for one or fails with one.

use std::time::Duration;

use api::names;
use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use runtime::clock;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    metrics::Metrics,
    news::{Allowance, News},
};

/// Events that wait to be written; further ones are dropped.
const QUEUE: usize = 256;
/// How long one may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Where Kubernetes wants the Events of objects that are in no namespace.
const NAMESPACE: &str = "default";
/// Longest note that Kubernetes takes, in bytes.
const MAX_NOTE: usize = 1024;

/// Takes news. Clones share the queue.
#[derive(Clone)]
pub(crate) struct Announcer {
    queue: mpsc::Sender<News>,
    metrics: Metrics,
}

/// An announcer, and the task that writes what it takes until the last of them is gone.
pub(crate) fn announcer(client: &Client, metrics: &Metrics) -> (Announcer, impl Future<Output = ()> + use<>) {
    let (queue, written) = mpsc::channel(QUEUE);
    let events = Api::namespaced(client.clone(), NAMESPACE);
    (Announcer { queue, metrics: metrics.clone() }, publish(events, written, metrics.clone()))
}

impl Announcer {
    /// Tells it, if there is room.
    pub(crate) fn tell(&self, news: News) {
        let reason = news.subject.reason();
        if self.queue.try_send(news).is_err() {
            self.metrics.told(reason, "dropped");
        }
    }
}

async fn publish(events: Api<Event>, mut news: mpsc::Receiver<News>, metrics: Metrics) {
    let mut allowance = Allowance::new(clock::now());
    let params =
        PostParams { field_manager: Some(names::CONTROLLER_FIELD_MANAGER.to_owned()), ..PostParams::default() };
    while let Some(news) = news.recv().await {
        let now = clock::now();
        let reason = news.subject.reason();
        if !allowance.take(now) {
            metrics.told(reason, "dropped");
            continue;
        }
        let event = event(&news, now);
        let written = timeout(DEADLINE, events.create(&params, &event)).await;
        let result = if matches!(written, Ok(Ok(_))) { "ok" } else { "failed" };
        metrics.told(reason, result);
        if let Ok(Err(error)) = written {
            tracing::warn!(object = news.regarding.name, reason, %error, "event not written");
        }
    }
}

fn event(news: &News, now: Timestamp) -> Event {
    Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", news.regarding.name)),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        action: Some("Updating".to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(news.note[..news.note.floor_char_boundary(MAX_NOTE)].to_owned()),
        reason: Some(news.subject.reason().to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(news.regarding.api_version.clone()),
            kind: Some(news.regarding.kind.to_owned()),
            name: Some(news.regarding.name.clone()),
            uid: Some(news.regarding.uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(names::CONTROLLER_FIELD_MANAGER.to_owned()),
        reporting_instance: Some(names::CONTROLLER_FIELD_MANAGER.to_owned()),
        type_: Some(if news.subject.is_warning() { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}
