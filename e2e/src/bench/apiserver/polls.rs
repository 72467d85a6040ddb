//! Long polls: what a waiting agent costs.

use std::time::Duration;

use agent::apiserver::{Apiserver, Found};
use anyhow::ensure;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::site::Site;
use crate::controlplane::wait::eventually;

/// For the replica to free what the making of connections took.
const SETTLING: Duration = Duration::from_secs(5);

/// How long an agent that gets no answer waits before it asks again, half of it more or less by chance.
const PAUSE: Duration = Duration::from_secs(2);

/// What the waiting agents cost.
pub(super) struct Polls {
    pub(super) waiting: usize,
    /// Resident memory before and while they wait, in bytes.
    pub(super) before: u64,
    pub(super) during: u64,
    /// Processor time of the replica for each second of waiting, in seconds.
    pub(super) cpu: f64,
}

pub(super) async fn wait(site: &Site) -> anyhow::Result<Polls> {
    sleep(SETTLING).await;
    let before = site.resident()?;
    let mut polls = JoinSet::new();
    for caller in &site.callers {
        polls.spawn(follow(caller.apiserver.clone()));
    }
    let waiting = site.callers.len();
    eventually("every agent to wait", Duration::from_secs(120), async || {
        let reached = site.metric("brupop_apiserver_waiting_reads").await?;
        ensure!(reached == u64::try_from(waiting)?, "{reached} wait");
        Ok(Some(()))
    })
    .await?;
    sleep(SETTLING).await;
    let (from, ticks) = (tokio::time::Instant::now(), ticks(site));
    sleep(SETTLING).await;
    let cpu = (self::ticks(site) - ticks) / from.elapsed().as_secs_f64();
    Ok(Polls { waiting, before, during: site.resident()?, cpu })
}

/// Waits for a change as an agent does, who asks again where it gets no answer: all of them come at the same moment.
async fn follow(apiserver: Apiserver) {
    let mut known: Option<String> = None;
    loop {
        let found = match &known {
            None => apiserver.read_through().await,
            Some(version) => apiserver.read_newer(version, 300).await,
        };
        match found {
            Ok(Found::Shadow(shadow)) => known = shadow.metadata.resource_version,
            Ok(Found::Unchanged) => {}
            Ok(Found::Missing) | Err(_) => sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await,
        }
    }
}

/// The replica's processor time so far, in seconds.
fn ticks(site: &Site) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", site.replica.process.pid())).unwrap_or_default();
    // After the name, which may hold anything: utime and stime are the 12th and 13th fields, in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}
