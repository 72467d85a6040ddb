//! The loop.

use std::time::Duration;

use anyhow::Context;
use tokio::sync::Mutex;

use super::apiserver::Apiserver;
use super::host::Host;
use super::kubernetes::Cluster;
use super::report::Crashes;
use super::shadow::{Shadow, State, Status, render};
use super::time_scale::{Limit, TimeScale};
use super::transition::Trouble;

/// Between two loops.
const SLEEP: Duration = Duration::from_secs(5);
/// Between two refreshes of what the host is offered.
const CHECK_INTERVAL: Duration = Duration::from_secs(120);

/// The agent of one node.
pub(super) struct Agent {
    pub(super) cluster: Cluster,
    pub(super) host: Host,
    pub(super) apiserver: Apiserver,
    pub(super) scale: TimeScale,
    /// How long load balancers are waited for; zero: they are left alone.
    pub(super) exclusion_wait: Duration,
    pub(super) checks: Mutex<Limit>,
}

impl Agent {
    pub(super) fn new(
        cluster: Cluster,
        host: Host,
        apiserver: Apiserver,
        scale: TimeScale,
        exclusion_wait: Duration,
    ) -> Self {
        let checks = Mutex::new(Limit::new(scale, CHECK_INTERVAL, 1));
        Self { cluster, host, apiserver, scale, exclusion_wait, checks }
    }

    /// Runs until it has rebooted the host, or cannot go on.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        loop {
            match self.known().await {
                Ok(shadow) => {
                    let status = shadow.status.clone().context("the shadow has no status")?;
                    if self.turn(&shadow, &status).await?.is_some() {
                        return Ok(());
                    }
                }
                Err(error) => tracing::warn!(error = format!("{error:#}"), "no shadow; beginning again"),
            }
            self.scale.sleep(SLEEP).await;
        }
    }

    /// The shadow, which is created and has its first report if need be.
    async fn known(&self) -> anyhow::Result<Shadow> {
        if !self.cluster.has_shadow().await? {
            self.apiserver.create(&self.cluster.selector().await?).await?;
        }
        if self.cluster.shadow().await?.status.is_none() {
            self.report_first().await?;
        }
        self.cluster.shadow().await
    }

    /// One turn. `Some`: the host goes down.
    async fn turn(&self, shadow: &Shadow, status: &Status) -> anyhow::Result<Option<()>> {
        let (state, crashes) = match self.transition(shadow).await {
            Ok(()) if status.current_state == State::MonitoringUpdate => (shadow.spec.state, Crashes::default()),
            Ok(()) => (shadow.spec.state, Crashes::of(status)),
            Err(Trouble::Rebooting) => return Ok(Some(())),
            Err(Trouble::End(error)) => return Err(error),
            Err(Trouble::Again(error)) => {
                tracing::warn!(error = format!("{error:#}"), "beginning again");
                return Ok(None);
            }
            Err(Trouble::Crash(error)) => {
                tracing::warn!(error = format!("{error:#}"), "crash");
                let last = Some(render(runtime::clock::now()));
                (State::ErrorReset, Crashes { count: status.crash_count.saturating_add(1), last })
            }
        };
        if let Err(error) = self.report(shadow, state, crashes).await {
            tracing::warn!(error = format!("{error:#}"), "report failed; beginning again");
        }
        Ok(None)
    }
}
