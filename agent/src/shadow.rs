//! The shadow, kept up to date by one long poll.

use std::time::Duration;

use api::shadow::{BottlerocketShadowStatus, Observed};
use api::{BottlerocketShadow, Shadow};
use runtime::backoff::Backoff;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::apiserver::{Apiserver, CallError, Found};
use crate::observe::ShadowReading;

/// Seconds a long poll is asked to wait, and up to this many more, so that agents do not ask in step. With the time the answer
/// takes it stays well below [`crate::contact::SILENCE`].
const WAIT: u32 = 60;
const WAIT_SPREAD: u32 = 20;
/// Until a failed poll is repeated.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
/// An answer without news that comes sooner than this did not wait; it is not asked for again at once.
const HASTY: Duration = Duration::from_secs(1);

/// The shadow as last seen, and the poll for what comes after.
pub struct ShadowPoll {
    apiserver: Apiserver,
    reading: ShadowReading,
    poll: Poll,
}

/// The long poll runs in a task of its own, so that waiting for it can be given up and taken up again. Dropping it ends the
/// request.
struct Poll(JoinHandle<Seen>);

impl Drop for Poll {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What there is to see.
struct Seen {
    reading: ShadowReading,
    /// The resourceVersion from which to go on.
    version: Option<String>,
}

impl Seen {
    const fn nothing(reading: ShadowReading) -> Self {
        Self { reading, version: None }
    }
}

impl ShadowPoll {
    /// Begins to poll.
    #[must_use]
    pub fn new(apiserver: Apiserver) -> Self {
        let poll = begin(apiserver.clone(), None, false);
        Self { apiserver, reading: ShadowReading::Unknown, poll }
    }

    /// The shadow as last seen.
    #[must_use]
    pub const fn reading(&self) -> &ShadowReading {
        &self.reading
    }

    /// Resolves when the shadow has changed. Cancel safe.
    pub async fn changed(&mut self) {
        match (&mut self.poll.0).await {
            Ok(seen) => self.go_on(seen),
            // A poll that died is begun anew; nothing it could have seen is lost.
            Err(error) => {
                tracing::error!(%error, "the poll for the shadow died");
                self.go_on(Seen::nothing(ShadowReading::Unknown));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Takes in an object that came with an answer.
    pub fn take(&mut self, found: &BottlerocketShadow) -> Option<Box<Shadow>> {
        self.go_on(see(found));
        match &self.reading {
            ShadowReading::Known(shadow) => Some(shadow.clone()),
            _ => None,
        }
    }

    /// Takes in that there is no shadow.
    pub fn lose(&mut self) {
        self.go_on(Seen::nothing(ShadowReading::Missing));
    }

    /// Takes in that a report was stored under `version`: the write was conditional, so there is nothing in between.
    pub fn stored(&mut self, status: &BottlerocketShadowStatus, version: &str) {
        if let (ShadowReading::Known(shadow), Ok(mut report)) = (&self.reading, Observed::try_from(status)) {
            let mut shadow = shadow.clone();
            report.failed = shadow.observed.take().and_then(|report| report.failed);
            shadow.observed = Some(report);
            version.clone_into(&mut shadow.resource_version);
            self.go_on(Seen { reading: ShadowReading::Known(shadow), version: Some(version.to_owned()) });
        }
    }

    fn go_on(&mut self, Seen { reading, version }: Seen) {
        let missing = reading == ShadowReading::Missing;
        self.reading = reading;
        self.poll = begin(self.apiserver.clone(), version, missing);
    }
}

/// Polls until there is something other than what the caller knows.
fn begin(apiserver: Apiserver, mut version: Option<String>, missing: bool) -> Poll {
    Poll(tokio::spawn(async move {
        let mut failures = 0_u32;
        // After a failure the next answer is to come at once: it tells that the apiserver is back, and that the agent is.
        let mut lost = false;
        loop {
            let asked = Instant::now();
            let wait = if lost { 0 } else { WAIT + fastrand::u32(0..=WAIT_SPREAD) };
            match poll(&apiserver, version.as_deref(), wait).await {
                Ok(Found::Shadow(found)) if version.is_none() || found.metadata.resource_version != version => {
                    return see(&found);
                }
                Ok(Found::Missing) if !missing => return Seen::nothing(ShadowReading::Missing),
                Ok(Found::Unchanged | Found::Shadow(_)) if lost || asked.elapsed() > HASTY => {
                    lost = false;
                    failures = 0;
                    continue;
                }
                Ok(_) => {}
                // A resourceVersion that is not understood, or too old to wait for: begin again from what there is.
                Err(error) => {
                    lost = true;
                    version = version.filter(|_| !error.is_final());
                }
            }
            failures = failures.saturating_add(1);
            tokio::time::sleep(BACKOFF.pause(failures, fastrand::f64())).await;
        }
    }))
}

/// Without a resourceVersion the read goes through to Kubernetes, so that what this agent wrote before it was restarted is in
/// it.
async fn poll(apiserver: &Apiserver, version: Option<&str>, wait: u32) -> Result<Found, CallError> {
    match version {
        Some(version) => apiserver.read_newer(version, wait).await,
        None => apiserver.read_through().await,
    }
}

fn see(found: &BottlerocketShadow) -> Seen {
    let version = found.metadata.resource_version.clone();
    let reading = match Shadow::try_from(found) {
        Ok(shadow) => ShadowReading::Known(Box::new(shadow)),
        // A report is ours to write: one that cannot be read is written anew.
        Err(error) if error.field.starts_with("status.") => {
            tracing::warn!(%error, "ignoring a report that cannot be read");
            let bare = BottlerocketShadow { status: None, ..found.clone() };
            match Shadow::try_from(&bare) {
                Ok(shadow) => ShadowReading::Known(Box::new(shadow)),
                Err(error) => ShadowReading::Unreadable(error.to_string()),
            }
        }
        Err(error) => ShadowReading::Unreadable(error.to_string()),
    };
    if let ShadowReading::Unreadable(error) = &reading {
        tracing::error!(error, "the shadow cannot be read; waiting until it changes");
    }
    Seen { reading, version }
}
