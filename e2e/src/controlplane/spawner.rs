//! Children that cannot outlive this process.
//!
//! The kernel sends a process the death signal it asked for when the *thread* that started it ends. Tests start programs from
//! threads that come and go, so all of them are started from one thread that lives as long as this process.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use anyhow::Context;

struct Request {
    command: Command,
    reply: SyncSender<io::Result<Child>>,
}

static REQUESTS: LazyLock<Sender<Request>> = LazyLock::new(|| {
    let (requests, receiver) = channel();
    // Should the thread not start, its end of the channel is gone, and every request says so.
    let _ = thread::Builder::new().name("spawner".into()).spawn(move || serve(&receiver));
    requests
});

fn serve(requests: &Receiver<Request>) {
    for Request { mut command, reply } in requests {
        // Whoever asked has gone only together with this process.
        let _ = reply.send(command.spawn());
    }
}

/// A command that runs `program`, is killed with this process, and does not get the Ctrl-C that is meant for this process.
pub(super) fn mortal(program: impl AsRef<OsStr>) -> Command {
    dying_by("KILL", program.as_ref())
}

/// Like [`mortal`], for a program that cleans up after itself when it is interrupted.
pub(super) fn interrupted(program: impl AsRef<OsStr>) -> Command {
    dying_by("INT", program.as_ref())
}

fn dying_by(signal: &str, program: &OsStr) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal, "--"]).arg(program).process_group(0);
    command
}

/// Starts what one of the above made. It blocks for the millisecond that a start takes.
pub(super) fn spawn(command: Command) -> anyhow::Result<Child> {
    let (reply, answer) = sync_channel(1);
    REQUESTS.send(Request { command, reply }).ok().context("the spawner thread could not be started")?;
    answer.recv().context("the spawner thread has ended")?.context("cannot start setpriv (from util-linux)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_program_outlives_the_thread_that_asked_for_it() {
        let mut command = mortal("sh");
        command.args(["-c", "sleep 0.2; exit 7"]);
        let mut child = thread::spawn(|| spawn(command).unwrap()).join().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }

    #[test]
    fn the_program_takes_the_place_of_setpriv() {
        let mut command = mortal("sleep");
        command.arg("60");
        let mut child = spawn(command).unwrap();
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}
