//! What can be made to go wrong on a host, as data.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;

use super::reply::{self, Reply};

/// How far a host gets with the update repository. Ordered from best to worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Metadata and images.
    #[default]
    Reachable,
    /// Metadata only: a refresh succeeds, a prepare fails after it has cleared the inactive set.
    ImagesMissing,
    /// Every action fails, activate and deactivate too, after [`super::Timings::repository_refuses`].
    Refuses,
    /// Every action fails, but holds the lock for [`super::Timings::repository_hangs`] first.
    Hangs,
}

/// The program that an action runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Updater {
    /// As it should.
    #[default]
    Works,
    /// It is not installed: actions are accepted and change nothing, not even the timestamp.
    Missing,
    /// A refresh succeeds with output nobody can read: the lists stay.
    Garbage,
    /// It is killed by this signal; the status has the signal's number.
    Killed(i32),
    /// It fails with this code and these words.
    Exits {
        /// Exit code.
        code: i32,
        /// What the status gives as stderr.
        stderr: String,
    },
    /// A prepare says `No update required` and succeeds, with nothing written.
    NothingRequired,
}

/// What `POST /actions/reboot` does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reboot {
    /// 204, and the host goes down after [`super::Timings::shutdown`].
    #[default]
    Happens,
    /// 204, and nothing follows.
    Ignored,
    /// 500: something holds an inhibitor.
    Inhibited {
        /// What the reboot command said.
        stderr: String,
    },
    /// The host is gone before the answer is read.
    CutOff,
}

/// What a boot of an image comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBoot {
    /// Up, and marked good.
    #[default]
    ComesUp,
    /// Up, but never marked good: the next reboot goes back.
    StaysUnmarked,
    /// Not up; the boot loader tries again and falls back when the set's tries are used up.
    FailsToBoot,
    /// Neither up nor back: the host stays away until somebody cycles its power.
    Hangs,
}

/// What is sent instead of the machine's own answer, which is not computed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mangled {
    /// This status and body, as JSON.
    Json {
        /// Status code.
        status: StatusCode,
        /// Body.
        body: Bytes,
    },
    /// 200 and a body of this many bytes, none of them JSON.
    Huge(u64),
    /// The connection stays open and nothing is sent.
    Silence,
    /// The connection is closed without an answer.
    HangUp,
}

impl Mangled {
    pub(super) fn reply(&self) -> Reply {
        match self {
            Self::Json { status, body } => Reply::Answer(reply::json(*status, body.clone())),
            Self::Huge(bytes) => Reply::Huge(*bytes),
            Self::Silence => Reply::Silence,
            Self::HangUp => Reply::HangUp,
        }
    }
}

/// Everything that is wrong with a host now. [`Default`]: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// This host's way to the repository; the worse of this and the repository's own counts.
    pub reach: Reach,
    /// The update program.
    pub updater: Updater,
    /// The image was built without in-place updates: every action is a 500 `Unable to start the update dispatcher`.
    pub no_in_place_updates: bool,
    /// The folder of the lock file is missing.
    pub no_lock_folder: bool,
    /// What a reboot request does.
    pub reboot: Reboot,
    /// What the next attempt to boot comes to, whatever the image; used once.
    pub next_boot: Option<OnBoot>,
    /// Answers by path, for clients on the socket.
    pub answers: BTreeMap<String, Mangled>,
}
