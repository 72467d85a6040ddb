//! How a program begins and how it is told to end.

use std::io;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a program to end: SIGTERM (the kubelet) and SIGINT (a person).
#[derive(Debug)]
pub struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Listens from now on. To be called first: process 1 of a container ignores signals nobody listens for, and one that
    /// arrives during startup must not be lost.
    ///
    /// # Errors
    /// When the operating system refuses the handler.
    pub fn install() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Returns once a signal has arrived since [`Signals::install`].
    pub async fn received(mut self) {
        let signal = tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        };
        tracing::info!(signal, "shutting down");
    }
}

/// Most threads that a program works with. All of them wait rather than compute; on a node with 64 cores an agent would have 64
/// stacks otherwise.
const MOST_WORKERS: usize = 4;

/// Runs a whole program and returns as soon as its future has ended.
///
/// `#[tokio::main]` would then wait for threads that are stuck in blocking work (a name lookup, a disk that does not
/// answer), however long; here they end with the process.
///
/// # Errors
/// When the operating system refuses the threads of the runtime.
pub fn block_on<F: Future>(program: F) -> io::Result<F::Output> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    run(Builder::new_multi_thread().worker_threads(cores.min(MOST_WORKERS)), program)
}

/// As [`block_on`], on the calling thread alone: for a program of which there is one on every node, and whose every byte counts.
/// A step that computes or blocks holds up everything else, its health server too.
///
/// # Errors
/// When the operating system refuses what the runtime needs.
pub fn block_on_this_thread<F: Future>(program: F) -> io::Result<F::Output> {
    run(&mut Builder::new_current_thread(), program)
}

fn run<F: Future>(builder: &mut Builder, program: F) -> io::Result<F::Output> {
    let runtime = builder.enable_all().build()?;
    let output = runtime.block_on(program);
    runtime.shutdown_background();
    Ok(output)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn either_signal_is_received_even_when_it_came_first() {
        for name in ["TERM", "INT"] {
            let signals = Signals::install().unwrap();
            let sent = Command::new("kill").args(["-s", name, &std::process::id().to_string()]).status().unwrap();
            assert!(sent.success());
            tokio::time::timeout(Duration::from_secs(10), signals.received()).await.expect(name);
        }
    }

    #[test]
    fn a_thread_that_is_stuck_does_not_hold_up_the_end() {
        let program = |stuck: mpsc::Receiver<()>| async {
            let (started, begun) = tokio::sync::oneshot::channel();
            tokio::task::spawn_blocking(move || {
                started.send(()).unwrap();
                stuck.recv()
            });
            begun.await.unwrap();
            "ended"
        };
        let (_never, stuck) = mpsc::channel();
        assert_eq!(block_on(program(stuck)).unwrap(), "ended");
        let (_never, stuck) = mpsc::channel();
        assert_eq!(block_on_this_thread(program(stuck)).unwrap(), "ended");
    }
}
