//! Writes Events, beside the loop: no plan waits for one or fails with one.

use std::time::Duration;

use api::{
    event::{NAMESPACE, Telling},
    names,
};
use k8s_openapi::api::{core::v1::ObjectReference, events::v1::Event};
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
        let event = telling(&news).event(now);
        let written = timeout(DEADLINE, events.create(&params, &event)).await;
        let result = if matches!(written, Ok(Ok(_))) { "ok" } else { "failed" };
        metrics.told(reason, result);
        if let Ok(Err(error)) = written {
            tracing::warn!(object = news.regarding.name, reason, %error, "event not written");
        }
    }
}

fn telling(news: &News) -> Telling<'_> {
    let regarding = ObjectReference {
        api_version: Some(news.regarding.api_version.clone()),
        kind: Some(news.regarding.kind.to_owned()),
        name: Some(news.regarding.name.clone()),
        uid: Some(news.regarding.uid.clone()),
        ..ObjectReference::default()
    };
    Telling {
        regarding,
        action: "Updating",
        reason: news.subject.reason(),
        note: &news.note,
        is_warning: news.subject.is_warning(),
        reporter: names::CONTROLLER_FIELD_MANAGER,
    }
}
