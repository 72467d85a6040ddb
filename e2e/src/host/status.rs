//! The update status as `GET /updates/status` shows it.

use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize, Serializer};

use super::image::Image;

/// Where the update of a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateState {
    /// Nothing to install, or the last refresh failed.
    Idle,
    /// A version is chosen.
    Available,
    /// An image is said to be in the inactive set.
    Staged,
    /// That set boots next.
    Ready,
}

/// One of the four actions on an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// Look what the repository has.
    Refresh,
    /// Write an image to the inactive set.
    Prepare,
    /// Make that set boot next.
    Activate,
    /// Make the running set boot next again.
    Deactivate,
}

impl Command {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Refresh, Self::Prepare, Self::Activate, Self::Deactivate];

    /// Path of its request.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Refresh => "/actions/refresh-updates",
            Self::Prepare => "/actions/prepare-update",
            Self::Activate => "/actions/activate-update",
            Self::Deactivate => "/actions/deactivate-update",
        }
    }
}

/// Outcome of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandStatus {
    /// Exit status 0.
    Success,
    /// Any other.
    Failed,
}

/// The last command that ran to an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    /// Which.
    pub cmd_type: Command,
    /// Whether it succeeded.
    pub cmd_status: CommandStatus,
    /// When it ended.
    #[serde(serialize_with = "timestamp")]
    pub timestamp: Timestamp,
    /// Exit code of the update program, or the number of the signal that killed it.
    pub exit_status: Option<i32>,
    /// All it said.
    pub stderr: Option<String>,
}

/// An image in a partition set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedImage {
    /// The image.
    pub image: Image,
    /// Whether it boots next.
    pub next_to_boot: bool,
}

/// The whole status; the field order is that on the wire, and every field is always there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateStatus {
    /// The state machine's state.
    pub update_state: UpdateState,
    /// Versions offered at the last successful refresh, newest first.
    pub available_updates: Vec<Version>,
    /// What that refresh chose.
    pub chosen_update: Option<Image>,
    /// The running image.
    pub active_partition: Option<StagedImage>,
    /// What the last prepare was meant to write.
    pub staging_partition: Option<StagedImage>,
    /// The last command that ran to an end.
    pub most_recent_command: Option<CommandResult>,
}

impl UpdateStatus {
    /// The status at the first command after a boot.
    pub(super) const fn new(running: Image, next_to_boot: bool) -> Self {
        Self {
            update_state: UpdateState::Idle,
            available_updates: Vec::new(),
            chosen_update: None,
            active_partition: Some(StagedImage { image: running, next_to_boot }),
            staging_partition: None,
            most_recent_command: None,
        }
    }

    /// An activate (`true`) or a deactivate (`false`) has moved the flags.
    pub(super) const fn set_staging_boots_next(&mut self, staging: bool) {
        if let Some(partition) = &mut self.staging_partition {
            partition.next_to_boot = staging;
        }
        if let Some(partition) = &mut self.active_partition {
            partition.next_to_boot = !staging;
        }
    }
}

/// RFC 3339 in UTC with 0, 3, 6 or 9 decimals: as few of these as the value needs.
fn timestamp<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let decimals = match at.subsec_nanosecond().unsigned_abs() {
        0 => 0,
        nanos if nanos % 1_000_000 == 0 => 3,
        nanos if nanos % 1_000 == 0 => 6,
        _ => 9,
    };
    serializer.collect_str(&format_args!("{at:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_in_order_when_all_is_empty() {
        let image = Image { arch: "x86_64".into(), version: Version::new(1, 16, 1), variant: "aws-k8s-1.28".into() };
        assert_eq!(
            serde_json::to_string(&UpdateStatus::new(image, true)).unwrap(),
            r#"{"update_state":"Idle","available_updates":[],"chosen_update":null,"active_partition":{"image":{"arch":"x86_64","version":"1.16.1","variant":"aws-k8s-1.28"},"next_to_boot":true},"staging_partition":null,"most_recent_command":null}"#
        );
    }

    #[test]
    fn timestamps_have_as_many_groups_of_decimals_as_they_need() {
        for text in [
            "2026-11-22T05:34:15Z",
            "2026-11-22T05:34:15.918Z",
            "2026-11-22T05:34:15.918100Z",
            "2026-11-22T05:34:15.918102166Z",
            "2026-11-22T05:34:15.918102160Z",
        ] {
            let result = CommandResult {
                cmd_type: Command::Deactivate,
                cmd_status: CommandStatus::Failed,
                timestamp: text.parse().unwrap(),
                exit_status: Some(9),
                stderr: None,
            };
            assert_eq!(
                serde_json::to_string(&result).unwrap(),
                format!(
                    r#"{{"cmd_type":"deactivate","cmd_status":"Failed","timestamp":"{text}","exit_status":9,"stderr":null}}"#
                )
            );
        }
    }
}
