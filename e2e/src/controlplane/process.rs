//! A running program.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, kill_process};
use tokio::time::{Instant, sleep};

use super::program::Program;
use super::spawner;

pub use rustix::process::Signal;

/// How often [`Process::stop`] looks whether the program has ended.
const POLL: Duration = Duration::from_millis(10);

/// A program that runs under a control plane, and ends with it at the latest. A handle: clones are the same process, and
/// dropping one ends nothing.
#[derive(Debug, Clone)]
pub struct Process(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: String,
    program: Program,
    surroundings: Surroundings,
    log: PathBuf,
    child: Mutex<Child>,
}

/// What every program of one control plane has in common.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub(super) path: std::ffi::OsString,
    pub(super) home: PathBuf,
    pub(super) logs: PathBuf,
    ended: Arc<AtomicBool>,
}

impl Surroundings {
    pub(super) fn new(path: std::ffi::OsString, home: PathBuf, logs: PathBuf) -> Self {
        Self { path, home, logs, ended: Arc::default() }
    }

    /// From now on nothing is started in them.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    #[cfg(test)]
    pub(super) fn of_tests(folder: &Path) -> Self {
        Self::new("/usr/bin:/bin".into(), folder.into(), folder.into())
    }
}

impl Process {
    pub(super) fn start(name: &str, program: Program, surroundings: &Surroundings) -> anyhow::Result<Self> {
        let log = surroundings.logs.join(format!("{name}.log"));
        let child = start(&program, surroundings, &log).with_context(|| format!("cannot start {name}"))?;
        let surroundings = surroundings.clone();
        Ok(Self(Arc::new(Shared { name: name.to_owned(), program, surroundings, log, child: Mutex::new(child) })))
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The file with its standard output and error, across restarts.
    pub fn log_path(&self) -> &Path {
        &self.0.log
    }

    /// Its process id, of the latest start. The process may have ended.
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// How it ended, or `None` while it runs.
    pub fn exit_status(&self) -> io::Result<Option<ExitStatus>> {
        self.child().try_wait()
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        matches!(self.exit_status(), Ok(None))
    }

    /// Resident memory in bytes, as the kernel counts it; `None` when it does not run.
    pub fn resident_bytes(&self) -> Option<u64> {
        bytes_of("VmRSS:", &self.status()?)
    }

    /// The most resident memory it has had since its latest start, in bytes; `None` when it does not run.
    pub fn highest_resident_bytes(&self) -> Option<u64> {
        bytes_of("VmHWM:", &self.status()?)
    }

    fn status(&self) -> Option<String> {
        std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()
    }

    /// Sends a signal. Does nothing when it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let mut child = self.child();
        // An ended child that nobody has waited for keeps its id, so the signal cannot reach somebody else.
        if child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&child), signal)?;
        }
        Ok(())
    }

    /// Ends it with SIGTERM, and with SIGKILL when it still runs after `patience`.
    pub async fn stop(&self, patience: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.exit_status()? {
                return Ok(status);
            }
            sleep(POLL).await;
        }
        self.kill()
    }

    /// Ends it with SIGKILL, which no program can refuse, and waits for the kernel to do so.
    pub fn kill(&self) -> io::Result<ExitStatus> {
        kill(&mut self.child())
    }

    /// Starts it again with the same arguments and log, after a [`kill`](Self::kill) if it still runs.
    pub fn restart(&self) -> anyhow::Result<()> {
        let Shared { name, program, surroundings, log, .. } = &*self.0;
        // Held to the end, so that whoever ends it for good meanwhile meets the new process.
        let mut child = self.child();
        kill(&mut child).with_context(|| format!("cannot stop {name}"))?;
        *child = start(program, surroundings, log).with_context(|| format!("cannot restart {name}"))?;
        Ok(())
    }

    /// The last `lines` lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = std::fs::read(&self.0.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let from = log.lines().count().saturating_sub(lines);
        log.lines().skip(from).collect::<Vec<_>>().join("\n")
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        // A child is whole between any two statements above, also where a thread panicked.
        self.0.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kill(child: &mut Child) -> io::Result<ExitStatus> {
    child.kill()?;
    child.wait()
}

fn start(program: &Program, surroundings: &Surroundings, log: &Path) -> anyhow::Result<Child> {
    ensure!(!surroundings.ended.load(Ordering::SeqCst), "its control plane has ended");
    // setpriv would report a missing program only in the log.
    ensure!(program.path().is_file(), "there is no file {}", program.path().display());
    let output = File::options().create(true).append(true).open(log)?;
    let mut command: Command = spawner::mortal(program.path());
    command.args(program.arguments()).env_clear();
    command.env("PATH", &surroundings.path).env("HOME", &surroundings.home).envs(program.environment());
    command.current_dir(&surroundings.home).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    spawner::spawn(command)
}

/// A line of `/proc/<pid>/status`, which counts in KiB.
fn bytes_of(line: &str, status: &str) -> Option<u64> {
    let line = status.lines().find_map(|found| found.strip_prefix(line))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn shell(folder: &Path, script: &str) -> Process {
        let program = Program::new("/bin/sh").args(["-c", script]);
        Process::start("shell", program, &Surroundings::of_tests(folder)).unwrap()
    }

    /// Waits until the log says that the script has come that far.
    async fn logged(process: &Process, text: &str) {
        crate::controlplane::wait::eventually(text, Duration::from_secs(10), async || {
            Ok(process.log_tail(10).contains(text).then_some(()))
        })
        .await
        .unwrap();
    }

    #[test]
    fn resident_memory_is_read_in_kibibytes() {
        let status = "Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\nThreads:\t1\n";
        assert_eq!((bytes_of("VmRSS:", status), bytes_of("VmHWM:", status)), (Some(1 << 20), Some(2 << 20)));
        assert_eq!(bytes_of("VmRSS:", "Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[tokio::test]
    async fn stop_lets_the_program_end_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell(folder.path(), "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done");
        logged(&process, "ready").await;
        assert!(process.is_running());
        assert!(process.resident_bytes().unwrap() > 0);
        assert_eq!(process.stop(Duration::from_secs(10)).await.unwrap().code(), Some(3));
        assert_eq!(process.log_tail(1), "bye");
        assert!(!process.is_running());
    }

    #[tokio::test]
    async fn stop_kills_a_program_that_does_not_listen() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell(folder.path(), "trap '' TERM; echo ready; while :; do sleep 0.01; done");
        logged(&process, "ready").await;
        let status = process.stop(Duration::from_millis(50)).await.unwrap();
        assert_eq!(status.signal(), Some(9));
    }

    #[tokio::test]
    async fn a_restart_is_another_process_with_the_same_log() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell(folder.path(), "echo ready $$; exec sleep 60");
        let first = process.pid();
        logged(&process, &format!("ready {first}")).await;
        process.restart().unwrap();
        assert_ne!(process.pid(), first);
        logged(&process, &format!("ready {}", process.pid())).await;
        assert!(process.log_tail(10).contains(&format!("ready {first}")));
        process.kill().unwrap();
    }

    #[test]
    fn a_missing_program_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let surroundings = Surroundings::of_tests(folder.path());
        let error = Process::start("agent", Program::new("/nonexistent/agent"), &surroundings).unwrap_err();
        assert_eq!(format!("{error:#}"), "cannot start agent: there is no file /nonexistent/agent");
    }
}
