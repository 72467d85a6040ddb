//! Commands: what they change, and what can happen between two of them.

use std::time::Duration;

use http::StatusCode;

use super::rig::{Rig, STATUS, version};
use crate::host::Command::{Activate, Deactivate, Prepare, Refresh};
use crate::host::{Command, CommandStatus, Deed, Moment, Release, UpdateState, Waves};

#[test]
fn the_whole_way_up() {
    let mut rig = Rig::new();
    rig.run(Refresh).run(Prepare).run(Activate);
    assert_eq!(rig.state(), UpdateState::Ready);
    assert_eq!(rig.send("POST", "/actions/reboot", ""), (StatusCode::NO_CONTENT, String::new()));
    rig.settle();
    assert_eq!(rig.running(), &version(17));
    assert_eq!(rig.get(STATUS).0, StatusCode::NOT_FOUND);
}

#[test]
fn a_refused_first_command_leaves_an_idle_status() {
    for command in [Prepare, Activate, Deactivate] {
        let mut rig = Rig::new();
        assert_eq!(rig.code(command), StatusCode::CONFLICT, "{command:?}");
        assert_eq!(rig.state(), UpdateState::Idle);
        assert_eq!(rig.status().most_recent_command, None);
    }
}

#[test]
fn a_running_command_locks_out_all_others_and_the_status() {
    for (first, before) in [(Refresh, vec![]), (Prepare, vec![Refresh]), (Activate, vec![Refresh, Prepare])] {
        let mut rig = Rig::new();
        for command in before {
            rig.run(command);
        }
        assert_eq!(rig.code(first), StatusCode::NO_CONTENT);
        assert_eq!(rig.get(STATUS).0, StatusCode::LOCKED, "{first:?}");
        for second in Command::ALL {
            let locked = (StatusCode::LOCKED, "Update lock held".to_owned());
            assert_eq!(rig.send("POST", second.path(), ""), locked, "{second:?} while {first:?}");
        }
        assert_eq!(rig.get("/os").0, StatusCode::OK);
        assert_eq!(rig.settle().outcome().0, first);
        assert_eq!(rig.get(STATUS).0, StatusCode::OK);
    }
}

#[test]
fn an_activated_update_can_be_taken_back_and_activated_again() {
    let mut rig = Rig::new();
    rig.run(Refresh).run(Prepare).run(Activate).run(Deactivate);
    assert_eq!(rig.state(), UpdateState::Staged);
    assert!(rig.status().active_partition.as_ref().unwrap().next_to_boot);
    rig.run(Activate).perform(Deed::Reboot).settle();
    assert_eq!(rig.running(), &version(17));
}

#[test]
fn a_refresh_when_staged_or_ready_replaces_the_lists_and_keeps_the_state() {
    let mut rig = Rig::new();
    rig.run(Refresh).run(Prepare);
    rig.repository.publish(Release::new(version(18)));
    for (command, state) in [(None, UpdateState::Staged), (Some(Activate), UpdateState::Ready)] {
        if let Some(command) = command {
            rig.run(command);
        }
        rig.run(Refresh);
        assert_eq!(rig.state(), state);
        assert_eq!(rig.status().chosen_update.as_ref().unwrap().version, version(18));
        assert_eq!(rig.status().staging_partition.as_ref().unwrap().image.version, version(17));
    }
}

#[test]
fn a_release_published_between_refresh_and_prepare_is_what_is_written() {
    let mut rig = Rig::new();
    rig.machine.when(Moment::Requested(Prepare), Deed::Publish(Release::new(version(18))));
    rig.run(Refresh).run(Prepare);
    assert_eq!(rig.outcome(), (Prepare, CommandStatus::Success, "Starting update to 1.18.0\n"));
    assert_eq!(rig.status().staging_partition.as_ref().unwrap().image.version, version(17));
    rig.run(Activate).perform(Deed::Reboot).settle();
    assert_eq!(rig.running(), &version(18));
}

#[test]
fn a_pinned_version_is_written_whatever_is_published() {
    let mut rig = Rig::new();
    rig.perform(Deed::lock("1.17.0").unwrap()).settle();
    rig.machine.when(Moment::Requested(Prepare), Deed::Publish(Release::new(version(18))));
    rig.run(Refresh).run(Prepare);
    assert_eq!(rig.outcome(), (Prepare, CommandStatus::Success, "Starting update to 1.17.0\n"));
}

#[test]
fn a_lock_changed_by_somebody_after_the_refresh_counts_for_the_prepare() {
    let mut rig = Rig::new();
    rig.repository.publish(Release::new(version(15)));
    rig.run(Refresh).perform(Deed::lock("v1.15.0").unwrap()).settle().run(Prepare);
    assert_eq!(rig.outcome().2, "Starting update to 1.15.0\n");
    assert_eq!(rig.status().staging_partition.as_ref().unwrap().image.version, version(17));
}

#[test]
fn a_prepare_with_nothing_to_install_any_more_succeeds_and_cannot_be_activated() {
    let mut rig = Rig::new();
    rig.machine.when(Moment::Requested(Prepare), Deed::Withdraw(version(17)));
    rig.run(Refresh).run(Prepare);
    assert_eq!(rig.outcome(), (Prepare, CommandStatus::Success, "No update required\n"));
    assert_eq!(rig.state(), UpdateState::Staged);
    rig.run(Activate);
    let words = "Could not mark inactive partition for boot: Inactive partition /dev/nvme0n1 has not been marked valid for upgrade\n";
    assert_eq!(rig.outcome(), (Activate, CommandStatus::Failed, words));
    assert_eq!(rig.state(), UpdateState::Staged);
}

#[test]
fn a_wave_hides_a_version_from_the_list_too() {
    let mut rig = Rig::new();
    let later = rig.now + Duration::from_secs(600);
    rig.repository.change(|release| {
        if release.image.version == version(17) {
            release.waves = Waves::not_before(later);
        }
    });
    rig.run(Refresh);
    assert_eq!((rig.state(), &rig.status().available_updates), (UpdateState::Idle, &vec![version(16)]));
    rig.perform(Deed::ignore_waves(true)).settle().run(Refresh);
    assert_eq!(rig.state(), UpdateState::Available);
    rig.perform(Deed::ignore_waves(false)).settle().run(Refresh);
    assert_eq!(rig.state(), UpdateState::Idle);
    rig.pass(Duration::from_secs(600)).run(Refresh);
    assert_eq!(rig.state(), UpdateState::Available);
}

#[test]
fn a_foreign_command_shows_up_in_the_status() {
    let mut rig = Rig::new();
    rig.machine.when(Moment::Ended(Prepare), Deed::Run(Activate));
    rig.run(Refresh).run(Prepare);
    assert_eq!(rig.outcome().0, Activate);
    assert_eq!(rig.state(), UpdateState::Ready);
}

#[test]
fn a_prepare_needs_what_a_refresh_chose() {
    let mut rig = Rig::new();
    rig.run(Refresh).run(Prepare).perform(Deed::lock("1.99.0").unwrap()).settle().run(Refresh);
    let gone = (StatusCode::NOT_FOUND, "Previously chosen Update no longer exists".to_owned());
    assert_eq!(rig.send("POST", Prepare.path(), ""), gone);
    rig.run(Activate);
    assert_eq!(rig.state(), UpdateState::Ready);
}
