//! Whatever is done to a host, in whatever order.

use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;

use super::rig::{Rig, STATUS, version};
use crate::host::{
    Command, Deed, Faults, Mangled, Moment, OnBoot, Reach, Reboot, Release, Reply, UpdateState, Updater, Waves,
};

/// The keys of a status, in their order.
const KEYS: [&str; 6] = [
    "update_state",
    "available_updates",
    "chosen_update",
    "active_partition",
    "staging_partition",
    "most_recent_command",
];

#[derive(Clone, Debug)]
enum Step {
    Request(&'static str, String, String),
    Pass(u64),
    Perform(Deed),
    When(Moment, Deed),
    CorruptStatus,
}

fn command() -> impl Strategy<Value = Command> {
    prop::sample::select(Command::ALL.to_vec())
}

fn request() -> impl Strategy<Value = Step> {
    let action = command().prop_map(|command| Step::Request("POST", command.path().to_owned(), String::new()));
    let known = prop::sample::select(vec![
        ("GET", STATUS, ""),
        ("GET", "/os", ""),
        ("POST", "/actions/reboot", ""),
        ("GET", "/settings?prefix=updates", ""),
        ("PATCH", "/settings?tx=a", r#"{"updates":{"version-lock":"1.16.0"}}"#),
        ("PATCH", "/settings?tx=a", r#"{"updates":{"version-lock":"latest","seed":4294967295}}"#),
        ("POST", "/tx/commit_and_apply?tx=a", ""),
        ("DELETE", "/tx?tx=a", ""),
    ]);
    let known = known.prop_map(|(method, uri, body)| Step::Request(method, uri.to_owned(), body.to_owned()));
    let methods = prop::sample::select(vec!["GET", "POST", "PATCH", "DELETE", "HEAD"]);
    let wild = (methods, "/(os|settings|tx|tx/commit|updates/status)(\\?(keys|prefix|tx)=[a-z.,%=&]{0,8})?", ".{0,40}");
    let wild = wild.prop_map(|(method, uri, body)| Step::Request(method, uri, body));
    prop_oneof![8 => action, 4 => known, 2 => wild]
}

fn faults() -> impl Strategy<Value = Faults> {
    let reach = prop::sample::select(vec![Reach::Reachable, Reach::ImagesMissing, Reach::Refuses, Reach::Hangs]);
    let exits = Updater::Exits { code: 3, stderr: "no".into() };
    let updater = prop::sample::select(vec![
        Updater::Works,
        Updater::Missing,
        Updater::Garbage,
        Updater::Killed(9),
        exits,
        Updater::NothingRequired,
    ]);
    let inhibited = Reboot::Inhibited { stderr: "no".into() };
    let reboot = prop::sample::select(vec![Reboot::Happens, Reboot::Ignored, inhibited, Reboot::CutOff]);
    let on_boot = vec![OnBoot::ComesUp, OnBoot::StaysUnmarked, OnBoot::FailsToBoot, OnBoot::Hangs];
    let next_boot = prop::option::of(prop::sample::select(on_boot));
    let folders = prop::bool::weighted(0.1);
    (reach, updater, reboot, next_boot, folders, folders).prop_map(
        |(reach, updater, reboot, next_boot, lock, images)| Faults {
            reach,
            updater,
            reboot,
            next_boot,
            no_lock_folder: lock,
            no_in_place_updates: images,
            answers: [("/tx".to_owned(), Mangled::Silence)].into(),
        },
    )
}

fn deed() -> impl Strategy<Value = Deed> {
    let on_boot =
        prop::sample::select(vec![OnBoot::ComesUp, OnBoot::StaysUnmarked, OnBoot::FailsToBoot, OnBoot::Hangs]);
    let release = (14..20u64, on_boot).prop_map(|(minor, on_boot)| {
        let waves = Waves::new([
            (0, "2026-11-22T05:34:30Z".parse().unwrap()),
            (1_024, "2026-11-22T05:36:00Z".parse().unwrap()),
        ]);
        let release = Release::new(version(minor)).on_boot(on_boot);
        Deed::Publish(if minor % 2 == 0 { release.waves(waves) } else { release })
    });
    prop_oneof![
        1 => release,
        1 => (14..20u64).prop_map(|minor| Deed::Withdraw(version(minor))),
        1 => Just(Deed::KillWorker),
        1 => Just(Deed::RestartApiServer),
        1 => prop::sample::select(vec![Deed::PowerCycle, Deed::PowerOff]),
        3 => Just(Deed::PowerOn),
        1 => prop_oneof![command().prop_map(Deed::Run), Just(Deed::Reboot)],
        1 => prop::sample::select(vec!["latest", "1.15.0", "v1.17.0"]).prop_map(|lock| Deed::lock(lock).unwrap()),
        1 => faults().prop_map(|faults| Deed::Break(Box::new(faults))),
        3 => Just(Deed::Break(Box::default())),
    ]
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![
        command().prop_map(Moment::Requested),
        command().prop_map(Moment::Started),
        command().prop_map(Moment::Halfway),
        command().prop_map(Moment::Ended),
        Just(Moment::RebootRequested),
        Just(Moment::Booted),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => request(),
        8 => (0..5_000u64).prop_map(Step::Pass),
        1 => (0..200_000u64).prop_map(Step::Pass),
        3 => deed().prop_map(Step::Perform),
        2 => (moment(), deed()).prop_map(|(moment, deed)| Step::When(moment, deed)),
        1 => Just(Step::CorruptStatus),
    ]
}

/// What must hold between any two steps.
fn check(rig: &mut Rig) {
    if let Some(wake_at) = rig.machine.wake_at() {
        assert!(wake_at >= rig.now, "a turn was left out");
    }
    // What is due right now is part of the step, and may be the end of the host.
    rig.machine.advance(rig.now);
    if !rig.machine.is_up() {
        assert!(!rig.machine.is_locked(), "a command outlived its host");
        assert!(matches!(rig.reply("GET", STATUS, ""), Reply::HangUp));
        return;
    }
    if let Some(status) = rig.machine.status() {
        let staged = matches!(status.update_state, UpdateState::Staged | UpdateState::Ready);
        assert_eq!(staged, status.staging_partition.is_some(), "{status:?}");
    }
    let (code, body) = rig.get(STATUS);
    if rig.machine.is_locked() {
        for command in Command::ALL {
            // A look at what would be answered, so that no scripted deed is used up.
            let mut copy = Rig { machine: rig.machine.clone(), repository: rig.repository.clone(), now: rig.now };
            copy.machine.forget_script();
            assert_ne!(copy.code(command), StatusCode::NO_CONTENT, "the lock did not exclude {command:?}");
        }
        assert_ne!(code, StatusCode::OK, "a status in spite of the lock");
    }
    if code == StatusCode::OK {
        let mut at = 0;
        for key in KEYS {
            let found = body[at..].find(&format!("\"{key}\":"));
            at += found.unwrap_or_else(|| panic!("{key} is missing or out of order: {body}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_breaks_a_host(steps in prop::collection::vec(step(), 1..80)) {
        let mut rig = Rig::new();
        for step in steps {
            match step {
                Step::Request(method, uri, body) => drop(rig.reply(method, &uri, &body)),
                Step::Pass(millis) => drop(rig.pass(Duration::from_millis(millis)).machine.take_effects()),
                Step::Perform(deed) => drop(rig.perform(deed).machine.take_effects()),
                Step::When(moment, deed) => rig.machine.when(moment, deed),
                Step::CorruptStatus => rig.machine.corrupt_status(),
            }
            check(&mut rig);
        }
        // It can always be brought back, unless the updates themselves destroyed both sets.
        rig.machine.forget_script();
        rig.perform(Deed::Break(Box::default())).perform(Deed::PowerOff).perform(Deed::PowerOn).settle();
        if rig.machine.is_up() {
            prop_assert_eq!(rig.get("/os").0, StatusCode::OK);
        }
    }

    #[test]
    fn the_same_seed_and_steps_give_the_same_host(steps in prop::collection::vec(step(), 1..40)) {
        let run = || {
            let mut rig = Rig::new();
            for step in steps.clone() {
                match step {
                    Step::Request(method, uri, body) => drop(rig.reply(method, &uri, &body)),
                    Step::Pass(millis) => drop(rig.pass(Duration::from_millis(millis)).machine.take_effects()),
                    Step::Perform(deed) => drop(rig.perform(deed)),
                    Step::When(moment, deed) => rig.machine.when(moment, deed),
                    Step::CorruptStatus => rig.machine.corrupt_status(),
                }
            }
            rig.machine.record().entries().cloned().collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }
}
