//! Power, reboots, and which image comes up.

use fastrand::Rng;
use http::StatusCode;
use jiff::Timestamp;

use super::faults::{OnBoot, Reboot};
use super::machine::{Effect, Machine, StatusFile};
use super::partitions::Side;
use super::record::{Boot, Cause, Client, Happening};
use super::reply::{self, Reply};
use super::script::Moment;
use super::timing::after;

/// Failed attempts in a row after which a host stays away.
const ATTEMPTS: u32 = 4;

/// Where a host is between off and up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Power {
    Up,
    /// Still answers, until `at`.
    ShuttingDown {
        at: Timestamp,
        client: Client,
    },
    Booting(Attempt),
    /// Off, or in a boot that never ends.
    Off,
}

/// One try of the boot loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    side: Side,
    outcome: OnBoot,
    ends: Timestamp,
    cause: Cause,
    number: u32,
}

impl Power {
    pub(super) const fn answers(&self) -> bool {
        matches!(self, Self::Up | Self::ShuttingDown { .. })
    }

    pub(super) const fn wake_at(&self) -> Option<Timestamp> {
        match self {
            Self::ShuttingDown { at, .. } => Some(*at),
            Self::Booting(attempt) => Some(attempt.ends),
            Self::Up | Self::Off => None,
        }
    }
}

impl Machine {
    pub(super) fn reboot(&mut self, client: Client, now: Timestamp) -> Reply {
        self.moment(Moment::RebootRequested, now);
        if !self.power.answers() {
            return Reply::HangUp;
        }
        if let Reboot::Inhibited { stderr } = &self.faults.reboot {
            let words = format!("Failed to reboot, exit code: 1, stderr: {stderr}");
            let answer = reply::bare(StatusCode::INTERNAL_SERVER_ERROR, words);
            self.record.add(now, Happening::RebootRequested(client, answer.status()));
            return Reply::Answer(answer);
        }
        self.record.add(now, Happening::RebootRequested(client, StatusCode::NO_CONTENT));
        match self.faults.reboot {
            Reboot::CutOff => {
                self.fall(Cause::RebootRequest(client), now);
                self.start_boot(Cause::RebootRequest(client), now, 1);
                return Reply::HangUp;
            }
            Reboot::Happens if self.power == Power::Up => {
                let at = after(now, self.timings.shutdown.draw(&mut self.rng));
                self.power = Power::ShuttingDown { at, client };
            }
            Reboot::Happens | Reboot::Ignored | Reboot::Inhibited { .. } => {}
        }
        Reply::Answer(reply::no_content())
    }

    /// The time has come that [`Power::wake_at`] named.
    pub(super) fn power_turn(&mut self, at: Timestamp) {
        match std::mem::replace(&mut self.power, Power::Off) {
            Power::ShuttingDown { client, .. } => {
                self.fall(Cause::RebootRequest(client), at);
                self.start_boot(Cause::RebootRequest(client), at, 1);
            }
            Power::Booting(attempt) => self.end_boot(&attempt, at),
            other @ (Power::Up | Power::Off) => self.power = other,
        }
    }

    pub(super) fn power_off(&mut self, now: Timestamp) {
        if self.power.answers() {
            self.fall(Cause::Power, now);
        }
        self.power = Power::Off;
    }

    pub(super) fn power_on(&mut self, now: Timestamp) {
        if self.power == Power::Off {
            self.start_boot(Cause::Power, now, 1);
        }
    }

    /// All that is in memory is lost: the running command, the status, open transactions.
    fn fall(&mut self, cause: Cause, at: Timestamp) {
        self.power = Power::Off;
        self.lose_worker(at);
        self.status = StatusFile::Absent;
        self.datastore.boot();
        self.record.add(at, Happening::WentDown(cause));
        self.effects.push(Effect::Down(cause));
    }

    fn start_boot(&mut self, cause: Cause, at: Timestamp, number: u32) {
        let picked = if number > ATTEMPTS { None } else { self.disk.pick() };
        let attempt = picked.map(|side| (side, self.boot_outcome(side)));
        match attempt {
            Some((side, outcome)) if outcome != OnBoot::Hangs => {
                let ends = after(at, self.timings.boot.draw(&mut self.rng));
                self.power = Power::Booting(Attempt { side, outcome, ends, cause, number });
            }
            Some(_) | None => {
                self.power = Power::Off;
                self.record.add(at, Happening::Hung);
            }
        }
    }

    fn boot_outcome(&mut self, side: Side) -> OnBoot {
        let content = self.disk.set(side).content.as_ref();
        let by_image = content.map_or(OnBoot::FailsToBoot, |installed| installed.on_boot);
        self.faults.next_boot.take().unwrap_or(by_image)
    }

    fn end_boot(&mut self, attempt: &Attempt, at: Timestamp) {
        let from = self.disk.running().version.clone();
        if attempt.outcome == OnBoot::FailsToBoot || !self.disk.run_from(attempt.side) {
            let content = self.disk.set(attempt.side).content.as_ref();
            let version = content.map_or(from, |installed| installed.image.version.clone());
            self.record.add(at, Happening::BootFailed(version));
            return self.start_boot(attempt.cause, at, attempt.number + 1);
        }
        if attempt.outcome == OnBoot::ComesUp {
            self.disk.mark_successful();
        }
        self.power = Power::Up;
        self.boot_id = boot_id(&mut self.rng);
        let (boot_id, version, cause) = (self.boot_id.clone(), self.disk.running().version.clone(), attempt.cause);
        let boot = Boot { at, boot_id: boot_id.clone(), from, version: version.clone(), cause };
        self.record.add(at, Happening::Booted(boot));
        self.effects.push(Effect::Up { boot_id, version, cause });
        self.moment(Moment::Booted, at);
    }
}

/// A random UUID in the form of `/proc/sys/kernel/random/boot_id`, without the newline.
pub(super) fn boot_id(rng: &mut Rng) -> String {
    let bits = rng.u128(..);
    let bits = bits & !(0xf << 76) | (0x4 << 76);
    let bits = bits & !(0x3 << 62) | (0x2 << 62);
    let digits = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| digits.get(range).unwrap_or_default());
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_id_is_a_random_uuid() {
        let mut rng = Rng::with_seed(1);
        let (one, two) = (boot_id(&mut rng), boot_id(&mut rng));
        assert_ne!(one, two);
        for id in [one, two] {
            assert_eq!(id.len(), 36, "{id}");
            assert_eq!(id.match_indices('-').map(|(at, _)| at).collect::<Vec<_>>(), [8, 13, 18, 23], "{id}");
            assert_eq!(&id[14..15], "4", "{id}");
            assert!(["8", "9", "a", "b"].contains(&&id[19..20]), "{id}");
        }
    }
}
