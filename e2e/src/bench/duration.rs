//! How long one update takes, and for what.

use std::time::Duration;

use jiff::Timestamp;

use crate::host::Happening;

/// How long one update takes, from its start until the node is restored and both sides are Idle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct UpdateDuration {
    /// All of it.
    pub(super) whole: Duration,
    /// The host's commands: download, writing, activation, refreshes.
    pub(super) commands: Duration,
    /// From the accepted reboot until the host was up.
    pub(super) reboot: Duration,
    /// From the moment the host was up until the end.
    pub(super) after_boot: Duration,
}

impl UpdateDuration {
    /// Reads a host's record between two moments.
    pub(super) fn between(from: Timestamp, to: Timestamp, record: &[(Timestamp, Happening)]) -> Self {
        let mut update = Self { whole: between(from, to), ..Self::default() };
        let (mut begun, mut asked, mut up) = (None, None, None);
        for (at, happening) in record.iter().filter(|(at, _)| (from..=to).contains(at)) {
            match happening {
                Happening::Started(..) => begun = Some(*at),
                Happening::Ended(..) | Happening::Lost(_) => {
                    update.commands += begun.take().map_or(Duration::ZERO, |begun| between(begun, *at));
                }
                Happening::RebootRequested(_, code) if code.is_success() => asked = Some(*at),
                Happening::Booted(_) => {
                    update.reboot += asked.take().map_or(Duration::ZERO, |asked| between(asked, *at));
                    up = Some(*at);
                }
                _ => {}
            }
        }
        update.after_boot = up.map_or(Duration::ZERO, |up| between(up, to));
        update
    }

    /// What is left: the agent's own waiting, and that of the controller and the apiserver.
    pub(super) fn own(&self) -> Duration {
        self.whole.saturating_sub(self.commands).saturating_sub(self.reboot)
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use semver::Version;

    use super::*;
    use crate::host::{Boot, Cause, Client, Command};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn what_the_host_takes_is_not_own() {
        let client = Client::Socket;
        let boot = Boot {
            at: at(30),
            boot_id: String::new(),
            from: Version::new(1, 0, 0),
            version: Version::new(1, 1, 0),
            cause: Cause::RebootRequest(client),
        };
        let record = [
            (at(1), Happening::Started(Command::Refresh, client)),
            (at(2), Happening::Ended(Command::Refresh, Some(0))),
            (at(11), Happening::Started(Command::Prepare, client)),
            (at(15), Happening::Ended(Command::Prepare, Some(0))),
            (at(20), Happening::RebootRequested(client, StatusCode::NO_CONTENT)),
            (at(30), Happening::Booted(boot)),
            (at(60), Happening::Started(Command::Refresh, client)),
        ];
        let update = UpdateDuration::between(at(10), at(34), &record);
        let seconds = Duration::from_secs;
        let expected =
            UpdateDuration { whole: seconds(24), commands: seconds(4), reboot: seconds(10), after_boot: seconds(4) };
        assert_eq!(update, expected);
        assert_eq!(update.own(), seconds(10));
    }
}
