//! What an observation changes.

use std::time::Duration;

use api::Shadow;
use api::shadow::{Activity, State};

use super::learn::RENDERED;
use super::{Absence, ForDesired, Memory, Offered, Trouble};
use crate::observe::{Host, ShadowReading};
use crate::step::SHORT_PATIENCE;
use crate::updates::{Command, CommandOutcome, CommandStatus, Updates, judge};

impl Memory {
    /// Takes in what was just seen, before the next step is decided. `jitter` is in 0..1.
    pub fn see(&mut self, boot_id: &str, shadow: &ShadowReading, host: &Host, clock: Duration, jitter: f64) {
        if self.boot_id != boot_id {
            *self = Self { boot_id: boot_id.to_owned(), ..Self::new(self.interval) };
        }
        if let ShadowReading::Known(shadow) = shadow {
            self.see_desired(shadow, clock, jitter);
        }
        self.away = match host {
            Host::Away { .. } => Some(Absence::after(self.away.as_ref(), clock, jitter)),
            Host::Up { .. } => None,
        };
        match host {
            Host::Away { refused: true, .. } => {
                self.refused_since.get_or_insert(clock);
            }
            Host::Away { refused: false, .. } => self.refused_since = None,
            Host::Up { updates, .. } => {
                self.refused_since = None;
                self.see_updates(updates, clock, jitter);
            }
        }
    }

    fn see_desired(&mut self, shadow: &Shadow, clock: Duration, jitter: f64) {
        let desired = (shadow.desired.state, shadow.desired.since, shadow.desired.version.clone());
        if self.desired.as_ref() != Some(&desired) {
            self.desired = Some(desired);
            self.on = ForDesired::default();
        }
        let fresh = shadow.observed.as_ref().is_none_or(|report| report.activity == Some(Activity::Checking));
        let first = if fresh { clock } else { clock + self.interval.mul_f64(jitter) };
        self.check_at.get_or_insert(first);
    }

    fn see_updates(&mut self, updates: &Updates, clock: Duration, jitter: f64) {
        if let Some(issued) = &self.command {
            let verdict = judge(issued.command, issued.before.as_deref(), updates);
            if verdict == CommandOutcome::Running {
                self.despair_of_refresh(updates, clock, jitter);
                return;
            }
            let command = issued.command;
            if let (CommandOutcome::Lost, Updates::Known(status)) = (&verdict, updates) {
                self.foreign |= status.stamp() != issued.before.as_deref();
            }
            self.command = None;
            self.settle(command, verdict, updates, clock, jitter);
        } else if let (Updates::Known(now), Some(before)) = (updates, &self.known) {
            self.foreign |= now.stamp() != before.stamp();
        }
        match updates {
            Updates::Busy | Updates::Unreadable(_) => {
                self.unreadable_since.get_or_insert(clock);
                return;
            }
            Updates::Uninitialised => self.known = None,
            Updates::Known(status) => self.known = Some(status.clone()),
        }
        self.unreadable_since = None;
        self.see_offer();
    }

    /// A refresh whose outcome stays unreadable is given up, so that the next one can be tried.
    fn despair_of_refresh(&mut self, updates: &Updates, clock: Duration, jitter: f64) {
        let over = |issued: &mut super::Issued| {
            issued.command == Command::Refresh && clock.saturating_sub(issued.at) >= SHORT_PATIENCE
        };
        if let Updates::Unreadable(why) = updates
            && self.command.take_if(over).is_some()
        {
            self.failed(Command::Refresh, format!("the update status cannot be read: {why}"), clock, jitter);
        }
    }

    /// A status whose last command is no refresh still has the lists of the last one, once there was one.
    fn see_offer(&mut self) {
        let Some(status) = &self.known else { return };
        let refreshed = status
            .most_recent_command
            .as_ref()
            .is_some_and(|last| last.cmd_type == Command::Refresh && last.cmd_status == CommandStatus::Success);
        if refreshed || self.offered.is_some() {
            self.offered = Some(Offered {
                chosen: status.chosen_update.as_ref().map(|image| image.version.clone()),
                available: status.available_updates.clone(),
            });
        }
    }

    fn settle(&mut self, command: Command, verdict: CommandOutcome, updates: &Updates, clock: Duration, jitter: f64) {
        let outcome = match verdict {
            CommandOutcome::Failed(text) => Err(text),
            CommandOutcome::Lost => Err("nothing came of it".to_owned()),
            CommandOutcome::Running | CommandOutcome::Succeeded => Ok(()),
        };
        tracing::debug!(command = command.as_str(), failed = outcome.as_ref().err(), "host command ended");
        if command == Command::Refresh {
            self.check_at = Some(clock + self.interval.mul_f64(0.9 + 0.2 * jitter));
        }
        if let Err(text) = outcome {
            self.failed(command, text, clock, jitter);
            return;
        }
        match (command, updates) {
            (Command::Refresh, _) => self.refreshed(updates, clock),
            (Command::Prepare, Updates::Known(status)) => {
                let wrote = status
                    .staged()
                    .filter(|staged| status.most_recent_command.as_ref().is_some_and(|last| last.wrote(staged)));
                self.accepted = wrote.cloned();
                self.foreign = false;
                if self.accepted.is_none() {
                    // What the host is offered has changed since the refresh: ask again before the next attempt.
                    self.refreshed_at = None;
                    let text = "the host did not write the version it had chosen".to_owned();
                    self.failed(command, text, clock, jitter);
                    return;
                }
            }
            (Command::Activate, _) => {
                self.late = self.desired.as_ref().is_none_or(|(state, ..)| *state != State::RebootedIntoUpdate);
            }
            (Command::Deactivate, _) => self.late = false,
            (Command::Prepare | Command::Other, _) => {}
        }
        self.on.trouble.remove(&command);
    }

    /// While a version is desired the host must choose that one; what it is held to is read again before it is relied on.
    fn refreshed(&mut self, updates: &Updates, clock: Duration) {
        self.refreshed_at = Some(clock);
        self.on.lock = None;
        let asked = self.desired.as_ref().and_then(|(_, _, version)| version.as_ref());
        let chosen = match updates {
            Updates::Known(status) => status.chosen_update.as_ref().map(|image| &image.version),
            Updates::Uninitialised | Updates::Busy | Updates::Unreadable(_) => None,
        };
        if asked.is_none() || asked == chosen {
            self.on.unseen = 0;
        } else {
            self.on.unseen = self.on.unseen.saturating_add(1);
            self.hold_until = clock + RENDERED.saturating_mul(1 << self.on.unseen.min(4));
        }
    }

    pub(super) fn failed(&mut self, command: Command, text: String, clock: Duration, jitter: f64) {
        let before = self.on.trouble.get(&command);
        let trouble = Trouble::after(before, text, clock, jitter);
        self.on.trouble.insert(command, trouble);
    }
}
