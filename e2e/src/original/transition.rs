//! What is done when the controller asks for another state than was reported.

use std::time::Duration;

use anyhow::anyhow;

use super::agent::Agent;
use super::report::Crashes;
use super::shadow::{Shadow, State};

/// How long it sleeps after it has asked for the reboot. Then it ends, and is started again.
const AFTER_REBOOT: Duration = Duration::from_secs(180);

/// What a transition comes to, other than success.
pub(super) enum Trouble {
    /// The next loop tries again: the version or a report.
    Again(anyhow::Error),
    /// It is reported as a crash: everything else.
    Crash(anyhow::Error),
    /// It ends.
    End(anyhow::Error),
    /// The host goes down.
    Rebooting,
}

impl Agent {
    /// Goes towards what is asked for.
    pub(super) async fn transition(&self, shadow: &Shadow) -> Result<(), Trouble> {
        let Some(status) = &shadow.status else { return Err(Trouble::End(anyhow!("the shadow has no status"))) };
        if shadow.spec.state == status.current_state {
            return Ok(());
        }
        tracing::info!(asked = ?shadow.spec.state, reported = ?status.current_state, "transition");
        match shadow.spec.state {
            State::Idle if status.current_state == State::ErrorReset => self.recover().await,
            State::Idle => Ok(()),
            State::StagedAndPerformedUpdate => {
                self.host.prepare().await.map_err(Trouble::Crash)?;
                self.host.activate().await.map_err(Trouble::Crash)
            }
            State::RebootedIntoUpdate => {
                let running = self.host.version().await.map_err(Trouble::Again)?;
                if shadow.spec.version().map_err(Trouble::End)? == Some(running) {
                    self.recover().await?;
                    let report = self.report(shadow, shadow.spec.state, Crashes::of(status));
                    report.await.map_err(Trouble::Again)
                } else {
                    self.disrupt_and_reboot().await
                }
            }
            State::MonitoringUpdate => self.recover().await,
            State::ErrorReset => Err(Trouble::End(anyhow!("ErrorReset is never asked for"))),
        }
    }

    async fn disrupt_and_reboot(&self) -> Result<(), Trouble> {
        let selector = self.cluster.selector().await.map_err(Trouble::Crash)?;
        if !self.exclusion_wait.is_zero() {
            self.apiserver.exclude(&selector).await.map_err(Trouble::Crash)?;
            self.scale.sleep(self.exclusion_wait).await;
        }
        self.apiserver.cordon_and_drain(&selector).await.map_err(Trouble::Crash)?;
        self.host.reboot().await.map_err(Trouble::Crash)?;
        self.scale.sleep(AFTER_REBOOT).await;
        Err(Trouble::Rebooting)
    }

    async fn recover(&self) -> Result<(), Trouble> {
        let selector = self.cluster.selector().await.map_err(Trouble::Crash)?;
        if !self.exclusion_wait.is_zero() {
            self.apiserver.include(&selector).await.map_err(Trouble::Crash)?;
        }
        self.apiserver.uncordon(&selector).await.map_err(Trouble::Crash)
    }
}
