//! The request for a command: which of them the state allows, and what the others are told.

use http::StatusCode;
use jiff::Timestamp;

use super::machine::{Machine, StatusFile};
use super::record::{Client, Happening};
use super::reply::{self, Reply};
use super::script::Moment;
use super::status::{Command, UpdateState, UpdateStatus};

/// Why the state does not allow a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Disallowed,
    NoChosenUpdate,
    NoStagedImage,
}

/// The state machine's table.
const fn refusal(status: &UpdateStatus, command: Command) -> Option<Refusal> {
    let no_image = status.staging_partition.is_none();
    match (command, status.update_state) {
        (Command::Prepare, UpdateState::Available | UpdateState::Staged) if status.chosen_update.is_none() => {
            Some(Refusal::NoChosenUpdate)
        }
        (Command::Activate, UpdateState::Staged) | (Command::Deactivate, UpdateState::Ready) if no_image => {
            Some(Refusal::NoStagedImage)
        }
        (Command::Refresh, _)
        | (Command::Prepare, UpdateState::Available | UpdateState::Staged)
        | (Command::Activate, UpdateState::Staged)
        | (Command::Deactivate, UpdateState::Ready) => None,
        _ => Some(Refusal::Disallowed),
    }
}

const DISPATCHER_FAILED: (StatusCode, &str) = (StatusCode::INTERNAL_SERVER_ERROR, "Update dispatcher failed");

impl Machine {
    /// A request for `command`.
    pub(super) fn command(&mut self, command: Command, client: Client, now: Timestamp) -> Reply {
        self.moment(Moment::Requested(command), now);
        if !self.power.answers() {
            return Reply::HangUp;
        }
        match self.admit(command) {
            Ok(()) => {
                self.record.add(now, Happening::Started(command, client));
                self.start(command, now);
                self.moment(Moment::Started(command), now);
                // Somebody may have cut the power in between.
                if self.power.answers() { Reply::Answer(reply::no_content()) } else { Reply::HangUp }
            }
            Err((code, words)) => {
                self.record.add(now, Happening::Refused(command, client, code));
                Reply::Answer(reply::bare(code, words))
            }
        }
    }

    fn admit(&mut self, command: Command) -> Result<(), (StatusCode, &'static str)> {
        if self.faults.no_in_place_updates {
            // The blank at the end is the real server's.
            let words = "Unable to start the update dispatcher: No such file or directory (os error 2) ";
            return Err((StatusCode::INTERNAL_SERVER_ERROR, words));
        }
        if self.faults.no_lock_folder {
            return Err(DISPATCHER_FAILED);
        }
        if self.worker.is_some() {
            return Err((StatusCode::LOCKED, "Update lock held"));
        }
        if self.status == StatusFile::Absent {
            // Also a command that is refused leaves a status behind.
            let next_to_boot = self.disk.active_boots_next().ok_or(DISPATCHER_FAILED)?;
            let status = UpdateStatus::new(self.disk.running().clone(), next_to_boot);
            self.status = StatusFile::Present(Box::new(status));
        }
        let StatusFile::Present(status) = &self.status else {
            return Err(DISPATCHER_FAILED);
        };
        match refusal(status, command) {
            None => Ok(()),
            Some(Refusal::Disallowed) => {
                Err((StatusCode::CONFLICT, "Update action not allowed according to update state"))
            }
            Some(Refusal::NoChosenUpdate) => Err((StatusCode::NOT_FOUND, "Previously chosen Update no longer exists")),
            Some(Refusal::NoStagedImage) => {
                Err((StatusCode::NOT_FOUND, "No update image applied to staging partition"))
            }
        }
    }
}
