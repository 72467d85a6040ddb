//! What is reported, and when.

use super::agent::Agent;
use super::shadow::{Shadow, State, Status};

/// What a report says of failures.
#[derive(Clone, Debug, Default)]
pub(super) struct Crashes {
    pub(super) count: u32,
    pub(super) last: Option<String>,
}

impl Crashes {
    pub(super) fn of(status: &Status) -> Self {
        Self { count: status.crash_count, last: status.state_transition_failure_timestamp.clone() }
    }
}

impl Agent {
    /// The first report.
    pub(super) async fn report_first(&self) -> anyhow::Result<()> {
        let running = self.host.version().await?;
        let target = match self.refreshed().await? {
            Some(chosen) => chosen.unwrap_or_else(|| running.clone()),
            None => running.clone(),
        };
        let status = status(running.to_string(), target.to_string(), State::Idle, Crashes::default());
        self.apiserver.report(&self.cluster.selector().await?, &status).await
    }

    /// Reports what changed against the shadow as it was when the loop began, though it may be newer by now.
    pub(super) async fn report(&self, shadow: &Shadow, state: State, crashes: Crashes) -> anyhow::Result<()> {
        let Some(known) = &shadow.status else { anyhow::bail!("the shadow has no status") };
        let running = self.host.version().await?.to_string();
        let target = match self.refreshed().await? {
            Some(chosen) => chosen.map_or_else(|| running.clone(), |version| version.to_string()),
            None => known.target_version.clone(),
        };
        let status = status(running, target, state, crashes);
        if status == *known {
            return Ok(());
        }
        self.apiserver.report(&self.cluster.selector().await?, &status).await
    }

    /// What the host would update to, when it is time to look.
    async fn refreshed(&self) -> anyhow::Result<Option<Option<semver::Version>>> {
        let due = self.checks.lock().await.take(tokio::time::Instant::now()).is_ok();
        if due { self.host.chosen().await.map(Some) } else { Ok(None) }
    }
}

fn status(running: String, target: String, state: State, crashes: Crashes) -> Status {
    Status {
        current_version: running,
        target_version: target,
        current_state: state,
        crash_count: crashes.count,
        state_transition_failure_timestamp: crashes.last,
    }
}
