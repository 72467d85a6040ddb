//! A look inside a machine, and the means to spoil what is there.

use super::datastore::Datastore;
use super::faults::Faults;
use super::machine::{Machine, StatusFile};
use super::partitions::Disk;
use super::record::Record;
use super::status::UpdateStatus;

impl Machine {
    /// Whether the host is up; a host about to go down still is.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.power.answers()
    }

    /// The boot id; of the last boot while the host is down.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// The disk, with the running image.
    #[must_use]
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The settings.
    #[must_use]
    pub const fn datastore(&self) -> &Datastore {
        &self.datastore
    }

    /// The update status, lock or not. `None`: there is none, or none that can be read.
    #[must_use]
    pub fn status(&self) -> Option<&UpdateStatus> {
        match &self.status {
            StatusFile::Present(status) => Some(status),
            StatusFile::Absent | StatusFile::Corrupt => None,
        }
    }

    /// Whether a command holds the lock.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        self.worker.is_some()
    }

    /// What happened so far.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// What is wrong with the host.
    #[must_use]
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The same, to change it.
    pub const fn faults_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Overwrites the status file with something that is no JSON.
    pub fn corrupt_status(&mut self) {
        self.status = StatusFile::Corrupt;
    }

    /// Edits the status file by hand. Nothing happens when there is none.
    pub fn edit_status(&mut self, edit: impl FnOnce(&mut UpdateStatus)) {
        if let StatusFile::Present(status) = &mut self.status {
            edit(status);
        }
    }

    /// Removes the status file.
    pub fn remove_status(&mut self) {
        self.status = StatusFile::Absent;
    }

    /// Drops the scripted deeds that have not been done.
    pub fn forget_script(&mut self) {
        self.script.clear();
    }
}
