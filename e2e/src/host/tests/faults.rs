//! What goes wrong, and what the status says then.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::rig::{Rig, STATUS, version};
use crate::host::Command::{Activate, Deactivate, Prepare, Refresh};
use crate::host::{Command, CommandStatus, Deed, Effect, Faults, Mangled, Moment, Reach, Reply, UpdateState, Updater};

#[test]
fn a_refresh_that_fails_keeps_the_old_lists_and_goes_idle() {
    let mut rig = Rig::new();
    rig.run(Refresh).perform(Deed::Reach(Reach::Refuses)).run(Refresh);
    assert_eq!(rig.outcome().1, CommandStatus::Failed);
    assert_eq!(rig.state(), UpdateState::Idle);
    assert_eq!(rig.status().available_updates, [version(17), version(16)]);
    assert_eq!(rig.status().chosen_update.as_ref().unwrap().version, version(17));
    assert_eq!(rig.code(Prepare), StatusCode::CONFLICT);
    rig.perform(Deed::Reach(Reach::Reachable)).run(Refresh);
    assert_eq!(rig.state(), UpdateState::Available);
}

#[test]
fn every_command_fails_without_the_repository_and_keeps_the_state() {
    for (before, command, state) in [
        (vec![Refresh, Prepare], Refresh, UpdateState::Staged),
        (vec![Refresh], Prepare, UpdateState::Available),
        (vec![Refresh, Prepare], Activate, UpdateState::Staged),
        (vec![Refresh, Prepare, Activate], Deactivate, UpdateState::Ready),
    ] {
        let mut rig = Rig::new();
        for command in before {
            rig.run(command);
        }
        rig.machine.faults_mut().reach = Reach::Refuses;
        rig.run(command);
        let (ran, outcome, words) = rig.outcome();
        assert_eq!((ran, outcome, rig.state()), (command, CommandStatus::Failed, state));
        assert!(words.starts_with("Metadata error: "), "{words}");
        rig.machine.faults_mut().reach = Reach::Reachable;
        rig.run(command);
        assert_eq!(rig.outcome().1, CommandStatus::Success, "{command:?} again");
    }
}

#[test]
fn a_repository_that_hangs_holds_the_lock_for_its_151_seconds() {
    let mut rig = Rig::new();
    rig.machine.faults_mut().reach = Reach::Hangs;
    assert_eq!(rig.code(Refresh), StatusCode::NO_CONTENT);
    rig.pass(Duration::from_millis(150_999));
    assert_eq!(rig.get(STATUS).0, StatusCode::LOCKED);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.get(STATUS).0, StatusCode::OK);
    assert_eq!(rig.outcome().1, CommandStatus::Failed);
}

#[test]
fn the_worse_of_two_reaches_counts() {
    let mut rig = Rig::new();
    rig.machine.faults_mut().reach = Reach::Hangs;
    rig.perform(Deed::Reach(Reach::Refuses));
    assert_eq!(rig.code(Refresh), StatusCode::NO_CONTENT);
    assert!(rig.settle().machine.is_locked());
}

#[test]
fn a_failed_write_keeps_the_state_but_spoils_the_inactive_set() {
    let mut rig = Rig::new();
    rig.run(Refresh).run(Prepare).perform(Deed::Reach(Reach::ImagesMissing)).run(Refresh).run(Prepare);
    assert_eq!((rig.outcome().1, rig.state()), (CommandStatus::Failed, UpdateState::Staged));
    rig.run(Activate);
    assert_eq!((rig.outcome().1, rig.state()), (CommandStatus::Failed, UpdateState::Staged));
    rig.perform(Deed::Reach(Reach::Reachable)).run(Prepare).run(Activate);
    assert_eq!(rig.state(), UpdateState::Ready);
}

#[test]
fn a_repository_lost_during_the_download_fails_the_prepare() {
    let mut rig = Rig::new();
    rig.machine.when(Moment::Halfway(Prepare), Deed::Reach(Reach::Refuses));
    rig.run(Refresh).run(Prepare);
    assert_eq!((rig.outcome().1, rig.state()), (CommandStatus::Failed, UpdateState::Available));
}

#[test]
fn a_killed_worker_leaves_the_old_timestamp() {
    for (before, command) in [(vec![Refresh], Refresh), (vec![Refresh], Prepare), (vec![Refresh, Prepare], Activate)] {
        let mut rig = Rig::new();
        for command in before {
            rig.run(command);
        }
        let status = rig.status().clone();
        rig.machine.when(Moment::Halfway(command), Deed::KillWorker);
        rig.run(command);
        assert_eq!(rig.status(), &status, "{command:?}");
        assert_eq!(rig.get(STATUS).0, StatusCode::OK);
        assert_eq!(rig.machine.record().counts().command(command).lost, 1);
        rig.run(command);
        assert_eq!(rig.outcome().0, command, "again");
    }
}

#[test]
fn a_worker_killed_at_the_first_command_leaves_a_status_without_one() {
    let mut rig = Rig::new();
    rig.machine.when(Moment::Started(Refresh), Deed::KillWorker);
    rig.run(Refresh);
    assert_eq!((rig.state(), &rig.status().most_recent_command), (UpdateState::Idle, &None));
}

#[test]
fn a_prepare_killed_half_way_has_spoilt_the_inactive_set() {
    let mut rig = Rig::new();
    rig.machine.when(Moment::Ended(Prepare), Deed::Run(Prepare));
    rig.machine.when(Moment::Ended(Prepare), Deed::KillWorker);
    rig.run(Refresh).run(Prepare).run(Activate);
    assert_eq!(rig.outcome().1, CommandStatus::Failed);
}

#[test]
fn a_restarted_api_server_loses_the_worker_and_has_a_new_socket() {
    let mut rig = Rig::new();
    rig.machine.when(Moment::Halfway(Refresh), Deed::RestartApiServer);
    rig.run(Refresh);
    assert_eq!(rig.machine.take_effects(), [Effect::ApiRestarted]);
    assert_eq!(rig.status().most_recent_command, None);
}

#[test]
fn a_broken_update_program_shows_in_its_own_way() {
    let exits = Updater::Exits { code: 3, stderr: "no\n".into() };
    for (updater, command, state, exit_status) in [
        (Updater::Killed(9), Refresh, UpdateState::Idle, Some(9)),
        (exits.clone(), Refresh, UpdateState::Idle, Some(3)),
        (exits, Prepare, UpdateState::Available, Some(3)),
        (Updater::Garbage, Refresh, UpdateState::Available, Some(0)),
        (Updater::NothingRequired, Prepare, UpdateState::Staged, Some(0)),
        (Updater::Missing, Prepare, UpdateState::Available, None),
    ] {
        let mut rig = Rig::new();
        rig.run(Refresh);
        let before = rig.status().clone();
        rig.repository.publish(crate::host::Release::new(version(18)));
        rig.machine.faults_mut().updater = updater.clone();
        rig.run(command);
        assert_eq!(rig.state(), state, "{updater:?}");
        assert_eq!(rig.status().available_updates, before.available_updates, "{updater:?}");
        match exit_status {
            None => assert_eq!(rig.status(), &before, "{updater:?}"),
            Some(_) => {
                let last = rig.status().most_recent_command.as_ref().unwrap();
                assert_eq!((last.cmd_type, last.exit_status), (command, exit_status), "{updater:?}");
                assert!(last.timestamp > before.most_recent_command.unwrap().timestamp, "{updater:?}");
            }
        }
    }
}

#[test]
fn an_image_without_in_place_updates_says_so() {
    let mut rig = Rig::new();
    rig.machine.faults_mut().no_in_place_updates = true;
    for command in Command::ALL {
        let (code, words) = rig.send("POST", command.path(), "");
        assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(words, "Unable to start the update dispatcher: No such file or directory (os error 2) ");
    }
    assert_eq!(rig.get(STATUS).0, StatusCode::NOT_FOUND);
}

#[test]
fn a_corrupt_status_stops_all_until_the_next_boot() {
    let mut rig = Rig::new();
    rig.machine.corrupt_status();
    let failed = (StatusCode::INTERNAL_SERVER_ERROR, "Update dispatcher failed".to_owned());
    assert_eq!(rig.get(STATUS), failed);
    assert_eq!(rig.send("POST", Refresh.path(), ""), failed);
    rig.perform(Deed::PowerCycle).settle().run(Refresh);
    assert_eq!(rig.state(), UpdateState::Available);
}

#[test]
fn mangled_answers_are_for_clients_on_the_socket() {
    let mut rig = Rig::new();
    let json = Mangled::Json { status: StatusCode::OK, body: Bytes::from_static(b"{") };
    let answers = [("/os", json), (STATUS, Mangled::Huge(1 << 30)), ("/settings", Mangled::Silence)];
    let answers = answers.map(|(path, mangled)| (path.to_owned(), mangled)).into();
    rig.perform(Deed::Break(Box::new(Faults { answers, ..Faults::default() })));
    assert_eq!(rig.get("/os"), (StatusCode::OK, "{".to_owned()));
    assert!(matches!(rig.reply("GET", STATUS, ""), Reply::Huge(0x4000_0000)));
    assert!(matches!(rig.reply("GET", "/settings?keys=a", ""), Reply::Silence));
    rig.perform(Deed::Run(Refresh)).settle();
    assert_eq!(rig.state(), UpdateState::Available);
    rig.perform(Deed::Break(Box::default()));
    assert_eq!(rig.get(STATUS).0, StatusCode::OK);
}
