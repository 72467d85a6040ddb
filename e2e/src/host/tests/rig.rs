//! A machine with a clock of its own.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use jiff::Timestamp;
use semver::Version;

use crate::host::timing::Timings;
use crate::host::{Command, CommandStatus, Deed, Machine, Release, Reply, Repository, UpdateState, UpdateStatus};

pub(super) const STATUS: &str = "/updates/status";

pub(super) fn version(minor: u64) -> Version {
    Version::new(1, minor, 0)
}

/// A host at 1.16.0, with 1.16.0 and 1.17.0 in the repository, that takes a second and more for everything.
pub(super) struct Rig {
    pub(super) machine: Machine,
    pub(super) repository: Repository,
    pub(super) now: Timestamp,
}

impl Rig {
    pub(super) fn new() -> Self {
        let repository = Repository::of([version(16), version(17)]);
        let image = Release::new(version(16)).image;
        Self {
            machine: Machine::new(image, repository.clone(), Timings::default(), 1),
            repository,
            now: "2026-11-22T05:34:15.918102166Z".parse().unwrap(),
        }
    }

    /// Time enough for anything but a hanging repository.
    pub(super) fn settle(&mut self) -> &mut Self {
        self.pass(Duration::from_secs(30))
    }

    pub(super) fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.machine.advance(self.now);
        self
    }

    pub(super) fn reply(&mut self, method: &str, uri: &str, body: &str) -> Reply {
        let request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        self.machine.request(&request, self.now)
    }

    pub(super) fn send(&mut self, method: &str, uri: &str, body: &str) -> (StatusCode, String) {
        let answer = self.reply(method, uri, body).answer().expect("no answer");
        let body = String::from_utf8(answer.body().to_vec()).unwrap();
        (answer.status(), body)
    }

    pub(super) fn get(&mut self, uri: &str) -> (StatusCode, String) {
        self.send("GET", uri, "")
    }

    pub(super) fn code(&mut self, command: Command) -> StatusCode {
        self.send("POST", command.path(), "").0
    }

    /// An accepted command, run to its end.
    pub(super) fn run(&mut self, command: Command) -> &mut Self {
        assert_eq!(self.code(command), StatusCode::NO_CONTENT, "{command:?}");
        self.settle()
    }

    pub(super) fn perform(&mut self, deed: Deed) -> &mut Self {
        self.machine.perform(deed, self.now);
        self
    }

    pub(super) fn status(&self) -> &UpdateStatus {
        self.machine.status().expect("no status")
    }

    pub(super) fn state(&self) -> UpdateState {
        self.status().update_state
    }

    /// What the last command left: its outcome and its words.
    pub(super) fn outcome(&self) -> (Command, CommandStatus, &str) {
        let last = self.status().most_recent_command.as_ref().expect("no command");
        (last.cmd_type, last.cmd_status, last.stderr.as_deref().unwrap_or_default())
    }

    pub(super) fn running(&self) -> &Version {
        &self.machine.disk().running().version
    }
}
