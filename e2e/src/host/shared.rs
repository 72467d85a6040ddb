//! A machine in real time: what is behind a [`super::Host`] and all of its connections.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::{Notify, broadcast};

use super::clock::Clock;
use super::machine::{Effect, Machine};
use super::options::HostEvent;
use super::reply::Reply;
use super::server::Answer;
use super::socket::{Service, Socket};

/// Events kept for a receiver that does not keep up; a boot is two.
const EVENT_BUFFER: usize = 64;

/// The machine with its socket, its files and its listeners.
#[derive(Debug)]
pub(super) struct Shared {
    inside: Mutex<Inside>,
    clock: Clock,
    /// Something was done to the machine: look again when it wants to be woken.
    changed: Notify,
    events: broadcast::Sender<HostEvent>,
    boot_id_file: PathBuf,
    socket_path: PathBuf,
}

#[derive(Debug)]
struct Inside {
    machine: Machine,
    socket: Socket,
    service: Service,
}

impl Inside {
    fn serve(&mut self) -> anyhow::Result<()> {
        let opened = self.socket.open(&self.service);
        opened.with_context(|| format!("socket {}", self.socket.path().display()))
    }
}

impl Shared {
    /// `machine` with its boot id in `boot_id` and its socket at `api.sock`, both in `dir`.
    pub(super) fn start(dir: &Path, machine: Machine) -> anyhow::Result<Arc<Self>> {
        let shared = Arc::new_cyclic(|shared: &Weak<Self>| {
            let shared = shared.clone();
            let answer: Answer = Arc::new(move |request| match shared.upgrade() {
                Some(shared) => shared.with(|machine, now| machine.request(request, now)),
                None => Reply::HangUp,
            });
            let socket_path = dir.join("api.sock");
            let socket = Socket::new(socket_path.clone(), answer);
            Self {
                inside: Mutex::new(Inside { machine, socket, service: Service::Serving }),
                clock: Clock::start(),
                changed: Notify::new(),
                events: broadcast::channel(EVENT_BUFFER).0,
                boot_id_file: dir.join("boot_id"),
                socket_path,
            }
        });
        let mut inside = shared.lock();
        shared.write_boot_id(inside.machine.boot_id())?;
        inside.serve()?;
        drop(inside);
        Ok(shared)
    }

    pub(super) fn socket_path(&self) -> &Path {
        &self.socket_path
    }

    pub(super) fn boot_id_file(&self) -> &Path {
        &self.boot_id_file
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<HostEvent> {
        self.events.subscribe()
    }

    pub(super) fn set_service(&self, service: Service) -> anyhow::Result<()> {
        let mut inside = self.lock();
        inside.service = service;
        if inside.machine.is_up() { inside.serve() } else { Ok(()) }
    }

    /// For good: nothing is answered any more.
    pub(super) fn close(&self) {
        self.lock().socket.close();
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the machine at the present time, and what follows from it.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Machine, Timestamp) -> R) -> R {
        let result = self.turn(act);
        self.changed.notify_one();
        result
    }

    fn turn<R>(&self, act: impl FnOnce(&mut Machine, Timestamp) -> R) -> R {
        let mut inside = self.lock();
        let now = self.clock.now();
        inside.machine.advance(now);
        let result = act(&mut inside.machine, now);
        for effect in inside.machine.take_effects() {
            self.follow(&mut inside, effect);
        }
        result
    }

    fn follow(&self, inside: &mut Inside, effect: Effect) {
        let followed = match effect {
            Effect::Down(cause) => {
                inside.socket.close();
                self.announce(HostEvent::GoingDown { cause });
                Ok(())
            }
            Effect::Up { boot_id, version, cause } => {
                let followed = self.write_boot_id(&boot_id).and_then(|()| inside.serve());
                self.announce(HostEvent::Up { boot_id, version, cause });
                followed
            }
            Effect::ApiRestarted => inside.serve(),
        };
        if let Err(error) = followed {
            tracing::error!(error = format!("{error:#}"), "a simulated host has lost its socket");
        }
    }

    fn announce(&self, event: HostEvent) {
        tracing::info!(socket = %self.socket_path.display(), ?event, "simulated host");
        // Nobody has to listen.
        drop(self.events.send(event));
    }

    fn write_boot_id(&self, boot_id: &str) -> anyhow::Result<()> {
        let file = &self.boot_id_file;
        std::fs::write(file, format!("{boot_id}\n")).with_context(|| format!("file {}", file.display()))
    }
}

/// Wakes the machine when it wants to be.
pub(super) async fn drive(shared: Arc<Shared>) {
    loop {
        let wake_at = shared.turn(|machine, _| machine.wake_at());
        let due = async {
            match wake_at {
                Some(at) => tokio::time::sleep_until(shared.clock.instant(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = shared.changed.notified() => {}
        }
    }
}
