//! A host with its socket and its files: a machine that lives in real time.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http::Request;
use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;

use super::faults::Faults;
use super::image::Image;
use super::machine::Machine;
use super::options::{HostEvent, HostOptions, HostState};
use super::record::{Boot, Counts, Happening};
use super::reply::Reply;
use super::repository::Repository;
use super::script::{Deed, Moment};
use super::shared::{Shared, drive};
use super::socket::Service;

/// A simulated Bottlerocket host. Dropping it stops it and removes its socket.
#[derive(Debug)]
pub struct Host {
    name: String,
    shared: Arc<Shared>,
    _driver: AbortOnDropHandle<()>,
}

impl Host {
    /// Starts a host that is up. Its socket is `api.sock` in its folder, its boot id the content of `boot_id` there.
    ///
    /// # Errors
    /// The folder or a file in it cannot be made, or the socket's path is too long for one (about 100 bytes).
    pub async fn start(options: HostOptions, repository: Repository) -> anyhow::Result<Self> {
        let HostOptions { name, dir, version, variant, arch, seed, timings } = options;
        let context = || format!("host {name} in {}", dir.display());
        tokio::fs::create_dir_all(&dir).await.with_context(context)?;
        let image = Image { arch, version, variant };
        let machine = Machine::new(image, repository, timings, seed);
        let shared = Shared::start(&dir, machine).with_context(context)?;
        let driver = AbortOnDropHandle::new(tokio::spawn(drive(Arc::clone(&shared))));
        Ok(Self { name, shared, _driver: driver })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.shared.socket_path()
    }

    /// The file with the boot id, a UUID and a newline as in `/proc/sys/kernel/random/boot_id`. It stays while the host is
    /// down and is written before the socket is there again.
    #[must_use]
    pub fn boot_id_file(&self) -> &Path {
        self.shared.boot_id_file()
    }

    /// The events from now on. A receiver that falls more than a few boots behind misses the oldest; [`Host::state`] and
    /// [`Host::boots`] tell what it missed.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<HostEvent> {
        self.shared.subscribe()
    }

    /// The host now.
    #[must_use]
    pub fn state(&self) -> HostState {
        self.with(|machine, _| HostState {
            up: machine.is_up(),
            boot_id: machine.boot_id().to_owned(),
            version: machine.disk().running().version.clone(),
        })
    }

    /// Looks at the machine or does something to it, with the host's time. What follows from it, such as a socket that
    /// goes away, has happened when this returns.
    pub fn with<R>(&self, act: impl FnOnce(&mut Machine, Timestamp) -> R) -> R {
        self.shared.with(act)
    }

    /// Somebody else does `deed` now.
    pub fn perform(&self, deed: Deed) {
        self.with(|machine, now| machine.perform(deed, now));
    }

    /// Has `deed` done once, the next time that `moment` comes.
    pub fn when(&self, moment: Moment, deed: Deed) {
        self.with(|machine, _| machine.when(moment, deed));
    }

    /// Changes what is wrong with the host.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        self.with(|machine, _| change(machine.faults_mut()));
    }

    /// Changes how the API server is there for its clients. Its connections end and the socket is a new one; a running
    /// command goes on.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn set_service(&self, service: Service) -> anyhow::Result<()> {
        let set = self.shared.set_service(service);
        set.with_context(|| format!("host {}", self.name))
    }

    /// A request by somebody else on the host, past the socket.
    pub fn foreign_request(&self, request: &Request<Bytes>) -> Reply {
        self.with(|machine, now| machine.foreign_request(request, now))
    }

    /// Requests and commands so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.with(|machine, _| machine.record().counts().clone())
    }

    /// What happened so far, oldest first, as far as the record reaches back.
    #[must_use]
    pub fn record(&self) -> Vec<(Timestamp, Happening)> {
        self.with(|machine, _| machine.record().entries().cloned().collect())
    }

    /// The boots since the start, oldest first; the start itself is none of them.
    #[must_use]
    pub fn boots(&self) -> Vec<Boot> {
        self.with(|machine, _| machine.record().boots())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Not left to the last reference: a connection may be holding one.
        self.shared.close();
    }
}
