//! What one control plane holds of the machine.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::{fs, thread};

use anyhow::Context;

use super::assets::Assets;
use super::dump;
use super::environment::Environment;
use super::folder::Folder;
use super::janitor::Janitor;
use super::process::{Process, Surroundings};
use super::processes::Processes;
use super::program::Program;
use super::screen::say;
use super::slots::Slot;
use super::underlay::Underlay;

/// The folder and the processes of one control plane. Dropped, it stops the processes and removes the folder, unless the
/// folder is to be kept.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) assets: Assets,
    pub(super) folder: Folder,
    pub(super) processes: Processes,
    keeping: Mutex<Keeping>,
    // Released after everything else: fields are dropped after `drop`.
    _slot: Slot,
}

#[derive(Debug)]
struct Keeping {
    kept: bool,
    janitor: Janitor,
}

impl Site {
    pub(super) fn create(assets: Assets, environment: &Environment, slot: Slot) -> anyhow::Result<Self> {
        // Short, because unix sockets live below it and their paths have at most 107 bytes. From here on the folder is removed
        // by the drop of the site or, when there is no drop, by the janitor.
        let temporary =
            tempfile::Builder::new().prefix("brupop-").tempdir().context("cannot create a temporary folder")?;
        let janitor = Janitor::watch(temporary.path())?;
        let folder = Folder::at(temporary.keep());
        let surroundings = Surroundings::new(environment.path.clone(), folder.root().to_path_buf(), folder.logs());
        let keeping = Mutex::new(Keeping { kept: false, janitor });
        let site = Self { assets, folder, processes: Processes::new(surroundings), keeping, _slot: slot };
        for folder in site.folder.folders() {
            fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(site)
    }

    /// Starts a program that ends with this site.
    pub(super) fn spawn(&self, name: &str, program: Program) -> anyhow::Result<Process> {
        self.processes.spawn(name, program)
    }

    /// Starts one of the control plane's own programs.
    pub(super) fn spawn_server(
        &self,
        name: &str,
        flags: Vec<String>,
        underlay: Option<&Underlay>,
    ) -> anyhow::Result<Process> {
        let program = Program::new(self.assets.program(name)).args(flags);
        self.spawn(
            name,
            match underlay {
                Some(underlay) => program.in_network(&underlay.namespace()),
                None => program,
            },
        )
    }

    /// Lets the folder stay, also when this process is killed.
    pub(super) fn keep(&self) {
        let mut keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        keeping.kept = true;
        keeping.janitor.leave();
    }

    fn remove(&self, keeping: &mut Keeping) {
        match fs::remove_dir_all(self.folder.root()) {
            // The janitor has nothing left to do.
            Ok(()) => keeping.janitor.leave(),
            Err(error) => say(&format!("cannot remove {}: {error}", self.folder.root().display())),
        }
    }

    /// The folder that stays, if it does.
    fn kept(&self) -> Option<PathBuf> {
        let keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        keeping.kept.then(|| self.folder.root().to_path_buf())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if thread::panicking() {
            self.keep();
            dump::write(&self.assets, &self.folder);
        }
        self.processes.end();
        match self.kept() {
            Some(folder) => say(&format!("the control plane's logs and objects are kept in {}", folder.display())),
            None => {
                let mut keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
                self.remove(&mut keeping);
            }
        }
    }
}
