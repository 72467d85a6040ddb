//! What a command that has run leaves in the status.

use jiff::Timestamp;

use super::faults::Updater;
use super::machine::{Machine, StatusFile};
use super::repository::choose;
use super::status::{Command, CommandResult, CommandStatus, StagedImage, UpdateState};
use super::worker::{Ran, Task, Worker};

impl Machine {
    /// Writes the outcome to the status.
    pub(super) fn conclude(&mut self, worker: &Worker, ran: Ran, at: Timestamp) {
        let StatusFile::Present(status) = &mut self.status else {
            return;
        };
        let succeeded = ran.exit_status == 0;
        status.most_recent_command = Some(CommandResult {
            cmd_type: worker.command,
            cmd_status: if succeeded { CommandStatus::Success } else { CommandStatus::Failed },
            timestamp: at,
            exit_status: Some(ran.exit_status),
            stderr: Some(ran.stderr),
        });
        let below_staged = matches!(status.update_state, UpdateState::Idle | UpdateState::Available);
        match (worker.command, &worker.task) {
            (Command::Refresh, Task::List(offers)) if succeeded => {
                if self.faults.updater == Updater::Garbage {
                    return;
                }
                let lock = self.datastore.rendered().version_lock.clone().unwrap_or_default();
                let chosen = choose(offers, &self.disk.running().version, &lock);
                status.available_updates = offers.iter().map(|offer| offer.version().clone()).collect();
                status.chosen_update = chosen.map(|offer| offer.installed.image.clone());
                if below_staged {
                    let found = status.chosen_update.is_some();
                    status.update_state = if found { UpdateState::Available } else { UpdateState::Idle };
                }
            }
            // The lists keep what an earlier refresh found.
            (Command::Refresh, _) if below_staged => status.update_state = UpdateState::Idle,
            (Command::Prepare, _) if succeeded => {
                // What the refresh had chosen, whatever was written.
                let image = status.chosen_update.clone();
                status.staging_partition = image.map(|image| StagedImage { image, next_to_boot: false });
                status.update_state = UpdateState::Staged;
            }
            (Command::Activate, _) if succeeded => {
                status.set_staging_boots_next(true);
                status.update_state = UpdateState::Ready;
            }
            (Command::Deactivate, _) if succeeded => {
                status.set_staging_boots_next(false);
                status.update_state = UpdateState::Staged;
            }
            (Command::Refresh | Command::Prepare | Command::Activate | Command::Deactivate, _) => {}
        }
    }
}
