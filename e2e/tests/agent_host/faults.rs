//! What goes wrong on hosts and in the cluster.

use std::time::Duration;

use api::shadow::{Activity, FailureKind, State};
use e2e::host::{Command, Deed, Happening, Mangled, Moment, OnBoot, Reach, Reboot, Service, Updater, Waves};
use tokio::time::Instant;

use crate::double::Script;
use crate::node::{NEW, Node, OLD, ended, updated};

fn failure(node: &Node) -> Option<FailureKind> {
    node.double.look().status().unwrap().failure.as_ref().map(|failure| failure.kind)
}

fn message(double: &crate::double::Double) -> Option<String> {
    double.look().status()?.message.clone()
}

fn assert_untouched(node: &Node) {
    let inside = node.double.look();
    assert!(!inside.cordoned && inside.mark.is_none(), "not given back");
    assert_eq!(node.host.state().version, OLD);
    assert_eq!(node.reboots(), 0);
    assert!(inside.excluded.is_none(), "still out of the load balancers");
    assert_eq!(inside.status().unwrap().version_lock_before, None, "still pinned");
    let staged = node.host.with(|machine, _| machine.status().map(|status| status.update_state));
    assert_ne!(staged, Some(e2e::host::UpdateState::Ready), "left active");
}

#[tokio::test(start_paused = true)]
async fn a_lost_worker_is_asked_for_again() {
    for command in [Command::Refresh, Command::Prepare, Command::Activate] {
        let mut node = Node::start(Script::smooth()).await;
        node.host.when(Moment::Halfway(command), Deed::KillWorker);
        node.until(updated).await;
        node.assert_updated(&format!("{command:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn success_without_an_image_is_a_stage_failure() {
    let mut node = Node::start(Script::smooth()).await;
    node.host.faults(|faults| faults.updater = Updater::NothingRequired);
    node.until(ended).await;
    assert_untouched(&node);
    assert_eq!(failure(&node), Some(FailureKind::Stage));
    assert_eq!(node.double.look().status().unwrap().crash_count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_without_in_place_updates_is_reported_and_left_alone() {
    let mut node = Node::start(Script::smooth()).await;
    node.host.faults(|faults| faults.no_in_place_updates = true);
    let begin = Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(3000)).await;
    let inside = node.double.look();
    assert_eq!(inside.status().unwrap().message.as_deref(), Some("this image has no in-place updates"));
    let refused = node.host.counts().command(Command::Refresh).refused;
    assert!(refused <= 1, "{refused} requests");
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_goes_away_while_staged_disrupts_nothing_until_it_is_back() {
    for reach in [Reach::Refuses, Reach::Hangs] {
        let mut node = Node::start(Script { approval: false, ..Script::smooth() }).await;
        let staged = |double: &crate::double::Double, _: &e2e::host::Host| {
            double.look().status().is_some_and(|status| status.current_state == State::StagedAndPerformedUpdate)
        };
        node.until(staged).await;
        node.repository.set_reach(reach);
        let begin = Instant::now();
        node.until(|_, _| begin.elapsed() > Duration::from_secs(301)).await;
        node.double.edit(|inside| {
            inside.script.approval = true;
            let spec = &mut inside.shadow.as_mut().unwrap().spec;
            spec.state = State::RebootedIntoUpdate;
            spec.disrupt_not_after = Some("2999-01-01T00:00:00Z".to_owned());
        });
        let begin = Instant::now();
        node.until(|_, _| begin.elapsed() > Duration::from_secs(600)).await;
        assert!(!node.double.look().cordoned, "{reach:?}: drained for nothing");
        node.repository.set_reach(Reach::Reachable);
        node.until(updated).await;
        node.assert_updated(&format!("{reach:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_activation_that_fails_for_ten_minutes_gives_the_node_back() {
    let mut node = Node::start(Script::smooth()).await;
    node.host.when(Moment::Requested(Command::Activate), Deed::Reach(Reach::Refuses));
    let time = node.until(ended).await;
    assert_untouched(&node);
    assert_eq!(failure(&node), Some(FailureKind::Activate));
    assert_eq!(node.double.look().given_back, 1);
    assert!(Duration::from_secs(600) < time && time < Duration::from_secs(800), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn a_boot_that_falls_back_is_reported_once() {
    let mut node = Node::start(Script::smooth()).await;
    node.repository.change(|release| {
        release.on_boot = if release.image.version == NEW { OnBoot::FailsToBoot } else { OnBoot::ComesUp }
    });
    node.until(ended).await;
    assert_eq!(failure(&node), Some(FailureKind::Fallback));
    assert_eq!(node.reboots(), 1);
    let inside = node.double.look();
    let status = inside.status().unwrap();
    assert_eq!((status.crash_count, status.current_version.as_str()), (1, "1.19.0"));
    assert!(!inside.cordoned);
}

#[tokio::test(start_paused = true)]
async fn a_veto_or_a_drain_out_of_time_is_a_drain_failure_and_no_crash() {
    for script in [Script { vetoes: 1, ..Script::smooth() }, Script { timeouts: 1, ..Script::smooth() }] {
        let mut node = Node::start(script).await;
        node.until(ended).await;
        assert_untouched(&node);
        assert_eq!(failure(&node), Some(FailureKind::Drain));
        assert_eq!(node.double.look().status().unwrap().crash_count, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_the_apiserver_does_not_see_is_waited_for() {
    let mut node = Node::start(Script { no_approvals: 2, early_give_backs: 2, ..Script::smooth() }).await;
    node.until(updated).await;
    node.assert_updated("no approval at first");
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_is_withdrawn_during_the_drain_is_noticed_within_seconds() {
    let mut node = Node::start(Script { withdraw: true, drain: Duration::from_secs(600), ..Script::smooth() }).await;
    node.until(|double, _| double.look().cordoned).await;
    let staged = |double: &crate::double::Double, _: &e2e::host::Host| {
        double
            .look()
            .status()
            .is_some_and(|status| status.activity == Some(Activity::Staged) && status.message.is_none())
    };
    let time = node.until(staged).await;
    assert!(time < Duration::from_secs(3), "{time:?}");
    assert_eq!(node.reboots(), 0);
    assert_eq!(failure(&node), None);
}

#[tokio::test(start_paused = true)]
async fn an_apiserver_that_is_away_for_minutes_costs_time_only() {
    for moment in 1..40 {
        let mut node = Node::start(Script::smooth()).await;
        let begin = Instant::now();
        node.until(|_, _| begin.elapsed() > Duration::from_millis(400 * moment)).await;
        node.double.look().go_away(Duration::from_secs(180));
        node.until(updated).await;
        node.assert_updated(&format!("away after {moment}"));
        assert_eq!(node.reboots(), 1, "away after {moment}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_socket_ends_the_process_and_the_next_one_goes_on() {
    for service in [Service::Missing, Service::Dead] {
        let mut node = Node::start(Script::smooth()).await;
        node.until(|double, _| double.look().cordoned).await;
        node.host.set_service(service.clone()).unwrap();
        let begin = Instant::now();
        let agents = node.agents;
        node.until(|_, _| begin.elapsed() > Duration::from_secs(100)).await;
        assert!(node.agents > agents, "{service:?}");
        node.host.set_service(Service::Serving).unwrap();
        node.until(updated).await;
        node.assert_updated(&format!("{service:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_says_nothing_or_nonsense_for_a_while_is_waited_for() {
    for service in [Service::Silent, Service::HangsUp, Service::Garbage("what?".into())] {
        let mut node = Node::start(Script::smooth()).await;
        node.until(|double, _| double.look().cordoned).await;
        node.host.set_service(service.clone()).unwrap();
        let begin = Instant::now();
        let told = |double: &crate::double::Double, _: &e2e::host::Host| {
            message(double).is_some_and(|text| text.starts_with("the update API gives no answer: "))
        };
        node.until(told).await;
        let reports = node.double.look().reports.len();
        node.until(|_, _| begin.elapsed() > Duration::from_secs(100)).await;
        assert_eq!(node.double.look().reports.len(), reports, "{service:?}: told more than once");
        node.host.set_service(Service::Serving).unwrap();
        node.until(updated).await;
        node.assert_updated(&format!("{service:?}"));
        assert_eq!(message(&node.double), None, "{service:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_without_end_or_sense_are_waited_out_for_each_request_of_an_update() {
    for path in ["/os", "/updates/status", "/actions/refresh-updates", "/actions/prepare-update", "/settings"] {
        for answer in [Mangled::Huge(64 << 20), Mangled::HangUp, Mangled::Silence] {
            let mut node = Node::start(Script::smooth()).await;
            node.host.faults(|faults| drop(faults.answers.insert(path.to_owned(), answer.clone())));
            let begin = Instant::now();
            node.until(|_, _| begin.elapsed() > Duration::from_secs(300)).await;
            assert_eq!((node.reboots(), node.double.look().cordoned), (0, false), "{path} {answer:?}");
            node.host.faults(|faults| faults.answers.clear());
            // An order that failed meanwhile has ended; the next one is the controller's to give.
            node.until(|double, _| double.look().status().is_some()).await;
            node.double.look().script.starts += 1;
            node.double.control();
            node.until(updated).await;
            assert_eq!((node.reboots(), &node.breaches), (1, &Vec::new()), "{path} {answer:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_nobody_may_open_ends_the_process_like_one_that_is_gone() {
    let mut node = Node::start(Script::smooth()).await;
    node.until(|double, _| double.look().is_at_rest()).await;
    node.scissors.forbid(true);
    let (begin, agents) = (Instant::now(), node.agents);
    node.until(|_, _| begin.elapsed() > Duration::from_secs(100)).await;
    assert!((3..=4).contains(&(node.agents - agents)), "{} agents in 100 s", node.agents - agents);
    assert_eq!(node.last_words.as_deref().map(|words| words.contains("permission denied")), Some(true));
    node.scissors.forbid(false);
    node.until(updated).await;
    node.assert_updated("forbidden for a while");
}

#[tokio::test(start_paused = true)]
async fn a_wave_that_hides_the_approved_version_stops_a_staged_node_before_its_drain() {
    let mut node = Node::start(Script { approval: false, ..Script::smooth() }).await;
    node.until(|double, _| double.look().status().is_some_and(|s| s.activity == Some(Activity::Staged))).await;
    node.repository.change(|release| release.waves = Waves::not_before(jiff::Timestamp::MAX));
    let begin = Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(301)).await;
    node.double.edit(crate::pin::approve);
    node.until(|double, _| message(double).is_some_and(|text| text.contains("not offered 1.20.0"))).await;
    let begin = Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(1000)).await;
    assert!(!node.double.look().cordoned, "drained for nothing");
    node.repository.change(|release| release.waves = Waves::default());
    node.until(updated).await;
    node.assert_updated("a wave later");
}

#[tokio::test(start_paused = true)]
async fn a_reboot_that_does_not_happen_is_asked_for_again_after_five_minutes() {
    let mut node = Node::start(Script::smooth()).await;
    node.host.faults(|faults| faults.reboot = Reboot::Ignored);
    let asked = |host: &e2e::host::Host| -> Vec<jiff::Timestamp> {
        let record = host.record().into_iter();
        record.filter(|(_, happening)| matches!(happening, Happening::RebootRequested(..))).map(|(at, _)| at).collect()
    };
    node.until(|_, host| asked(host).len() == 2).await;
    let times = asked(&node.host);
    let between = times[1].duration_since(times[0]).as_secs();
    assert!((299..310).contains(&between), "{times:?}");
    node.host.faults(|faults| faults.reboot = Reboot::Happens);
    node.until(updated).await;
    node.assert_updated("ignored reboots");
}

#[tokio::test(start_paused = true)]
async fn a_reboot_that_is_inhibited_is_asked_for_until_it_is_not() {
    let mut node = Node::start(Script::smooth()).await;
    node.host.faults(|faults| faults.reboot = Reboot::Inhibited { stderr: "held by a backup".to_owned() });
    let said = |double: &crate::double::Double, _: &e2e::host::Host| {
        double
            .look()
            .status()
            .and_then(|status| status.message.as_deref())
            .is_some_and(|text| text.contains("held by a backup"))
    };
    node.until(said).await;
    node.host.faults(|faults| faults.reboot = Reboot::Happens);
    let time = node.until(updated).await;
    assert!(time < Duration::from_secs(60), "{time:?}");
    node.assert_updated("inhibited");
}

#[tokio::test(start_paused = true)]
async fn a_shadow_that_is_deleted_mid_drain_is_created_anew_and_the_node_given_back() {
    let mut node = Node::start(Script { drain: Duration::from_secs(60), starts: 1, ..Script::smooth() }).await;
    node.until(|double, _| double.look().cordoned).await;
    node.double.edit(|inside| inside.shadow = None);
    node.until(|double, _| double.look().is_at_rest() && !double.look().cordoned).await;
    assert_eq!(node.reboots(), 0);
    assert_eq!(node.double.look().given_back, 1);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_command_while_staged_makes_the_image_be_written_again() {
    let mut node = Node::start(Script { approval: false, ..Script::smooth() }).await;
    let staged = |double: &crate::double::Double, _: &e2e::host::Host| {
        double.look().status().is_some_and(|status| status.current_state == State::StagedAndPerformedUpdate)
    };
    node.until(staged).await;
    let prepared = node.host.counts().command(Command::Prepare).succeeded;
    node.host.perform(Deed::Run(Command::Activate));
    let begin = Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(200)).await;
    node.until(staged).await;
    assert!(node.host.counts().command(Command::Prepare).succeeded > prepared);
    let state = node.host.with(|machine, _| machine.status().map(|status| status.update_state));
    assert_eq!(state, Some(e2e::host::UpdateState::Staged));
}

#[tokio::test(start_paused = true)]
async fn an_expired_go_that_the_apiserver_refuses_is_reported_once_and_begins_nothing() {
    let mut node = Node::start(Script { approval: false, no_approvals: u32::MAX, ..Script::smooth() }).await;
    let staged = |double: &crate::double::Double, _: &e2e::host::Host| {
        double.look().status().is_some_and(|status| status.current_state == State::StagedAndPerformedUpdate)
    };
    node.until(staged).await;
    let before = node.double.look().reports.len();
    node.double.edit(|inside| {
        let spec = &mut inside.shadow.as_mut().unwrap().spec;
        spec.state = State::RebootedIntoUpdate;
        spec.disrupt_not_after = Some("2020-01-01T00:00:00Z".to_owned());
    });
    let begin = Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(900)).await;
    let inside = node.double.look();
    assert!(!inside.cordoned);
    assert_eq!(inside.reports.len(), before + 1, "{:?}", inside.reports);
    assert_eq!(inside.status().unwrap().message.as_deref(), Some("the approval has expired"));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_stays_unreadable_is_replaced_by_a_refresh_after_minutes() {
    let mut node = Node::start(Script::smooth()).await;
    let huge = Mangled::Huge(64 << 20);
    node.host.faults(|faults| drop(faults.answers.insert("/updates/status".to_owned(), huge)));
    node.host.when(Moment::Requested(Command::Refresh), Deed::Break(Box::default()));
    let time = node.until(updated).await;
    assert!(Duration::from_secs(180) < time && time < Duration::from_secs(300), "{time:?}");
    node.assert_updated("unreadable for minutes");
}
