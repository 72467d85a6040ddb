//! The programs of one control plane, and the end of all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::ensure;

use super::process::{Process, Surroundings};
use super::program::Program;
use super::screen::say;

/// A handle to the programs of one control plane, for those that start some: clones are the same programs. It keeps nothing
/// running: once the control plane has ended, nothing is started any more.
#[derive(Debug, Clone)]
pub(crate) struct Processes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    surroundings: Surroundings,
    processes: Mutex<Vec<Process>>,
}

impl Processes {
    pub(super) fn new(surroundings: Surroundings) -> Self {
        Self(Arc::new(Shared { surroundings, processes: Mutex::default() }))
    }

    /// Starts a program that ends with the control plane.
    ///
    /// # Errors
    /// When a program of that name still runs, there is no such file, or the control plane has ended.
    pub(crate) fn spawn(&self, name: &str, program: Program) -> anyhow::Result<Process> {
        let mut processes = self.lock();
        ensure!(
            !processes.iter().any(|process| process.name() == name && process.is_running()),
            "a program called {name} is running already"
        );
        let process = Process::start(name, program, &self.0.surroundings)?;
        processes.retain(|process| process.name() != name);
        processes.push(process.clone());
        Ok(process)
    }

    /// Everything that was started.
    pub(super) fn all(&self) -> Vec<Process> {
        self.lock().clone()
    }

    /// Ends every process at once, and for good. Nothing that they hold is of use any more, so none is asked.
    pub(super) fn end(&self) {
        self.0.surroundings.end();
        let processes: Vec<Process> = self.lock().drain(..).collect();
        for process in &processes {
            let _ = process.signal(rustix::process::Signal::KILL);
        }
        for process in &processes {
            if let Err(error) = process.kill() {
                say(&format!("cannot stop {}: {error}", process.name()));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Process>> {
        self.0.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_started_after_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let processes = Processes::new(Surroundings::of_tests(folder.path()));
        let sleep = || Program::new("/bin/sleep").arg("60");
        let process = processes.spawn("sleeper", sleep()).unwrap();
        assert_eq!(processes.all().len(), 1);
        processes.end();
        assert!(!process.is_running());

        let refused = [process.restart().unwrap_err(), processes.spawn("sleeper", sleep()).unwrap_err()];
        for error in refused {
            assert!(format!("{error:#}").ends_with("its control plane has ended"), "{error:#}");
        }
        assert!(!process.is_running() && processes.all().is_empty());
    }
}
