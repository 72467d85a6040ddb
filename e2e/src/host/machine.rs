//! One host as a state machine: requests and the passing of time go in, answers and [`Effect`]s come out.
//!
//! Nothing here reads a clock or does I/O. Times must not go back from one call to the next; if one does, nothing is due.

use bytes::Bytes;
use fastrand::Rng;
use http::Request;
use jiff::Timestamp;
use semver::Version;

use super::boot::Power;
use super::datastore::Datastore;
use super::faults::Faults;
use super::image::Image;
use super::partitions::Disk;
use super::record::{Cause, Client, Happening, Record};
use super::reply::Reply;
use super::repository::Repository;
use super::script::{Deed, Moment};
use super::settings::Settings;
use super::status::UpdateStatus;
use super::timing::{Timings, after};
use super::waves::SEEDS;
use super::worker::Worker;

/// The status file, which is on a file system that a boot empties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StatusFile {
    Absent,
    Corrupt,
    Present(Box<UpdateStatus>),
}

/// What the world outside has to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The host is gone, and its socket with it.
    Down(Cause),
    /// The host is up.
    Up {
        /// The new boot id.
        boot_id: String,
        /// The running version.
        version: Version,
        /// Why it had gone down.
        cause: Cause,
    },
    /// The API server listens on a new socket of the same name.
    ApiRestarted,
}

/// A host.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) disk: Disk,
    pub(super) datastore: Datastore,
    pub(super) status: StatusFile,
    pub(super) worker: Option<Worker>,
    pub(super) power: Power,
    pub(super) boot_id: String,
    pub(super) repository: Repository,
    pub(super) timings: Timings,
    pub(super) faults: Faults,
    pub(super) record: Record,
    pub(super) effects: Vec<Effect>,
    pub(super) rng: Rng,
    pub(super) script: Vec<(Moment, Deed)>,
}

/// What can be due.
enum Due {
    Render,
    WorkerHalfway,
    WorkerEnd,
    Power,
}

impl Machine {
    /// A host that is up and runs `image`. Boot ids, jitter and its place in the waves come from `seed`.
    #[must_use]
    pub fn new(image: Image, repository: Repository, timings: Timings, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let settings = Settings::initial(rng.u32(0..SEEDS));
        Self {
            disk: Disk::installed(image),
            datastore: Datastore::new(&settings),
            status: StatusFile::Absent,
            worker: None,
            power: Power::Up,
            boot_id: super::boot::boot_id(&mut rng),
            repository,
            timings,
            faults: Faults::default(),
            record: Record::default(),
            effects: Vec::new(),
            rng,
            script: Vec::new(),
        }
    }

    /// A request on the socket.
    pub fn request(&mut self, request: &Request<Bytes>, now: Timestamp) -> Reply {
        self.advance(now);
        self.route(request, Client::Socket, now)
    }

    /// The same from somebody else on the host: not counted, and not subject to [`Faults::answers`].
    pub fn foreign_request(&mut self, request: &Request<Bytes>, now: Timestamp) -> Reply {
        self.advance(now);
        self.route(request, Client::Foreign, now)
    }

    /// When something will happen by itself.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.due().map(|(at, _)| at)
    }

    fn due(&self) -> Option<(Timestamp, Due)> {
        let worker = self.worker.as_ref();
        [
            self.datastore.next_render().map(|at| (at, Due::Render)),
            worker.and_then(|worker| worker.half).map(|at| (at, Due::WorkerHalfway)),
            worker.map(|worker| (worker.ends, Due::WorkerEnd)),
            self.power.wake_at().map(|at| (at, Due::Power)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// Lets time pass: everything due by `now` happens, in its order.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some((at, due)) = self.due().filter(|(at, _)| *at <= now) {
            match due {
                Due::Render => self.datastore.render(),
                Due::WorkerHalfway => self.worker_halfway(at),
                Due::WorkerEnd => self.worker_end(at),
                Due::Power => self.power_turn(at),
            }
        }
    }

    /// What the world outside has not followed yet.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(super) fn render_after(&mut self, now: Timestamp) {
        let delay = self.timings.render.draw(&mut self.rng);
        self.datastore.render_at(after(now, delay));
    }

    pub(super) fn lose_worker(&mut self, at: Timestamp) {
        if let Some(worker) = self.worker.take() {
            self.record.add(at, Happening::Lost(worker.command));
        }
    }
}
