//! What a leader does that cannot plan any more: it writes down over which policy, so that whoever follows passes that one over.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;
use runtime::{backoff::Backoff, clock};
use tokio::time::sleep;

use crate::lease::Leadership;
use crate::snapshot::Place;
use crate::status::exceeded_deadline;
use crate::watch::Watches;
use crate::write::{WriteError, Writer};
use api::UpdatePolicyStatus;

/// How often the verdict is tried to be written. Without it the next leader stops at the same place, and tries as well.
const TRIES: u32 = 5;
/// How long it waits after a try.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(16) };

/// A policy whose planning exceeded the deadline: as it is stored, with the status that says so.
struct Exceeded {
    resource_version: String,
    status: UpdatePolicyStatus,
}

/// Writes down that planning did not come to an end at `place`. A policy that was edited or deleted meanwhile gets no verdict: what it
/// says now was not tried.
pub(super) async fn write_down(place: &Place, writer: &Writer, leadership: &Leadership, watches: &Watches) {
    let policy = place.policy.as_str();
    for tried in 1..=TRIES {
        let Some(Exceeded { resource_version, status }) = exceeded(place, watches, clock::now()) else {
            tracing::info!(policy, "policy has changed meanwhile, or says so already");
            return;
        };
        if !leadership.holds() {
            break;
        }
        match writer.policy_verdict(policy, &place.uid, &resource_version, &status).await {
            Ok(_) => {
                tracing::info!(policy, generation = place.generation, "policy is passed over until it is edited");
                return;
            }
            Err(WriteError::Gone) => return,
            Err(error) => tracing::warn!(policy, %error, "verdict not written"),
        }
        sleep(BACKOFF.pause(tried, fastrand::f64())).await;
    }
    tracing::error!(policy, "the next leader will stop at the same policy: the verdict on it could not be written");
}

/// `None` where there is nothing to write.
fn exceeded(place: &Place, watches: &Watches, now: Timestamp) -> Option<Exceeded> {
    let generation = place.generation?;
    let policies = watches.policies.state();
    let mut stored = policies.iter().filter_map(|policy| policy.0.as_ref().ok());
    let same = stored.find(|policy| policy.uid().as_ref() == Some(&place.uid))?;
    let before = same.status.clone().unwrap_or_default();
    let tried = same.metadata.generation == place.generation && !before.exceeded_deadline(generation);
    tried.then(|| Exceeded {
        resource_version: same.resource_version().unwrap_or_default(),
        status: exceeded_deadline(before, generation, now),
    })
}
