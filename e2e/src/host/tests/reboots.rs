//! Which version comes up, when, and what is lost.

use http::StatusCode;

use super::rig::{Rig, STATUS, version};
use crate::host::Command::{Activate, Prepare, Refresh};
use crate::host::{
    Cause, Client, Command, Deed, Effect, Happening, Moment, OnBoot, Reboot, Release, Reply, UpdateState,
};

fn activated(on_boot: OnBoot) -> Rig {
    let mut rig = Rig::new();
    rig.repository.publish(Release::new(version(17)).on_boot(on_boot));
    rig.run(Refresh).run(Prepare).run(Activate);
    rig
}

fn ask_for_a_reboot(rig: &mut Rig) {
    assert_eq!(rig.send("POST", "/actions/reboot", ""), (StatusCode::NO_CONTENT, String::new()));
}

#[test]
fn a_reboot_is_announced_done_and_recorded_once() {
    let mut rig = activated(OnBoot::ComesUp);
    let old = rig.machine.boot_id().to_owned();
    ask_for_a_reboot(&mut rig);
    // Until it goes down it answers, and a second request changes nothing.
    let goes_down = rig.machine.wake_at();
    ask_for_a_reboot(&mut rig);
    assert_eq!(rig.machine.wake_at(), goes_down);
    rig.settle();
    let cause = Cause::RebootRequest(Client::Socket);
    let boots = rig.machine.record().boots();
    let [boot] = boots.as_slice() else { panic!("{boots:?}") };
    assert_eq!((&boot.from, &boot.version, boot.cause), (&version(16), &version(17), cause));
    assert_ne!(boot.boot_id, old);
    let up = Effect::Up { boot_id: boot.boot_id.clone(), version: version(17), cause };
    assert_eq!(rig.machine.take_effects(), [Effect::Down(cause), up]);
}

#[test]
fn a_host_that_is_down_answers_nothing() {
    let mut rig = Rig::new();
    rig.perform(Deed::PowerOff);
    assert!(matches!(rig.reply("GET", "/os", ""), Reply::HangUp));
    assert!(matches!(rig.reply("POST", Refresh.path(), ""), Reply::HangUp));
    rig.settle();
    assert!(!rig.machine.is_up());
    rig.perform(Deed::PowerOn).settle();
    assert_eq!(rig.get("/os").0, StatusCode::OK);
}

#[test]
fn the_status_is_lost_at_boot_and_the_settings_are_not() {
    let mut rig = Rig::new();
    rig.perform(Deed::lock("1.17.0").unwrap()).run(Refresh).perform(Deed::PowerCycle).settle();
    assert_eq!(rig.machine.status(), None);
    let lock = rig.get("/settings?keys=settings.updates.version-lock").1;
    assert_eq!(lock, r#"{"updates":{"version-lock":"1.17.0"}}"#);
}

#[test]
fn what_is_staged_but_not_activated_does_not_come_up() {
    let mut rig = Rig::new();
    rig.run(Refresh).run(Prepare).perform(Deed::PowerCycle).settle();
    assert_eq!(rig.running(), &version(16));
    rig.run(Refresh);
    assert_eq!((rig.state(), &rig.status().staging_partition), (UpdateState::Available, &None));
}

#[test]
fn a_power_cycle_at_any_moment_before_the_activation_ends_keeps_the_old_version() {
    for command in [Refresh, Prepare, Activate] {
        for moment in [Moment::Requested(command), Moment::Started(command), Moment::Halfway(command)] {
            let mut rig = Rig::new();
            rig.machine.when(moment, Deed::PowerCycle);
            for command in [Refresh, Prepare, Activate] {
                drop(rig.reply("POST", command.path(), ""));
                rig.settle();
            }
            assert_eq!(rig.running(), &version(16), "{moment:?}");
            assert_eq!(rig.machine.record().boots().len(), 1, "{moment:?}");
        }
    }
    let mut rig = Rig::new();
    rig.machine.when(Moment::Ended(Activate), Deed::PowerCycle);
    rig.run(Refresh).run(Prepare).run(Activate);
    assert_eq!(rig.running(), &version(17));
    assert_eq!(rig.machine.record().boots()[0].cause, Cause::Power);
}

#[test]
fn an_image_that_does_not_boot_falls_back_without_a_sign() {
    let mut rig = activated(OnBoot::FailsToBoot);
    let old = rig.machine.boot_id().to_owned();
    ask_for_a_reboot(&mut rig);
    rig.settle();
    assert_eq!(rig.running(), &version(16));
    assert_ne!(rig.machine.boot_id(), old);
    assert!(rig.machine.record().entries().any(|(_, what)| *what == Happening::BootFailed(version(17))));
    assert_eq!(rig.get(STATUS).0, StatusCode::NOT_FOUND);
    rig.run(Refresh);
    assert_eq!((rig.state(), &rig.status().staging_partition), (UpdateState::Available, &None));
    assert_eq!(rig.status().chosen_update.as_ref().unwrap().version, version(17));
    assert!(rig.status().active_partition.as_ref().unwrap().next_to_boot);
}

#[test]
fn one_failed_boot_of_a_good_host_is_tried_again() {
    let mut rig = Rig::new();
    rig.machine.faults_mut().next_boot = Some(OnBoot::FailsToBoot);
    rig.perform(Deed::PowerCycle).settle();
    assert!(rig.machine.is_up());
    assert_eq!(rig.running(), &version(16));
}

#[test]
fn a_boot_that_is_never_marked_lasts_until_the_next_one() {
    let mut rig = activated(OnBoot::StaysUnmarked);
    ask_for_a_reboot(&mut rig);
    rig.settle().run(Refresh);
    assert_eq!(rig.running(), &version(17));
    assert!(!rig.status().active_partition.as_ref().unwrap().next_to_boot);
    assert_eq!(rig.status().staging_partition, None);
    rig.perform(Deed::PowerCycle).settle();
    assert_eq!(rig.running(), &version(16));
}

#[test]
fn a_boot_that_never_comes_waits_for_the_power_and_falls_back() {
    let mut rig = activated(OnBoot::Hangs);
    ask_for_a_reboot(&mut rig);
    rig.settle();
    assert!(!rig.machine.is_up());
    assert_eq!(rig.machine.wake_at(), None);
    rig.perform(Deed::PowerCycle).settle();
    assert_eq!(rig.running(), &version(16));
}

#[test]
fn power_lost_during_the_first_boot_of_an_image_falls_back() {
    let mut rig = activated(OnBoot::ComesUp);
    rig.perform(Deed::PowerCycle).perform(Deed::PowerCycle).settle();
    assert_eq!(rig.running(), &version(16));
}

#[test]
fn a_prepare_on_an_unmarked_boot_leaves_nothing_to_boot() {
    let mut rig = activated(OnBoot::StaysUnmarked);
    rig.repository.publish(Release::new(version(18)));
    ask_for_a_reboot(&mut rig);
    rig.settle().run(Refresh).run(Prepare).perform(Deed::PowerCycle).settle();
    assert!(!rig.machine.is_up());
    assert!(rig.machine.record().entries().any(|(_, what)| *what == Happening::Hung));
}

#[test]
fn a_reboot_request_can_come_to_nothing() {
    let mut rig = activated(OnBoot::ComesUp);
    rig.machine.faults_mut().reboot = Reboot::Ignored;
    ask_for_a_reboot(&mut rig);
    rig.settle();
    assert_eq!(rig.state(), UpdateState::Ready);
    let stderr = "Operation inhibited\n".to_owned();
    rig.machine.faults_mut().reboot = Reboot::Inhibited { stderr };
    let (code, words) = rig.send("POST", "/actions/reboot", "");
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(words, "Failed to reboot, exit code: 1, stderr: Operation inhibited\n");
    assert!(rig.settle().machine.record().boots().is_empty());
}

#[test]
fn a_host_may_be_gone_before_its_answer() {
    let mut rig = activated(OnBoot::ComesUp);
    rig.machine.faults_mut().reboot = Reboot::CutOff;
    assert!(matches!(rig.reply("POST", "/actions/reboot", ""), Reply::HangUp));
    assert_eq!(rig.settle().running(), &version(17));
}

#[test]
fn every_command_dies_with_the_host() {
    for command in Command::ALL {
        let mut rig = activated(OnBoot::ComesUp);
        if command == Prepare || command == Activate {
            rig.run(Command::Deactivate);
        }
        assert_eq!(rig.code(command), StatusCode::NO_CONTENT, "{command:?}");
        rig.perform(Deed::PowerOff);
        assert!(!rig.machine.is_locked());
        assert_eq!(rig.machine.record().counts().command(command).lost, 1, "{command:?}");
    }
}

#[test]
fn a_reboot_by_somebody_else_is_told_apart() {
    let mut rig = Rig::new();
    rig.machine.when(Moment::Booted, Deed::Run(Refresh));
    rig.perform(Deed::Reboot).settle();
    assert_eq!(rig.machine.record().boots()[0].cause, Cause::RebootRequest(Client::Foreign));
    assert_eq!(rig.state(), UpdateState::Available);
}
