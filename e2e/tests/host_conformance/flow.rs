//! What the recording did between its exchanges, and what the status said that it did not write down.
//!
//! The recording was made with a real server, an own repository and stand-ins for the programs around it; settings were
//! changed, programs replaced and files edited past the recorded exchanges.

use e2e::host::{
    Command, CommandStatus, Deed, Machine, Moment, OnBoot, Reach, Reboot, Release, Repository, UpdateState,
    UpdateStatus, Updater, Updates, Waves,
};
use jiff::Timestamp;

use super::rig::version;

/// One thing to do before an exchange.
pub(super) enum Direction {
    /// Wait until commands, boots and settings are through.
    Settle,
    /// Somebody does something to the host.
    Do(Deed),
    /// Something on the host breaks or is mended.
    Spoil(fn(&mut Machine)),
    /// The repository changes.
    Publish(fn(&Repository)),
    /// The status is as the recording's maker found it.
    See(fn(&UpdateStatus)),
}

use Direction::{Do, Publish, See, Settle, Spoil};

type Scenes = Vec<(&'static str, Vec<Direction>)>;

pub(super) fn see(look: fn(&UpdateStatus)) -> Direction {
    See(look)
}

fn lock(version: &str) -> Direction {
    Do(Deed::lock(version).unwrap())
}

fn reach(reach: Reach) -> Direction {
    Do(Deed::Reach(reach))
}

fn run(command: Command) -> Direction {
    Do(Deed::Run(command))
}

/// Exchange by exchange, in the order of the recording.
pub(super) fn scenes() -> Scenes {
    [
        update(),
        downgrade(),
        fallback(),
        repository_down(),
        newer_release(),
        waves(),
        broken_host(),
        unmarked_boot(),
        odd_states(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn update() -> Scenes {
    vec![
        ("refresh", vec![]),
        ("status-immediately", vec![]),
        ("status-after-refresh", vec![Settle]),
        ("prepare", vec![]),
        ("status-during-prepare", vec![]),
        ("refresh-during-prepare", vec![]),
        ("activate-during-prepare", vec![]),
        ("os-during-prepare", vec![]),
        ("status-after-prepare", vec![Settle]),
        ("deactivate-when-staged", vec![]),
        ("activate", vec![]),
        ("status-after-activate", vec![Settle]),
        ("prepare-when-ready", vec![]),
        ("activate-when-ready", vec![]),
        ("refresh-when-ready", vec![]),
        ("deactivate", vec![Settle]),
        ("activate-again", vec![Settle]),
        ("reboot", vec![Settle]),
        ("os-after-reboot", vec![Settle]),
        ("status-after-reboot", vec![]),
    ]
}

fn downgrade() -> Scenes {
    let nothing_chosen = |status: &UpdateStatus| {
        assert_eq!(status.update_state, UpdateState::Idle);
        assert_eq!(status.chosen_update, None);
    };
    vec![
        ("refresh-after-reboot", vec![]),
        ("refresh-locked-old", vec![Settle, lock("1.16.0"), Settle]),
        ("prepare-old", vec![Settle]),
        ("activate-old", vec![Settle]),
        ("os-after-downgrade", vec![Settle, Do(Deed::Reboot), Settle]),
        ("refresh-lock-missing", vec![lock("1.99.0"), Settle]),
        ("prepare-idle", vec![Settle, See(nothing_chosen)]),
    ]
}

fn fallback() -> Scenes {
    let as_before = |status: &UpdateStatus| {
        assert_eq!(status.update_state, UpdateState::Available);
        assert_eq!(status.chosen_update.as_ref().unwrap().version, version("1.17.0"));
        assert_eq!(status.staging_partition, None);
        assert!(status.active_partition.as_ref().unwrap().next_to_boot);
    };
    let bad_image: fn(&mut Machine) = |machine| machine.faults_mut().next_boot = Some(OnBoot::FailsToBoot);
    vec![
        ("rb-refresh", vec![lock("latest"), Settle]),
        ("rb-prepare", vec![Settle]),
        ("rb-activate", vec![Settle]),
        ("rb-reboot", vec![Settle, Spoil(bad_image)]),
        ("rb-os", vec![Settle]),
        ("rb-status", vec![]),
        ("rb-refresh2", vec![]),
        ("down-refresh", vec![Settle, See(as_before), reach(Reach::Refuses)]),
    ]
}

fn repository_down() -> Scenes {
    let idle_with_old_lists = |status: &UpdateStatus| {
        failed(status, UpdateState::Idle);
        assert_eq!(status.available_updates.len(), 3);
        assert_eq!(status.chosen_update.as_ref().unwrap().version, version("1.17.0"));
    };
    vec![
        ("down-prepare", vec![Settle, See(idle_with_old_lists)]),
        ("up-refresh", vec![reach(Reach::Reachable)]),
        ("prep-down", vec![Settle, reach(Reach::ImagesMissing)]),
        ("prep-retry", vec![Settle, See(|status| failed(status, UpdateState::Available)), reach(Reach::Reachable)]),
        ("prep-down2", vec![Settle, reach(Reach::ImagesMissing)]),
        (
            "act-after-failed-reprepare",
            vec![Settle, See(|status| failed(status, UpdateState::Staged)), reach(Reach::Reachable)],
        ),
    ]
}

fn newer_release() -> Scenes {
    let not_valid = |status: &UpdateStatus| {
        failed(status, UpdateState::Staged);
        let words = stderr(status);
        assert!(words.starts_with("Could not mark inactive partition for boot: Inactive partition /dev/"), "{words}");
        assert!(words.ends_with(" has not been marked valid for upgrade\n"), "{words}");
    };
    let another_one = |status: &UpdateStatus| {
        assert_eq!(stderr(status), "Starting update to 1.19.0\n");
        assert_eq!(status.staging_partition.as_ref().unwrap().image.version, version("1.18.0"));
    };
    vec![
        (
            "prep-new",
            vec![
                Settle,
                See(not_valid),
                Publish(|repository| repository.publish(Release::new(version("1.18.0")))),
                run(Command::Refresh),
                Settle,
                Publish(|repository| repository.publish(Release::new(version("1.19.0")))),
            ],
        ),
        (
            "kill-prepare",
            vec![Settle, Spoil(|machine| machine.when(Moment::Halfway(Command::Prepare), Deed::KillWorker))],
        ),
        // With the timestamp of the prepare before.
        ("kill-status", vec![Settle]),
        ("kill-prepare-again", vec![]),
        ("k2", vec![Settle, See(another_one)]),
        ("k2-activate", vec![Settle]),
    ]
}

fn waves() -> Scenes {
    let hidden: fn(&Repository) = |repository| {
        repository.withdraw(&version("1.18.0"));
        repository.withdraw(&version("1.19.0"));
        repository.change(|release| {
            if release.image.version == version("1.17.0") {
                release.waves = Waves::not_before(Timestamp::MAX);
            }
        });
    };
    let next_one = |status: &UpdateStatus| assert_eq!(status.available_updates, ["1.16.1", "1.16.0"].map(version));
    let all = |status: &UpdateStatus| assert_eq!(status.available_updates, ["1.17.0", "1.16.1", "1.16.0"].map(version));
    let not_what_it_says = |status: &UpdateStatus| {
        assert_eq!(stderr(status), "Starting update to 1.16.1\n");
        assert_eq!(status.staging_partition.as_ref().unwrap().image.version, version("1.17.0"));
    };
    let seed = |seed| Do(Deed::set(Updates { seed: Some(seed), ..Updates::default() }));
    let pulled: fn(&Repository) = |repository| {
        repository.change(|release| release.max_version = Some(version("1.16.0")));
    };
    let reset = [run(Command::Deactivate), Settle, Do(Deed::PowerCycle), Settle];
    vec![
        ("wave-refresh", [Settle].into_iter().chain(reset).chain([Publish(hidden), seed(1_024), Settle]).collect()),
        ("wave-ignored", vec![Settle, See(next_one), Do(Deed::ignore_waves(true)), Settle]),
        ("wave-prepare", vec![Settle, See(all), Do(Deed::ignore_waves(false)), Settle]),
        ("wave-activate", vec![Settle, See(not_what_it_says)]),
        // A seed of zero is let through before the first wave starts.
        ("wave-seed0", vec![Settle, seed(0), Settle]),
        ("maxv", vec![Settle, See(all), Publish(pulled)]),
    ]
}

fn broken_host() -> Scenes {
    let only_the_oldest = |status: &UpdateStatus| assert_eq!(status.available_updates, ["1.16.0"].map(version));
    let whole: fn(&Repository) = |repository| {
        repository.change(|release| {
            release.max_version = None;
            release.waves = Waves::default();
        });
    };
    let inhibited: fn(&mut Machine) = |machine| {
        let stderr = "Operation inhibited by \"kubelet\" (stub)\n".to_owned();
        machine.faults_mut().reboot = Reboot::Inhibited { stderr };
    };
    let no_updater: fn(&mut Machine) = |machine| {
        machine.remove_status();
        machine.faults_mut().updater = Updater::Missing;
    };
    let nothing_ran = |status: &UpdateStatus| assert_eq!(status.most_recent_command, None);
    let no_dispatcher: fn(&mut Machine) = |machine| {
        machine.faults_mut().updater = Updater::Works;
        machine.faults_mut().no_in_place_updates = true;
    };
    let no_lock_folder: fn(&mut Machine) = |machine| {
        machine.faults_mut().no_in_place_updates = false;
        machine.faults_mut().no_lock_folder = true;
    };
    vec![
        ("reboot-fail", vec![Settle, See(only_the_oldest), Publish(whole), Spoil(inhibited)]),
        (
            "corrupt-status",
            vec![
                Settle,
                Spoil(|machine| machine.faults_mut().reboot = Reboot::Happens),
                Spoil(Machine::corrupt_status),
            ],
        ),
        ("corrupt-refresh", vec![]),
        ("noupdog-refresh", vec![Spoil(no_updater)]),
        ("notbu-refresh", vec![Settle, See(nothing_ran), Spoil(no_dispatcher)]),
        ("nolock-status", vec![Spoil(no_lock_folder)]),
        ("nolock-refresh", vec![]),
    ]
}

fn unmarked_boot() -> Scenes {
    let nothing_chosen = |status: &UpdateStatus| {
        assert_eq!(status.update_state, UpdateState::Idle);
        assert_eq!(status.chosen_update, None);
    };
    let goes_back_next = |status: &UpdateStatus| {
        assert_eq!(status.active_partition.as_ref().unwrap().image.version, version("1.17.0"));
        assert!(!status.active_partition.as_ref().unwrap().next_to_boot);
        assert_eq!(status.staging_partition, None);
    };
    let unmarked: fn(&mut Machine) = |machine| machine.faults_mut().next_boot = Some(OnBoot::StaysUnmarked);
    let is_back: fn(&mut Machine) = |machine| assert_eq!(machine.disk().running().version, version("1.16.0"));
    let mended: fn(&mut Machine) = |machine| machine.faults_mut().no_lock_folder = false;
    vec![
        ("lock-current", vec![Spoil(mended), Spoil(Machine::remove_status), lock("1.16.0"), Settle]),
        ("nm-refresh", vec![Settle, See(nothing_chosen), lock("latest"), Settle]),
        ("nm-prepare", vec![Settle]),
        ("nm-act", vec![Settle]),
        ("nm-os", vec![Settle, Spoil(unmarked), Do(Deed::Reboot), Settle]),
        ("nm-refresh2", vec![]),
        ("nm3", vec![Settle, See(goes_back_next), Do(Deed::Reboot), Settle, Spoil(is_back)]),
        ("nm4", vec![Settle]),
        ("nm5", vec![Settle]),
    ]
}

fn odd_states() -> Scenes {
    let chosen_gone = |status: &UpdateStatus| {
        assert_eq!(status.update_state, UpdateState::Staged);
        assert_eq!(status.chosen_update, None);
    };
    let ready = |status: &UpdateStatus| assert_eq!(status.update_state, UpdateState::Ready);
    let no_staging: fn(&mut Machine) = |machine| machine.edit_status(|status| status.staging_partition = None);
    let unreadable = |status: &UpdateStatus| {
        assert_eq!(outcome(status), (Command::Refresh, CommandStatus::Success, Some(0)));
        assert_eq!(status.update_state, UpdateState::Staged);
        assert_eq!(status.chosen_update, None);
    };
    let killed =
        |status: &UpdateStatus| assert_eq!(outcome(status), (Command::Refresh, CommandStatus::Failed, Some(9)));
    let exits: fn(&mut Machine) = |machine| {
        let stderr = "failed\n".to_owned();
        machine.faults_mut().updater = Updater::Exits { code: 3, stderr };
    };
    vec![
        ("r", vec![Settle, run(Command::Deactivate), Settle, Do(Deed::PowerCycle), Settle]),
        ("p", vec![Settle]),
        ("r", vec![Settle, lock("1.99.0"), Settle]),
        ("staged-prepare-no-chosen", vec![Settle, See(chosen_gone)]),
        ("activate-anyway", vec![]),
        ("deact", vec![Settle, See(ready)]),
        ("staged-without-staging-activate", vec![Settle, Spoil(no_staging)]),
        ("garbage", vec![lock("latest"), Settle, Spoil(|machine| machine.faults_mut().updater = Updater::Garbage)]),
        ("killed", vec![Settle, See(unreadable), Spoil(|machine| machine.faults_mut().updater = Updater::Killed(9))]),
        ("exit3", vec![Settle, See(killed), Spoil(exits)]),
    ]
}

/// What the last exchange leaves.
pub(super) fn exit_three(status: &UpdateStatus) {
    assert_eq!(outcome(status), (Command::Refresh, CommandStatus::Failed, Some(3)));
}

fn outcome(status: &UpdateStatus) -> (Command, CommandStatus, Option<i32>) {
    let last = status.most_recent_command.as_ref().unwrap();
    (last.cmd_type, last.cmd_status, last.exit_status)
}

fn stderr(status: &UpdateStatus) -> &str {
    status.most_recent_command.as_ref().unwrap().stderr.as_deref().unwrap()
}

fn failed(status: &UpdateStatus, state: UpdateState) {
    assert_eq!(outcome(status).1, CommandStatus::Failed);
    assert_eq!(status.update_state, state);
}
