//! Children that cannot outlive this process.
//!
//! The kernel sends a process the death signal it asked for when the *thread* that started it ends. Tests start programs from
//! threads that come and go, so all of them are started from one thread that lives as long as this process.
//!
//! A child asks for the signal itself, some milliseconds after its start: far more on a busy machine. Where this process has
//! ended by then nothing is ever sent, and the child would live on. So it looks afterwards whether its parent is still there.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::{io, thread};

use anyhow::Context;

/// Becomes the program that follows, if its parent is still the process `$0`. The death signal has been asked for by now: from
/// here on no end of that process goes unnoticed.
const WITH_ITS_PARENT: &str = r#"[ "$PPID" = "$0" ] && exec "$@""#;

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
    dying_with(std::process::id(), "KILL", program.as_ref())
}

/// Like [`mortal`], for a program that cleans up after itself when it is interrupted.
pub(super) fn interrupted(program: impl AsRef<OsStr>) -> Command {
    dying_with(std::process::id(), "INT", program.as_ref())
}

fn dying_with(parent: u32, signal: &str, program: &OsStr) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal, "--", "sh", "-c", WITH_ITS_PARENT]).arg(parent.to_string()).arg(program);
    command.process_group(0);
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
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;

    #[test]
    fn a_program_outlives_the_thread_that_asked_for_it() {
        let mut command = mortal("sh");
        command.args(["-c", "sleep 0.2; exit 7"]);
        let mut child = thread::spawn(|| spawn(command).unwrap()).join().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }

    /// Starts a program, says so, and waits to be killed by the test below, or to be left alone.
    #[test]
    #[ignore = "started by a_program_does_not_begin_when_its_starter_has_ended"]
    fn starter() {
        let mut command = mortal("echo");
        command.arg("the program has begun");
        let mut child = spawn(command).unwrap();
        println!("\nstarted");
        std::io::stdin().lines().count();
        child.wait().unwrap();
    }

    /// In the place of setpriv, on a machine so busy that it comes to its work only when it is told to.
    const SLOW_SETPRIV: &str = r#"#!/bin/sh
read -r order
PATH=${PATH#*:}
exec setpriv "$@"
"#;

    #[test]
    fn a_program_does_not_begin_when_its_starter_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        // Written by another process: a descriptor of this one, copied into a neighbour's child, would make it "busy".
        let write = ["-c", "printf %s \"$1\" >\"$0\" && chmod +x \"$0\""];
        let setpriv = folder.path().join("setpriv");
        assert!(Command::new("sh").args(write).arg(&setpriv).arg(SLOW_SETPRIV).status().unwrap().success());
        let mut starter = Command::new(std::env::current_exe().unwrap());
        starter.args(["controlplane::spawner::tests::starter", "--exact", "--ignored", "--nocapture"]);
        starter.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.path().display()));
        let mut starter = starter.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut order = starter.stdin.take().unwrap();
        let mut lines = BufReader::new(starter.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "started"));

        starter.kill().unwrap();
        starter.wait().unwrap();
        order.write_all(b"go on\n").unwrap();
        // To its end, which comes when nobody is left to write.
        assert_eq!(lines.collect::<Vec<_>>(), [""; 0]);
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
