//! What a Bottlerocket host says of its updates, as data, and how an action's outcome is read from it.

use semver::Version;
use serde::Deserialize;

/// The four states of the host's update machinery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum UpdateState {
    /// Nothing to install is known.
    Idle,
    /// An update is known.
    Available,
    /// An image lies in the inactive partition set.
    Staged,
    /// That image is the one to boot.
    Ready,
}

/// An image as the host names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Image {
    /// Its version, without a leading `v`.
    pub version: Version,
}

/// One of the two partition sets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Partition {
    /// What lies in it.
    pub image: Option<Image>,
    /// Whether the next boot takes it.
    pub next_to_boot: bool,
}

/// The actions on a host's updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// Ask the repository what is offered.
    Refresh,
    /// Download and write the image.
    Prepare,
    /// Make it the one to boot.
    Activate,
    /// Make the running one the one to boot again.
    Deactivate,
    /// An action this program does not know.
    #[serde(other)]
    Other,
}

impl Command {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Prepare => "prepare",
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::Other => "other",
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum CommandStatus {
    /// It did what it was to do, by its exit code.
    Success,
    /// It did not.
    Failed,
    /// Nobody knows.
    #[serde(other)]
    Unknown,
}

/// The last command a host ran.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CommandRecord {
    /// Which one.
    pub cmd_type: Command,
    /// How it ended.
    pub cmd_status: CommandStatus,
    /// When it ended, as the host writes it: compared, never interpreted.
    pub timestamp: String,
    /// What it wrote to standard error.
    pub stderr: Option<String>,
}

impl CommandRecord {
    /// Whether this is a successful prepare that says it wrote `version`. The status alone is no proof: the host takes the
    /// version to write afresh from the repository, and reports success when it wrote nothing.
    #[must_use]
    pub fn wrote(&self, version: &Version) -> bool {
        let line = format!("Starting update to {version}");
        self.cmd_type == Command::Prepare
            && self.cmd_status == CommandStatus::Success
            && self.stderr.iter().flat_map(|text| text.lines()).any(|said| said.trim_end() == line)
    }

    /// The last line of its standard error, for a message.
    #[must_use]
    pub fn complaint(&self) -> &str {
        let mut lines = self.stderr.iter().flat_map(|text| text.lines()).map(str::trim);
        lines.rfind(|line| !line.is_empty()).unwrap_or("it gives no reason")
    }
}

/// The host's update status.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UpdateStatus {
    /// The state, from which follows what is allowed.
    pub update_state: UpdateState,
    /// What the host is offered, newest first; may hold the running version and older ones.
    pub available_updates: Vec<Version>,
    /// What a prepare would most likely write.
    pub chosen_update: Option<Image>,
    /// The running set.
    pub active_partition: Option<Partition>,
    /// The other set, once something was prepared under this boot.
    pub staging_partition: Option<Partition>,
    /// The last command.
    pub most_recent_command: Option<CommandRecord>,
}

impl UpdateStatus {
    /// The version in the staging set.
    #[must_use]
    pub fn staged(&self) -> Option<&Version> {
        let image = self.staging_partition.as_ref()?.image.as_ref()?;
        Some(&image.version)
    }

    /// Whether the running set is not known to be good while the other holds what would be booted instead: a prepare would
    /// destroy the only good image. Computed by the host once a boot.
    #[must_use]
    pub fn running_is_unmarked(&self) -> bool {
        self.staging_partition.is_none() && self.active_partition.as_ref().is_some_and(|active| !active.next_to_boot)
    }

    /// When the last command ended, as the host writes it.
    #[must_use]
    pub fn stamp(&self) -> Option<&str> {
        self.most_recent_command.as_ref().map(|record| record.timestamp.as_str())
    }
}

/// What came of asking for the update status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Updates {
    /// There is none since the boot.
    Uninitialised,
    /// A command runs, and the status cannot be read until it has ended.
    Busy,
    /// The status.
    Known(Box<UpdateStatus>),
    /// The host cannot give one, or gives nonsense.
    Unreadable(String),
}

/// What became of a command that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandOutcome {
    /// It still runs.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed, with its last words.
    Failed(String),
    /// Nothing came of it: its worker died, or somebody else's command has hidden its outcome.
    Lost,
}

/// Judges a command by type, changed timestamp and status together. `before` is the timestamp of the last command as it was
/// before this one was asked for.
#[must_use]
pub fn judge(command: Command, before: Option<&str>, updates: &Updates) -> CommandOutcome {
    let status = match updates {
        Updates::Busy | Updates::Unreadable(_) => return CommandOutcome::Running,
        Updates::Uninitialised => return CommandOutcome::Lost,
        Updates::Known(status) => status,
    };
    match &status.most_recent_command {
        Some(record) if record.cmd_type == command && before != Some(record.timestamp.as_str()) => {
            match record.cmd_status {
                CommandStatus::Success => CommandOutcome::Succeeded,
                CommandStatus::Failed | CommandStatus::Unknown => CommandOutcome::Failed(record.complaint().to_owned()),
            }
        }
        Some(_) | None => CommandOutcome::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(command: &str, stamp: &str, outcome: &str, stderr: &str) -> Updates {
        let text = serde_json::json!({
            "update_state": "Staged", "available_updates": ["1.20.0"], "chosen_update": null, "active_partition": null,
            "staging_partition": {"image": {"arch": "x86_64", "version": "1.20.0", "variant": "v"}, "next_to_boot": false},
            "most_recent_command": {"cmd_type": command, "cmd_status": outcome, "timestamp": stamp, "exit_status": 0, "stderr": stderr},
        });
        Updates::Known(serde_json::from_value(text).unwrap())
    }

    #[test]
    fn an_action_is_judged_by_type_timestamp_and_status_together() {
        let judge = |updates: &Updates| judge(Command::Prepare, Some("t1"), updates);
        assert_eq!(judge(&Updates::Busy), CommandOutcome::Running);
        assert_eq!(judge(&known("prepare", "t2", "Success", "")), CommandOutcome::Succeeded);
        assert_eq!(
            judge(&known("prepare", "t2", "Failed", "a\nno route\n")),
            CommandOutcome::Failed("no route".into())
        );
        assert_eq!(judge(&known("prepare", "t2", "Unknown", "x")), CommandOutcome::Failed("x".into()));
        assert_eq!(judge(&known("prepare", "t1", "Success", "")), CommandOutcome::Lost);
        assert_eq!(judge(&known("refresh", "t2", "Success", "")), CommandOutcome::Lost);
        assert_eq!(judge(&known("new-action", "t2", "Success", "")), CommandOutcome::Lost);
        assert_eq!(judge(&Updates::Uninitialised), CommandOutcome::Lost);
    }

    #[test]
    fn a_first_command_is_judged_without_a_timestamp_before_it() {
        assert_eq!(judge(Command::Refresh, None, &known("refresh", "t1", "Success", "")), CommandOutcome::Succeeded);
    }

    #[test]
    fn only_the_exact_line_proves_what_was_written() {
        let wrote = |stderr: &str| match known("prepare", "t", "Success", stderr) {
            Updates::Known(status) => status.most_recent_command.unwrap().wrote(&Version::new(1, 20, 0)),
            _ => unreachable!(),
        };
        assert!(wrote("Starting update to 1.20.0\n"));
        assert!(wrote("warning\nStarting update to 1.20.0\nmore"));
        assert!(!wrote("Starting update to 1.20.01\n"));
        assert!(!wrote("Starting update to 1.21.0\n"));
        assert!(!wrote("No update required"));
        assert!(!wrote(""));
    }
}
