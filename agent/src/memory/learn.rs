//! What a step's outcome changes.

use std::time::Duration;

use super::{DrainDone, DrainLost, Issued, Memory, Pinned, Trouble};
use crate::lock::Lock;
use crate::outcome::{Asked, Drained, Outcome};
use crate::progress;
use crate::step::Action;
use crate::updates::Command;

/// Until a changed setting is in the files of the host's update programs: 50 to 60 ms on a real one.
pub(super) const RENDERED: Duration = Duration::from_millis(100);
/// Until a busy host is asked again.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// Until the apiserver is asked again for what it does not see yet.
const AGAIN: Duration = Duration::from_secs(2);
/// Until an approval the apiserver does not see is tried again; a change of the desired state is noticed at once.
const REFUSED_PAUSE: Duration = Duration::from_secs(15);
/// Until a host without in-place updates is asked again.
const UNSUPPORTED_PAUSE: Duration = Duration::from_secs(3600);

impl Memory {
    /// Takes in what came of a step. `jitter` is in 0..1.
    pub fn learn(&mut self, action: &Action, outcome: &Outcome, clock: Duration, jitter: f64) {
        match outcome {
            Outcome::CallFailed(text) => {
                self.call_trouble = Some(Trouble::after(self.call_trouble.as_ref(), text.clone(), clock, jitter));
                return;
            }
            Outcome::Waited => return,
            Outcome::Asked(asked) => match action {
                Action::Reboot => self.asked_to_reboot(asked, clock, jitter),
                Action::Command(command) => self.asked(*command, asked, clock, jitter),
                _ => {}
            },
            Outcome::Shadow(_) => self.on.reread |= matches!(action, Action::Reread),
            Outcome::Conflict => {}
            Outcome::Lock(text) => self.read_lock(text),
            Outcome::LockSet => self.set_lock(action, clock),
            Outcome::LockFailed(text) => {
                self.on.lock = None;
                let before = self.on.lock_trouble.as_ref();
                self.on.lock_trouble = Some(Trouble::after(before, text.clone(), clock, jitter));
            }
            Outcome::Drained(drained) => self.drain(action, drained, clock, jitter),
            Outcome::Restored if *action == Action::Include => self.on.included = true,
            Outcome::Restored => self.on.restored = true,
            Outcome::NotRestoring => self.on.restore_at = clock + AGAIN.mul_f64(1.0 + jitter),
        }
        if !matches!(outcome, Outcome::Asked(_) | Outcome::Lock(_) | Outcome::LockSet | Outcome::LockFailed(_)) {
            self.call_trouble = None;
        }
    }

    fn read_lock(&mut self, text: &str) {
        let named = Lock::new(text);
        self.pinned.take_if(|pinned| !named.is(&pinned.set));
        self.know_lock(text.to_owned());
    }

    fn know_lock(&mut self, text: String) {
        self.lock = Some(text.clone());
        self.on.lock = Some(text);
    }

    fn set_lock(&mut self, action: &Action, clock: Duration) {
        let (from, to) = match action {
            Action::SetLock { from, before, to } => {
                self.pinned = Some(Pinned { before: before.clone(), set: to.clone() });
                (from, to.to_string())
            }
            Action::RestoreLock { from, to } => {
                self.pinned = None;
                self.check_at = Some(clock);
                (from, to.clone())
            }
            _ => return,
        };
        self.on.unseen = if *from == to { self.on.unseen.saturating_add(1) } else { 0 };
        self.know_lock(to);
        self.on.lock_trouble = None;
        // What the host would take is another version from now on, as soon as it has noticed.
        self.refreshed_at = None;
        self.hold_until = self.hold_until.max(clock + RENDERED);
    }

    fn asked(&mut self, command: Command, asked: &Asked, clock: Duration, jitter: f64) {
        // Each attempt to activate looks at the approval again.
        self.on.reread &= command != Command::Activate;
        let text = match asked {
            Asked::Started => return self.issued(command, clock),
            Asked::Busy => {
                self.hold_until = clock + BUSY_PAUSE.mul_f64(1.0 + jitter);
                return;
            }
            Asked::Unsupported(_) => {
                self.unsupported_until = Some(clock + UNSUPPORTED_PAUSE.mul_f64(1.0 + jitter));
                return;
            }
            // It may have begun: the status tells, as it does for a lost worker.
            Asked::NoAnswer(_) => return self.issued(command, clock),
            Asked::NotAllowed => "the host's update state does not allow it".to_owned(),
            Asked::Gone(text) | Asked::Failed(text) => text.clone(),
        };
        if command == Command::Refresh {
            self.check_at = Some(clock + self.interval.mul_f64(0.9 + 0.2 * jitter));
        } else {
            // What the last refresh said no longer holds.
            self.refreshed_at = None;
        }
        self.failed(command, text, clock, jitter);
    }

    fn issued(&mut self, command: Command, clock: Duration) {
        let before = self.known.as_ref().and_then(|status| status.stamp()).map(str::to_owned);
        self.command = Some(Issued { command, before, at: clock });
    }

    fn asked_to_reboot(&mut self, asked: &Asked, clock: Duration, jitter: f64) {
        match asked {
            // A machine that goes down may not get its answer out.
            Asked::Started | Asked::NoAnswer(_) => {
                self.reboot_asked = Some(clock);
                self.reboot_trouble = None;
                // Should it stay up, everything is looked at again.
                self.on.drained = None;
                self.on.reread = false;
            }
            Asked::Busy | Asked::NotAllowed => self.reboot_refused("it is not allowed".to_owned(), clock, jitter),
            Asked::Gone(text) | Asked::Unsupported(text) | Asked::Failed(text) => {
                self.reboot_refused(text.clone(), clock, jitter);
            }
        }
    }

    fn reboot_refused(&mut self, text: String, clock: Duration, jitter: f64) {
        self.reboot_trouble = Some(Trouble::after(self.reboot_trouble.as_ref(), text, clock, jitter));
    }

    fn drain(&mut self, action: &Action, drained: &Drained, clock: Duration, jitter: f64) {
        match drained {
            Drained::Done if matches!(action, Action::Exclude(_)) => {
                self.on.excluded_at = Some(clock);
                return;
            }
            Drained::Done => {
                let Action::Drain { approval, activated } = action else { return };
                let since = self.on.drained.as_ref().map_or(clock, |done| done.since);
                self.on.reread &= *activated;
                self.on.progress = None;
                self.on.drained =
                    Some(DrainDone { approval: approval.clone(), since, at: clock, activated: *activated });
                return;
            }
            Drained::Progress(progress) => self.on.progress = Some(progress::line(progress)),
            Drained::NoApproval => self.on.refused_until = Some(clock + REFUSED_PAUSE.mul_f64(1.0 + jitter)),
            Drained::Vetoed => self.on.drain_lost = Some(DrainLost::Vetoed),
            Drained::TimedOut => self.on.drain_lost = Some(DrainLost::TimedOut),
            Drained::Interrupted => {}
        }
        self.on.drained = None;
    }
}
