//! What an accepted command does until it ends.

use std::time::Duration;

use jiff::Timestamp;

use super::faults::{Reach, Updater};
use super::machine::Machine;
use super::partitions::Installed;
use super::record::Happening;
use super::repository::{Offer, choose};
use super::script::Moment;
use super::status::Command;
use super::timing::after;

/// A command that was accepted and holds the lock.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) command: Command,
    /// Half of its time; `None` when that is over.
    pub(super) half: Option<Timestamp>,
    pub(super) ends: Timestamp,
    pub(super) task: Task,
}

/// What the update program does, as far as it was decided by what it read first: its configuration and the manifest.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// The repository does not answer, and every command begins with it.
    NoRepository,
    List(Vec<Offer>),
    Write(Installed),
    NothingRequired,
    Upgrade,
    CancelUpgrade,
}

/// How the update program ended.
pub(super) struct Ran {
    pub(super) exit_status: i32,
    pub(super) stderr: String,
}

impl Ran {
    fn good(stderr: impl Into<String>) -> Self {
        Self { exit_status: 0, stderr: stderr.into() }
    }

    fn bad(words: impl std::fmt::Display) -> Self {
        Self { exit_status: 1, stderr: format!("{words}\n") }
    }
}

impl Machine {
    fn reach(&self) -> Reach {
        self.faults.reach.max(self.repository.reach())
    }

    pub(super) fn start(&mut self, command: Command, now: Timestamp) {
        let task = self.task(command, now);
        let span = match (&task, self.reach()) {
            (Task::NoRepository, Reach::Hangs) => self.timings.repository_hangs,
            (Task::NoRepository, _) => self.timings.repository_refuses,
            (Task::List(_), _) => self.timings.refresh,
            (Task::Write(_), _) => self.timings.prepare,
            (Task::NothingRequired, _) => self.timings.refresh,
            (Task::Upgrade | Task::CancelUpgrade, _) => self.timings.activate,
        };
        let lasts = if self.faults.updater == Updater::Missing { Duration::ZERO } else { span.draw(&mut self.rng) };
        if matches!(task, Task::Write(_)) && self.faults.updater != Updater::Missing {
            self.disk.clear_inactive();
        }
        let half = Some(after(now, lasts / 2));
        self.worker = Some(Worker { command, half, ends: after(now, lasts), task });
    }

    /// What the update program finds to do. It chooses by itself, from what the repository and its configuration say now:
    /// what an earlier refresh had chosen does not matter to it.
    fn task(&self, command: Command, now: Timestamp) -> Task {
        if self.reach() >= Reach::Refuses {
            return Task::NoRepository;
        }
        let config = self.datastore.rendered();
        let running = self.disk.running();
        let offers = || {
            let ignore_waves = config.ignore_waves.unwrap_or_default();
            self.repository.offers(running, config.seed.unwrap_or_default(), ignore_waves, now)
        };
        match command {
            Command::Refresh => Task::List(offers()),
            Command::Prepare if self.faults.updater == Updater::NothingRequired => Task::NothingRequired,
            Command::Prepare => {
                let lock = config.version_lock.clone().unwrap_or_default();
                let offers = offers();
                let chosen = choose(&offers, &running.version, &lock);
                chosen.map_or(Task::NothingRequired, |offer| Task::Write(offer.installed.clone()))
            }
            Command::Activate => Task::Upgrade,
            Command::Deactivate => Task::CancelUpgrade,
        }
    }

    pub(super) fn worker_halfway(&mut self, at: Timestamp) {
        if let Some(worker) = &mut self.worker {
            worker.half = None;
            let command = worker.command;
            self.moment(Moment::Halfway(command), at);
        }
    }

    pub(super) fn worker_end(&mut self, at: Timestamp) {
        let Some(worker) = self.worker.take() else { return };
        let ran = self.run(&worker);
        let exit_status = ran.as_ref().map(|ran| ran.exit_status);
        if let Some(ran) = ran {
            self.conclude(&worker, ran, at);
        }
        self.record.add(at, Happening::Ended(worker.command, exit_status));
        self.moment(Moment::Ended(worker.command), at);
    }

    /// Runs the update program to its end. `None`: there is no such program.
    fn run(&mut self, worker: &Worker) -> Option<Ran> {
        match &self.faults.updater {
            Updater::Missing => return None,
            Updater::Killed(signal) => {
                return Some(Ran { exit_status: *signal, stderr: String::new() });
            }
            Updater::Exits { code, stderr } => {
                return Some(Ran { exit_status: *code, stderr: stderr.clone() });
            }
            Updater::Works | Updater::Garbage | Updater::NothingRequired => {}
        }
        Some(match &worker.task {
            Task::NoRepository => Ran::bad("Metadata error: Failed to fetch the repository's metadata"),
            Task::List(_) => Ran::good(""),
            Task::NothingRequired => Ran::good("No update required\n"),
            Task::Write(_) if self.reach() >= Reach::ImagesMissing => {
                Ran::bad("Metadata error: Failed to fetch the image from the repository")
            }
            Task::Write(installed) => {
                let words = format!("Starting update to {}\n", installed.image.version);
                self.disk.write_inactive(installed.clone());
                Ran::good(words)
            }
            Task::Upgrade => match self.disk.upgrade() {
                Ok(()) => Ran::good(""),
                Err(error) => Ran::bad(format_args!("Could not mark inactive partition for boot: {error}")),
            },
            Task::CancelUpgrade => {
                self.disk.cancel_upgrade();
                Ran::good("")
            }
        })
    }
}
