//! Things that somebody else does to a host, now or at a moment that a test could not hit by waiting.

use jiff::Timestamp;
use semver::Version;

use super::faults::{Faults, Reach};
use super::machine::{Effect, Machine};
use super::record::{Client, Happening};
use super::repository::Release;
use super::settings::{InvalidVersion, Lock, Settings, Updates};
use super::status::Command;

/// When a scripted deed is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The request for a command is there, and not yet looked at.
    Requested(Command),
    /// The command was accepted and holds the lock; a prepare has cleared the inactive set.
    Started(Command),
    /// Half of its time is over.
    Halfway(Command),
    /// It has ended and the status says so.
    Ended(Command),
    /// The request for a reboot is there, and not yet looked at.
    RebootRequested,
    /// The host has come up, and nobody has asked it anything.
    Booted,
}

/// What somebody else does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// A release appears in the repository.
    Publish(Release),
    /// A version is withdrawn from it.
    Withdraw(Version),
    /// The repository is in this reach of all hosts from now on.
    Reach(Reach),
    /// The running command dies without a trace: the status keeps its old timestamp.
    KillWorker,
    /// The API server restarts: the running command dies and the socket is another one.
    RestartApiServer,
    /// The power goes and comes back at once.
    PowerCycle,
    /// The power goes.
    PowerOff,
    /// The power comes back, to a host that is off or hangs.
    PowerOn,
    /// A foreign client asks for a command.
    Run(Command),
    /// A foreign client asks for a reboot.
    Reboot,
    /// A foreign client commits and applies settings.
    Set(Settings),
    /// From now on this, and only this, is wrong with the host.
    Break(Box<Faults>),
}

impl Deed {
    /// A foreign client sets the version lock.
    ///
    /// # Errors
    /// The text is neither `latest` nor a version.
    pub fn lock(version: &str) -> Result<Self, InvalidVersion> {
        let version_lock = Some(Lock::try_from(version.to_owned())?);
        Ok(Self::set(Updates { version_lock, ..Updates::default() }))
    }

    /// A foreign client makes waves count or not.
    #[must_use]
    pub fn ignore_waves(ignore: bool) -> Self {
        Self::set(Updates { ignore_waves: Some(ignore), ..Updates::default() })
    }

    /// A foreign client sets some of `settings.updates`.
    #[must_use]
    pub const fn set(updates: Updates) -> Self {
        Self::Set(Settings { motd: None, updates: Some(updates) })
    }
}

impl Machine {
    /// Has `deed` done once, the next time that `moment` comes.
    pub fn when(&mut self, moment: Moment, deed: Deed) {
        self.script.push((moment, deed));
    }

    pub(super) fn moment(&mut self, moment: Moment, at: Timestamp) {
        let (due, later) = std::mem::take(&mut self.script).into_iter().partition(|(when, _)| *when == moment);
        self.script = later;
        let due: Vec<(Moment, Deed)> = due;
        due.into_iter().for_each(|(_, deed)| self.deed(deed, at));
    }

    /// Somebody else does `deed` at `now`. What needs a host that is up does nothing to one that is not.
    pub fn perform(&mut self, deed: Deed, now: Timestamp) {
        self.advance(now);
        self.deed(deed, now);
    }

    fn deed(&mut self, deed: Deed, now: Timestamp) {
        match deed {
            Deed::Publish(release) => self.repository.publish(release),
            Deed::Withdraw(version) => self.repository.withdraw(&version),
            Deed::Reach(reach) => self.repository.set_reach(reach),
            Deed::KillWorker => self.lose_worker(now),
            Deed::RestartApiServer => self.restart_api_server(now),
            Deed::PowerCycle => {
                self.power_off(now);
                self.power_on(now);
            }
            Deed::PowerOff => self.power_off(now),
            Deed::PowerOn => self.power_on(now),
            Deed::Run(command) if self.power.answers() => drop(self.command(command, Client::Foreign, now)),
            Deed::Reboot if self.power.answers() => drop(self.reboot(Client::Foreign, now)),
            Deed::Set(settings) if self.power.answers() => self.set_as_foreigner(&settings, now),
            Deed::Run(_) | Deed::Reboot | Deed::Set(_) => {}
            Deed::Break(faults) => self.faults = *faults,
        }
    }

    fn set_as_foreigner(&mut self, settings: &Settings, now: Timestamp) {
        self.datastore.patch("foreign", settings);
        let changed = self.datastore.commit("foreign");
        self.record.add(now, Happening::Committed(changed, Client::Foreign));
        self.render_after(now);
    }

    fn restart_api_server(&mut self, now: Timestamp) {
        if self.power.answers() {
            self.lose_worker(now);
            self.record.add(now, Happening::ApiRestarted);
            self.effects.push(Effect::ApiRestarted);
        }
    }
}
