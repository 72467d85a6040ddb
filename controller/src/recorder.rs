//! Writes Events, beside the loop: no plan waits for one or fails with one.

use api::event::{Event, NAMESPACE};
use api::names::CONTROLLER_FIELD_MANAGER;
use kube::api::PostParams;
use kube::{Api, Client};
use runtime::clock;
use runtime::events::{Allowance, Recorder, events};

use crate::metrics::Metrics;

/// A recorder, and the task that writes what it takes until the last of its clones is gone.
pub(crate) fn recorder(client: &Client, metrics: &Metrics) -> (Recorder, impl Future<Output = ()> + use<>) {
    let (api, metrics) = (Api::<Event>::namespaced(client.clone(), NAMESPACE), metrics.clone());
    let count = move |reason: &str, outcome: runtime::events::Outcome| metrics.event_written(reason, outcome.as_str());
    let (recorder, publisher) = events(Some(Allowance::new(clock::now())), count);
    let params = PostParams { field_manager: Some(CONTROLLER_FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let publish = async move {
        publisher.publish(async |event| api.create(&params, &event).await.map(drop)).await;
    };
    (recorder, publish)
}
