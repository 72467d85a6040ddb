//! The loop: observe, decide, perform, learn.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use api::shadow::Activity;
use jiff::Timestamp;
use runtime::health::Heartbeat;
use semver::Version;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::observe::{Host, Observation, ShadowReading};
use crate::outcome::Outcome;
use crate::performer::Performer;
use crate::step::{Action, Reason, Step, next_step};

/// Steps in a row without a wait after which there is one all the same: no misunderstanding becomes a storm.
const HASTE: u32 = 20;

/// The loop of one agent.
pub struct Cycle {
    /// What steps act on.
    pub performer: Performer,
    /// What is remembered.
    pub memory: Memory,
    /// Where the kernel's boot id is read.
    pub boot_id_file: PathBuf,
    /// The wall clock.
    pub wall: fn() -> Timestamp,
    /// What is counted.
    pub metrics: Metrics,
    /// The sign of life.
    pub heartbeat: Heartbeat,
}

/// What is known of the host between two looks.
#[derive(Default)]
struct Known {
    /// The running version, which a boot id stands for.
    running: Option<(String, Version)>,
    away: bool,
}

impl Cycle {
    /// Runs until the process has to end.
    ///
    /// # Errors
    /// When the process has to end: nobody is on the host's socket, or there is no boot id.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut known = Known::default();
        let mut last = None;
        let mut hasty = 0;
        loop {
            self.heartbeat.beat();
            let round = Instant::now();
            let Some((boot_id, host)) = self.look(&mut known).await? else { continue };
            let clock = began.elapsed();
            self.memory.see(&boot_id, self.performer.shadow.reading(), &host, clock, fastrand::f64());
            let observation = Observation {
                now: (self.wall)(),
                clock,
                boot_id,
                shadow: self.performer.shadow.reading().clone(),
                host,
                memory: self.memory.clone(),
            };
            let step = next_step(&observation);
            log(&step, &mut last);
            if step.action == Action::Exit {
                bail!("{}", gone(&observation.host));
            }
            let span = tracing::info_span!("step", act = step.action.as_str(), why = %step.reason);
            let performed = self.performer.perform(&step.action, observation.memory.on.progress.is_some());
            let outcome = performed.instrument(span).await;
            tracing::debug!(act = step.action.as_str(), ?outcome, "step performed");
            self.metrics.performed(&step.action, &outcome);
            self.memory.learn(&step.action, &outcome, began.elapsed(), fastrand::f64());
            hasty = if outcome == Outcome::Waited { 0 } else { hasty + 1 };
            if hasty >= HASTE {
                sleep(Duration::from_secs(1)).await;
            }
            self.metrics.spent(activity(&observation.shadow), round.elapsed());
        }
    }

    /// Looks at the host. `None`: it was rebooted in between.
    async fn look(&self, known: &mut Known) -> anyhow::Result<Option<(String, Host)>> {
        let boot_id = self.boot_id()?;
        let host = match self.ask(&boot_id, known).await {
            Ok(host) | Err(host) => host,
        };
        match &host {
            Host::Away { why, .. } if !known.away => tracing::warn!(why, "the update API gives no answer; trying on"),
            Host::Up { .. } if known.away => tracing::info!("the update API answers again"),
            Host::Away { .. } | Host::Up { .. } => {}
        }
        known.away = matches!(host, Host::Away { .. });
        Ok((self.boot_id()? == boot_id).then_some((boot_id, host)))
    }

    async fn ask(&self, boot_id: &str, known: &mut Known) -> Result<Host, Host> {
        let running = match &known.running {
            Some((boot, version)) if boot == boot_id => version.clone(),
            _ => {
                let version = self.performer.host.running().await?;
                known.running = Some((boot_id.to_owned(), version.clone()));
                version
            }
        };
        let updates = self.performer.host.updates().await?;
        Ok(Host::Up { running, updates })
    }

    /// The file is the kernel's, so reading it does not block.
    fn boot_id(&self) -> anyhow::Result<String> {
        match std::fs::read_to_string(&self.boot_id_file) {
            Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            Ok(_) => bail!("boot id file {} is empty", self.boot_id_file.display()),
            Err(error) => bail!("cannot read boot id file {}: {error}", self.boot_id_file.display()),
        }
    }
}

fn gone(host: &Host) -> String {
    let why = match host {
        Host::Away { why, .. } => why.as_str(),
        Host::Up { .. } => "it is gone",
    };
    let patience = crate::step::SOCKET_PATIENCE.as_secs();
    format!(
        "no connection to the update API for {patience} s; ending, so that the container is started with the socket as it is now: {why}"
    )
}

fn activity(reading: &ShadowReading) -> Option<Activity> {
    match reading {
        ShadowReading::Known(shadow) => shadow.observed.as_ref()?.activity,
        ShadowReading::Unknown | ShadowReading::Missing | ShadowReading::Unreadable(_) => None,
    }
}

/// One line when what is done, or why, changes.
fn log(step: &Step, last: &mut Option<(&'static str, Reason)>) {
    let this = (step.action.as_str(), step.reason);
    if last.as_ref() != Some(&this) {
        tracing::info!(act = this.0, why = %this.1, "next step");
        *last = Some(this);
    }
}
