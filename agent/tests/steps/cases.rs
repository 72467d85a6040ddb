//! The parts from which observations are put together.

use std::time::Duration;

use agent::memory::{DrainDone, Memory, Offered};
use agent::observe::{Host, Observation, ShadowReading};
use agent::step::Action;
use agent::updates::{Command, CommandRecord, CommandStatus, Image, Partition, UpdateState, UpdateStatus, Updates};
use api::Shadow;
use api::shadow::{Activity, Desired, NodeRef, Observed, Rebooting, State};
use jiff::Timestamp;
use semver::Version;

pub(crate) const CLOCK: Duration = Duration::from_secs(10_000);
pub(crate) const BOOT: &str = "boot-1";

/// The version that is approved in every case.
pub(crate) fn approved() -> Version {
    Version::new(1, 20, 0)
}

pub(crate) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Approval {
    Valid,
    Expired,
    Absent,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Intent {
    None,
    SameBoot,
    OtherBoot,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum OnHost {
    Away,
    Uninitialised,
    Busy,
    Unreadable,
    Idle,
    Available,
    /// Something newer than the approved version is chosen.
    AvailableOther,
    Staged,
    /// The status says so, but the prepare wrote something else.
    StagedFalsely,
    StagedOther,
    Ready,
    ReadyOther,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Remembered {
    Nothing,
    Refreshed,
    Drained,
    DrainedAndReread,
    DrainedActivated,
    DrainedLongAgo,
    AskedToReboot,
}

/// The host's version-lock, and whether the shadow records what was there before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum OnLock {
    NotRead,
    UnreadRecorded,
    Latest,
    LatestRecorded,
    Approved,
    ApprovedRecorded,
    Administrators,
    TheirsRecorded,
}

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) desired: State,
    pub(crate) reported: Option<State>,
    pub(crate) activity: Activity,
    pub(crate) on_host: OnHost,
    pub(crate) intent: Intent,
    pub(crate) running: Version,
    pub(crate) approval: Approval,
    pub(crate) remembered: Remembered,
    pub(crate) lock: OnLock,
}

pub(crate) const STATES: [State; 5] = State::ALL;
pub(crate) const ACTIVITIES: [Activity; 4] =
    [Activity::Idle, Activity::Staged, Activity::Activating, Activity::Rebooting];
pub(crate) const HOSTS: [OnHost; 12] = [
    OnHost::Away,
    OnHost::Uninitialised,
    OnHost::Busy,
    OnHost::Unreadable,
    OnHost::Idle,
    OnHost::Available,
    OnHost::AvailableOther,
    OnHost::Staged,
    OnHost::StagedFalsely,
    OnHost::StagedOther,
    OnHost::Ready,
    OnHost::ReadyOther,
];
pub(crate) const MEMORIES: [Remembered; 7] = [
    Remembered::Nothing,
    Remembered::Refreshed,
    Remembered::Drained,
    Remembered::DrainedAndReread,
    Remembered::DrainedActivated,
    Remembered::DrainedLongAgo,
    Remembered::AskedToReboot,
];

/// The whole product.
pub(crate) fn every_case() -> impl Iterator<Item = Case> {
    let mut cases = Vec::new();
    for running in [Version::new(1, 19, 0), approved(), Version::new(1, 21, 0)] {
        for desired in STATES {
            for reported in [None].into_iter().chain(STATES.map(Some)) {
                for activity in ACTIVITIES {
                    for on_host in HOSTS {
                        for remembered in MEMORIES {
                            let case =
                                Case { desired, reported, activity, on_host, remembered, ..Case::base(&running) };
                            cases.push(case);
                        }
                    }
                }
            }
        }
    }
    let with_intent =
        |case: Case| [Intent::None, Intent::SameBoot, Intent::OtherBoot].map(|intent| Case { intent, ..case.clone() });
    let with_approval = |case: Case| {
        [Approval::Valid, Approval::Expired, Approval::Absent].map(|approval| Case { approval, ..case.clone() })
    };
    let whole = cases.clone().into_iter().flat_map(with_intent).flat_map(with_approval);
    let with_lock = |case: Case| LOCKS.map(|lock| Case { lock, ..case.clone() });
    let two = |case: &Case| matches!(case.activity, Activity::Idle | Activity::Staged);
    whole.chain(cases.into_iter().filter(two).flat_map(with_lock))
}

pub(crate) const LOCKS: [OnLock; 7] = [
    OnLock::NotRead,
    OnLock::UnreadRecorded,
    OnLock::Latest,
    OnLock::LatestRecorded,
    OnLock::Approved,
    OnLock::Administrators,
    OnLock::TheirsRecorded,
];

/// A version-lock that an administrator has set.
pub(crate) const THEIRS: &str = "v1.18.0";

impl Case {
    fn base(running: &Version) -> Self {
        Self {
            desired: State::Idle,
            reported: None,
            activity: Activity::Idle,
            on_host: OnHost::Idle,
            intent: Intent::None,
            running: running.clone(),
            approval: Approval::Valid,
            remembered: Remembered::Refreshed,
            lock: OnLock::ApprovedRecorded,
        }
    }

    pub(crate) fn new(desired: State, reported: State, activity: Activity, on_host: OnHost) -> Self {
        Self { desired, reported: Some(reported), activity, on_host, ..Self::base(&Version::new(1, 19, 0)) }
    }

    pub(crate) fn observation(&self) -> Observation {
        let shadow = ShadowReading::Known(Box::new(self.shadow()));
        let host = self.host();
        let mut memory = Memory::new(Duration::from_secs(120));
        memory.see(BOOT, &shadow, &host, CLOCK - Duration::from_secs(1), 0.5);
        self.remember(&mut memory);
        let (lock, recorded) = match self.lock {
            OnLock::NotRead => (None, false),
            OnLock::UnreadRecorded => (None, true),
            OnLock::Latest => (Some("latest"), false),
            OnLock::LatestRecorded => (Some("latest"), true),
            OnLock::Approved => (Some("1.20.0"), false),
            OnLock::ApprovedRecorded => (Some("1.20.0"), true),
            OnLock::Administrators => (Some(THEIRS), false),
            OnLock::TheirsRecorded => (Some(THEIRS), true),
        };
        memory.on.lock = lock.map(str::to_owned);
        memory.lock = lock.map(str::to_owned);
        let mut shadow = self.shadow();
        if let Some(report) = &mut shadow.observed {
            report.version_lock_before = recorded.then(|| "latest".to_owned());
        }
        let shadow = ShadowReading::Known(Box::new(shadow));
        Observation { now: now(), clock: CLOCK, boot_id: BOOT.to_owned(), shadow, host, memory }
    }

    fn remember(&self, memory: &mut Memory) {
        if self.remembered == Remembered::Nothing {
            return;
        }
        memory.refreshed_at = Some(CLOCK - Duration::from_secs(5));
        if self.remembered == Remembered::AskedToReboot {
            memory.reboot_asked = Some(CLOCK - Duration::from_secs(100));
        }
        let Some(approval) = self.shadow().desired.approval() else { return };
        if matches!(self.remembered, Remembered::Refreshed | Remembered::AskedToReboot) {
            return;
        }
        let ago = if self.remembered == Remembered::DrainedLongAgo { 400 } else { 5 };
        memory.on.drained = Some(DrainDone {
            approval,
            since: CLOCK - Duration::from_secs(ago),
            at: CLOCK - Duration::from_secs(ago),
            activated: matches!(self.remembered, Remembered::DrainedActivated | Remembered::DrainedLongAgo),
        });
        memory.on.reread = self.remembered == Remembered::DrainedAndReread;
    }

    pub(crate) fn shadow(&self) -> Shadow {
        let start = State::StagedAndPerformedUpdate;
        let names_version =
            matches!(self.desired, State::RebootedIntoUpdate | State::MonitoringUpdate) || self.desired == start;
        let expiry = match self.approval {
            Approval::Valid => Some("2026-11-22T12:05:00Z"),
            Approval::Expired => Some("2026-11-22T11:55:00Z"),
            Approval::Absent => None,
        };
        Shadow {
            name: "brs-a".to_owned(),
            uid: "u".to_owned(),
            resource_version: "7".to_owned(),
            node: NodeRef { name: "a".to_owned(), uid: "n".to_owned() },
            desired: Desired {
                state: self.desired,
                since: Some("2026-11-22T11:50:00Z".parse().unwrap()),
                version: names_version.then(approved),
                disrupt_not_after: expiry
                    .filter(|_| self.desired == State::RebootedIntoUpdate)
                    .map(|at| at.parse().unwrap()),
                ..Desired::default()
            },
            observed: self.reported.map(|state| self.report(state)),
            recorded_pin: None,
            conditions: Vec::new(),
        }
    }

    fn report(&self, state: State) -> Observed {
        let boot_id = match self.intent {
            Intent::None => None,
            Intent::SameBoot => Some(BOOT),
            Intent::OtherBoot => Some("boot-0"),
        };
        Observed {
            agent_version: Some(agent::step::AGENT_VERSION.to_owned()),
            available_versions: vec![Version::new(1, 22, 0), approved()],
            activity: Some(self.activity),
            rebooting: boot_id.map(|boot_id| Rebooting {
                version: approved(),
                from_version: Version::new(1, 19, 0),
                boot_id: boot_id.to_owned(),
            }),
            ..Observed::new(state, self.running.clone(), approved())
        }
    }

    fn host(&self) -> Host {
        let other = Version::new(1, 22, 0);
        let updates = match self.on_host {
            OnHost::Away => {
                return Host::Away { why: "no".to_owned(), refused: true };
            }
            OnHost::Uninitialised => Updates::Uninitialised,
            OnHost::Busy => Updates::Busy,
            OnHost::Unreadable => Updates::Unreadable("?".to_owned()),
            OnHost::Idle => status(UpdateState::Idle, None, None, record(Command::Refresh, "")),
            OnHost::Available => status(UpdateState::Available, Some(approved()), None, record(Command::Refresh, "")),
            OnHost::AvailableOther => status(UpdateState::Available, Some(other), None, record(Command::Refresh, "")),
            OnHost::Staged => status(UpdateState::Staged, Some(approved()), Some(approved()), wrote(&approved())),
            OnHost::StagedFalsely => status(UpdateState::Staged, Some(approved()), Some(approved()), wrote(&other)),
            OnHost::StagedOther => status(UpdateState::Staged, Some(approved()), Some(other.clone()), wrote(&other)),
            OnHost::Ready => {
                status(UpdateState::Ready, Some(approved()), Some(approved()), record(Command::Activate, ""))
            }
            OnHost::ReadyOther => {
                status(UpdateState::Ready, Some(approved()), Some(other), record(Command::Activate, ""))
            }
        };
        Host::Up { running: self.running.clone(), updates }
    }
}

fn wrote(version: &Version) -> CommandRecord {
    record(Command::Prepare, &format!("Starting update to {version}\n"))
}

pub(crate) fn record(cmd_type: Command, stderr: &str) -> CommandRecord {
    CommandRecord {
        cmd_type,
        cmd_status: CommandStatus::Success,
        timestamp: "t1".to_owned(),
        stderr: Some(stderr.to_owned()),
    }
}

fn status(update_state: UpdateState, chosen: Option<Version>, staged: Option<Version>, last: CommandRecord) -> Updates {
    let ready = update_state == UpdateState::Ready;
    Updates::Known(Box::new(UpdateStatus {
        update_state,
        available_updates: vec![Version::new(1, 22, 0), approved()],
        chosen_update: chosen.map(|version| Image { version }),
        active_partition: Some(Partition { image: None, next_to_boot: !ready }),
        staging_partition: staged.map(|version| Partition { image: Some(Image { version }), next_to_boot: ready }),
        most_recent_command: Some(last),
    }))
}

/// Stores what is to be reported, if that comes first, and decides again.
pub(crate) fn reported(observation: &mut Observation) -> Option<agent::step::Step> {
    let step = agent::step::next_step(observation);
    let Action::Report(status) = &step.action else { return None };
    let ShadowReading::Known(shadow) = &mut observation.shadow else { return None };
    shadow.observed = Some(Observed::try_from(status.as_ref()).unwrap());
    Some(step)
}

pub(crate) fn offered(observation: &Observation) -> Option<&Offered> {
    observation.memory.offered.as_ref()
}
