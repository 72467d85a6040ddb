//! What one process remembers from step to step. Everything essential is in the shadow, on the Node or on the host; a process
//! that begins without a memory asks again.

mod learn;
mod see;

use std::collections::BTreeMap;
use std::time::Duration;

use api::{ApprovalId, State};
use jiff::Timestamp;
use runtime::backoff::Backoff;
use semver::Version;

use crate::updates::{Command, UpdateStatus};

/// Until what has failed is tried again.
const TRY_AGAIN: Backoff = Backoff { first: Duration::from_secs(4), longest: Duration::from_secs(90) };
/// Until a host that gave no answer is looked at again. It comes back within seconds of its reboot, and looking costs next to nothing.
const LOOK_AGAIN: Backoff = Backoff { first: Duration::from_millis(750), longest: Duration::from_secs(6) };

/// A command that was accepted by the host and not judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Which.
    pub command: Command,
    /// The timestamp of the last command before it.
    pub before: Option<String>,
    /// When it was asked for.
    pub at: Duration,
}

/// What the host is offered, as of its last good refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// What it would take by itself; `None`: nothing newer.
    pub chosen: Option<Version>,
    /// Everything.
    pub available: Vec<Version>,
}

/// Failures in a row of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// How many.
    pub count: u32,
    /// Not before this.
    pub retry_at: Duration,
    /// The last one's words.
    pub text: String,
}

/// A drain that was answered as done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainDone {
    /// Under this approval.
    pub approval: ApprovalId,
    /// When first.
    pub since: Duration,
    /// When last.
    pub at: Duration,
    /// Whether the new image was activated by the last time.
    pub activated: bool,
}

/// A version-lock that this process has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// What was there before the agent first set it.
    pub before: String,
    /// What is there now.
    pub set: Version,
}

/// A host that gives no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// Since when.
    pub since: Duration,
    /// Looks in a row that brought nothing.
    pub count: u32,
    /// Not looked at again before this.
    pub retry_at: Duration,
}

/// How a drain failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainLost {
    /// Somebody uncordoned the node.
    Vetoed,
    /// It did not end in time.
    TimedOut,
}

/// What belongs to one desired state and is forgotten with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForDesired {
    /// Failures in a row by command.
    pub trouble: BTreeMap<Command, Trouble>,
    /// The host's version-lock, as read since the last refresh.
    pub lock: Option<String>,
    /// Failures in a row to read or set it.
    pub lock_trouble: Option<Trouble>,
    /// Refreshes in a row that did not choose the desired version.
    pub unseen: u32,
    /// Since when the node is out of the load balancers.
    pub excluded_at: Option<Duration>,
    /// The drain, once it was answered as done.
    pub drained: Option<DrainDone>,
    /// Whether the shadow was read through to Kubernetes since.
    pub reread: bool,
    /// One line about the drain.
    pub progress: Option<String>,
    /// How the drain failed.
    pub drain_lost: Option<DrainLost>,
    /// The apiserver sees no approval; not asked again before this.
    pub refused_until: Option<Duration>,
    /// Whether load balancers may use the node again.
    pub included: bool,
    /// Whether the node was restored.
    pub restored: bool,
    /// Restoring is not asked again before this.
    pub restore_at: Duration,
}

/// What one process remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    interval: Duration,
    boot_id: String,
    desired: Option<(State, Option<Timestamp>, Option<Version>)>,
    /// The command under way.
    pub command: Option<Issued>,
    /// The last update status that could be read under this boot.
    pub known: Option<Box<UpdateStatus>>,
    /// Whether somebody else ran a command since this process looks: what was staged may not be what was accepted.
    pub foreign: bool,
    /// Whether an activation of ours came to its end when nothing asked for it any more.
    pub late: bool,
    /// The version whose image this process saw written.
    pub accepted: Option<Version>,
    /// What the host is offered.
    pub offered: Option<Offered>,
    /// When a refresh last succeeded.
    pub refreshed_at: Option<Duration>,
    /// When the host is next asked what it is offered.
    pub check_at: Option<Duration>,
    /// No command before this.
    pub hold_until: Duration,
    /// Since when the update status cannot be read: a foreign command, or an error.
    pub unreadable_since: Option<Duration>,
    /// Since when nobody is on the socket.
    pub refused_since: Option<Duration>,
    /// Since when the host gives no answer, and when it is asked again.
    pub away: Option<Absence>,
    /// The host has no in-place updates; not asked again before this.
    pub unsupported_until: Option<Duration>,
    /// The version-lock this process has set.
    pub pinned: Option<Pinned>,
    /// The host's version-lock as last read or set, for what is reported; what is relied on is read anew.
    pub lock: Option<String>,
    /// When the reboot was last asked for.
    pub reboot_asked: Option<Duration>,
    /// Requests to reboot that were refused, in a row.
    pub reboot_trouble: Option<Trouble>,
    /// Calls of the apiserver that failed, in a row.
    pub call_trouble: Option<Trouble>,
    /// What belongs to the present desired state.
    pub on: ForDesired,
}

impl Memory {
    /// No memory yet. `interval` lies between two checks of what the host is offered.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            boot_id: String::new(),
            desired: None,
            command: None,
            known: None,
            foreign: false,
            late: false,
            accepted: None,
            offered: None,
            refreshed_at: None,
            check_at: None,
            hold_until: Duration::ZERO,
            unreadable_since: None,
            refused_since: None,
            away: None,
            unsupported_until: None,
            pinned: None,
            lock: None,
            reboot_asked: None,
            reboot_trouble: None,
            call_trouble: None,
            on: ForDesired::default(),
        }
    }
}

impl Absence {
    /// One look more that brought nothing.
    #[must_use]
    pub fn after(before: Option<&Self>, clock: Duration, jitter: f64) -> Self {
        let count = before.map_or(0, |absence| absence.count).saturating_add(1);
        let since = before.map_or(clock, |absence| absence.since);
        Self { since, count, retry_at: clock + LOOK_AGAIN.pause(count, jitter) }
    }
}

impl Trouble {
    /// One failure more.
    #[must_use]
    pub fn after(before: Option<&Self>, text: String, clock: Duration, jitter: f64) -> Self {
        let count = before.map_or(0, |trouble| trouble.count).saturating_add(1);
        Self { count, retry_at: clock + TRY_AGAIN.pause(count, jitter), text }
    }
}
