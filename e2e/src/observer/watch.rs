//! The watches: all at once, and all anew when one of them breaks.
//!
//! A watch that breaks falls behind the others by an unknown time, and what is compared across kinds would be wrong for as
//! long. So all are given up together, and everything is listed again.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, bail};
use api::{BottlerocketShadow, UpdatePolicy};
use futures::stream::{BoxStream, SelectAll, StreamExt, TryStreamExt, select_all};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::watcher::{self, Config, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};

use super::event::{Change, Seen};
use super::handle::Shared;

/// How long listing everything may take.
const LIST_DEADLINE: Duration = Duration::from_secs(30);
/// The pause before everything is listed again, of which half is left to chance.
const PAUSE: Duration = Duration::from_millis(200);

/// One event of one watch.
enum Step {
    /// It lists from the beginning.
    Begins,
    /// It lists this.
    Lists(Seen),
    /// It has listed all.
    Listed,
    /// This was written.
    Seen(Seen),
}

type Steps = SelectAll<BoxStream<'static, Result<Step, watcher::Error>>>;

/// Watches for as long as there is somebody to ask it.
pub(super) async fn watch(client: Client, namespace: String, shared: std::sync::Arc<Shared>) {
    loop {
        let error = match follow(&client, &namespace, &shared).await {
            Ok(()) => anyhow::anyhow!("the watches ended"),
            Err(error) => error,
        };
        tracing::debug!(error = format!("{error:#}"), "observer lists everything again");
        shared.lose(error.to_string());
        sleep(PAUSE.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
    }
}

/// Lists everything and follows it until a watch breaks.
async fn follow(client: &Client, namespace: &str, shared: &Shared) -> anyhow::Result<()> {
    let mut steps = steps(client, namespace);
    let (listed, early) = list(&mut steps).await?;
    shared.list(listed);
    early.into_iter().for_each(|seen| shared.seen(seen));
    while let Some(step) = steps.try_next().await? {
        match step {
            Step::Seen(seen) => shared.seen(seen),
            Step::Begins | Step::Lists(_) | Step::Listed => bail!("a watch has begun anew"),
        }
    }
    Ok(())
}

/// What all watches list, and what those that are through with it have shown since.
async fn list(steps: &mut Steps) -> anyhow::Result<(Vec<Seen>, Vec<Seen>)> {
    let deadline = Instant::now() + LIST_DEADLINE;
    let (mut listed, mut early) = (Vec::new(), Vec::new());
    let mut left = steps.len();
    while left > 0 {
        let step = timeout_at(deadline, steps.try_next()).await.context("gave up listing everything")??;
        match step.context("the watches ended")? {
            Step::Begins => {}
            Step::Lists(seen) => listed.push(seen),
            Step::Listed => left -= 1,
            Step::Seen(seen) => early.push(seen),
        }
    }
    Ok((listed, early))
}

fn steps(client: &Client, namespace: &str) -> Steps {
    select_all([
        kind(Api::<Node>::all(client.clone()), Seen::Node),
        kind(Api::<BottlerocketShadow>::namespaced(client.clone(), namespace), Seen::Shadow),
        kind(Api::<UpdatePolicy>::all(client.clone()), Seen::Policy),
        kind(Api::<Pod>::all(client.clone()), Seen::Pod),
        kind(Api::<PodDisruptionBudget>::all(client.clone()), Seen::Budget),
    ])
}

/// The watch of one kind, its objects read into facts.
fn kind<K, F>(api: Api<K>, seen: fn(Change<F>) -> Seen) -> BoxStream<'static, Result<Step, watcher::Error>>
where
    K: Resource + Clone + Debug + Send + DeserializeOwned + 'static,
    F: for<'a> From<&'a K> + 'static,
{
    let read = move |event| match event {
        watcher::Event::Init => Step::Begins,
        watcher::Event::InitApply(object) => Step::Lists(seen(Change::Applied(F::from(&object)))),
        watcher::Event::InitDone => Step::Listed,
        watcher::Event::Apply(object) => Step::Seen(seen(Change::Applied(F::from(&object)))),
        watcher::Event::Delete(object) => Step::Seen(seen(Change::Deleted(F::from(&object)))),
    };
    watcher(api, Config::default()).map_ok(read).boxed()
}
