//! What happened to a host, for tests to assert and for numbers.

use std::collections::{BTreeMap, VecDeque};

use http::{Method, StatusCode};
use jiff::Timestamp;
use semver::Version;

use super::status::Command;

/// Entries kept; older ones are dropped and counted.
pub const RECORD_LIMIT: usize = 4_096;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// A client on the socket, as the agent is.
    Socket,
    /// Somebody else on the host.
    Foreign,
}

/// Why a host went down or came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An accepted reboot request.
    RebootRequest(Client),
    /// Somebody cut or restored the power.
    Power,
}

/// One boot that came up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// When it was up.
    pub at: Timestamp,
    /// Its boot id.
    pub boot_id: String,
    /// What ran before.
    pub from: Version,
    /// What runs now.
    pub version: Version,
    /// Why it happened.
    pub cause: Cause,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// An action was accepted.
    Started(Command, Client),
    /// An action was refused with this code.
    Refused(Command, Client, StatusCode),
    /// A command ran to its end; the exit status it left, unless it left none.
    Ended(Command, Option<i32>),
    /// A command died on the way.
    Lost(Command),
    /// A reboot was asked for and answered with this code.
    RebootRequested(Client, StatusCode),
    /// These settings became live.
    Committed(Vec<String>, Client),
    /// The host is gone.
    WentDown(Cause),
    /// An image did not come up.
    BootFailed(Version),
    /// The host will not come up by itself.
    Hung,
    /// The host is up.
    Booted(Boot),
    /// The API server started anew, on a new socket.
    ApiRestarted,
}

/// How the runs of a command ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandCount {
    /// Accepted.
    pub started: u64,
    /// Refused.
    pub refused: u64,
    /// Ended with exit status 0.
    pub succeeded: u64,
    /// Ended with another.
    pub failed: u64,
    /// Ended without a trace in the status.
    pub lost: u64,
}

/// Requests on the socket and commands since the host was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By method and path, as in `GET /os`; what has no such endpoint counts as `other`.
    pub requests: BTreeMap<String, u64>,
    /// By command, whoever asked.
    pub commands: BTreeMap<Command, CommandCount>,
}

impl Counts {
    /// All requests on the socket.
    #[must_use]
    pub fn total_requests(&self) -> u64 {
        self.requests.values().sum()
    }

    /// The runs of one command.
    #[must_use]
    pub fn command(&self, command: Command) -> CommandCount {
        self.commands.get(&command).copied().unwrap_or_default()
    }

    pub(super) fn count_request(&mut self, method: &Method, path: &str, known: bool) {
        let name = if known { format!("{method} {path}") } else { "other".to_owned() };
        *self.requests.entry(name).or_default() += 1;
    }

    fn count(&mut self, happening: &Happening) {
        let (command, field): (Command, fn(&mut CommandCount) -> &mut u64) = match happening {
            Happening::Started(command, _) => (*command, |count| &mut count.started),
            Happening::Refused(command, ..) => (*command, |count| &mut count.refused),
            Happening::Ended(command, Some(0)) => (*command, |count| &mut count.succeeded),
            Happening::Ended(command, Some(_)) => (*command, |count| &mut count.failed),
            Happening::Ended(command, None) | Happening::Lost(command) => (*command, |count| &mut count.lost),
            _ => return,
        };
        *field(self.commands.entry(command).or_default()) += 1;
    }
}

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub struct Record {
    entries: VecDeque<(Timestamp, Happening)>,
    dropped: u64,
    counts: Counts,
}

impl Record {
    pub(super) fn add(&mut self, at: Timestamp, happening: Happening) {
        self.counts.count(&happening);
        if self.entries.len() >= RECORD_LIMIT {
            self.entries.pop_front();
            self.dropped += 1;
        }
        self.entries.push_back((at, happening));
    }

    pub(super) const fn counts_mut(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &(Timestamp, Happening)> {
        self.entries.iter()
    }

    /// Entries that were dropped because of [`RECORD_LIMIT`].
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The numbers.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The boots since the host was made, oldest first; the state it was made in is none of them.
    #[must_use]
    pub fn boots(&self) -> Vec<Boot> {
        let boot = |(_, happening): &(Timestamp, Happening)| match happening {
            Happening::Booted(boot) => Some(boot.clone()),
            _ => None,
        };
        self.entries.iter().filter_map(boot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_bounded_and_says_what_it_dropped() {
        let mut record = Record::default();
        for _ in 0..RECORD_LIMIT + 3 {
            record.add(Timestamp::UNIX_EPOCH, Happening::Ended(Command::Refresh, Some(0)));
        }
        assert_eq!(record.entries().count(), RECORD_LIMIT);
        assert_eq!(record.dropped(), 3);
        assert_eq!(record.counts().command(Command::Refresh).succeeded, RECORD_LIMIT as u64 + 3);
    }

    #[test]
    fn every_end_of_a_command_has_its_own_count() {
        let mut record = Record::default();
        for happening in [
            Happening::Started(Command::Prepare, Client::Socket),
            Happening::Started(Command::Prepare, Client::Foreign),
            Happening::Refused(Command::Prepare, Client::Socket, StatusCode::LOCKED),
            Happening::Ended(Command::Prepare, Some(9)),
            Happening::Ended(Command::Prepare, None),
            Happening::Lost(Command::Prepare),
            Happening::Hung,
        ] {
            record.add(Timestamp::UNIX_EPOCH, happening);
        }
        let expected = CommandCount { started: 2, refused: 1, succeeded: 0, failed: 1, lost: 2 };
        assert_eq!(record.counts().command(Command::Prepare), expected);
        assert_eq!(record.counts().command(Command::Refresh), CommandCount::default());
    }
}
