//! Long polls: what a waiting agent costs.

use std::time::Duration;

use agent::apiserver::Found;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::site::Site;
use crate::controlplane::wait::eventually;

/// For the replica to give back what the making of connections took.
const SETTLING: Duration = Duration::from_secs(5);

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
        let apiserver = caller.apiserver.clone();
        polls.spawn(async move {
            let Ok(Found::Shadow(shadow)) = apiserver.read_through().await else { return };
            let version = shadow.metadata.resource_version.unwrap_or_default();
            while let Ok(Found::Unchanged) = apiserver.read_newer(&version, 300).await {}
        });
    }
    let waiting = site.callers.len();
    eventually("every agent to wait", Duration::from_secs(120), async || {
        Ok((site.metric("brupop_apiserver_waiting_reads").await? == u64::try_from(waiting)?).then_some(()))
    })
    .await?;
    sleep(SETTLING).await;
    let (from, ticks) = (tokio::time::Instant::now(), ticks(site));
    sleep(SETTLING).await;
    let cpu = (self::ticks(site) - ticks) / from.elapsed().as_secs_f64();
    Ok(Polls { waiting, before, during: site.resident()?, cpu })
}

/// The replica's processor time so far, in seconds.
fn ticks(site: &Site) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", site.replica.process.pid())).unwrap_or_default();
    // After the name, which may hold anything: utime and stime are the 12th and 13th fields, in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}
