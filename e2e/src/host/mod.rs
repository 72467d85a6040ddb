//! Simulated Bottlerocket hosts: a unix socket each that answers the local update API as the real server does.
//!
//! ```text
//! HTTP on the socket ─► Machine::request ─► Reply ─► HTTP
//!      time passes   ─► Machine::advance ─► Effect ─► socket, boot id file, HostEvent
//!      a test        ─► Deed, Moment, Faults, Service
//! ```
//! [`Machine`] is the host as data: disk, settings, update status, power. It does no I/O and is told the time. [`Host`] is
//! the machine in real time, behind its socket. A [`Repository`] is what many hosts share.

mod boot;
mod clock;
mod command;
mod datastore;
mod faults;
mod handle;
mod image;
mod inspect;
mod machine;
mod options;
mod outcome;
mod partitions;
mod record;
mod reply;
mod repository;
mod routes;
mod script;
mod server;
mod settings;
mod settings_api;
mod shared;
mod socket;
mod status;
#[cfg(test)]
mod tests;
mod timing;
mod waves;
mod worker;

pub use datastore::Datastore;
pub use faults::{Faults, Mangled, OnBoot, Reach, Reboot, Updater};
pub use handle::Host;
pub use image::Image;
pub use machine::{Effect, Machine};
pub use options::{HostEvent, HostOptions, HostState};
pub use partitions::{Attributes, Disk, Installed, NotUpgradable, Set, Side};
pub use record::{Boot, Cause, Client, CommandCount, Counts, Happening, RECORD_LIMIT, Record};
pub use reply::Reply;
pub use repository::{ARCH, Release, Repository, VARIANT};
pub use script::{Deed, Moment};
pub use settings::{InvalidVersion, Lock, Settings, Updates};
pub use socket::Service;
pub use status::{Command, CommandResult, CommandStatus, StagedImage, UpdateState, UpdateStatus};
pub use timing::{Span, Timings};
pub use waves::{SEEDS, Waves};
