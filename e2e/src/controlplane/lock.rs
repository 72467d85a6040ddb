//! A lock between processes.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::Context;

/// A locked file. The lock ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock, or answers `None` while somebody else has it.
    pub(super) fn try_take(path: &Path) -> anyhow::Result<Option<Self>> {
        let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }
}

impl Drop for Lock {
    /// Closing the file is not enough: the lock is held for as long as any copy of it is open, and a child that another thread
    /// is starting has one until it becomes its program.
    fn drop(&mut self) {
        // Closing it, which comes next, does the same a little later.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_once_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::try_take(&path).unwrap().unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(lock);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }

    #[test]
    fn a_copy_of_the_descriptor_does_not_hold_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::try_take(&path).unwrap().unwrap();
        let _in_a_child = lock.0.try_clone().unwrap();
        drop(lock);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }
}
