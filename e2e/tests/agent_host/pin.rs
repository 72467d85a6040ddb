//! Whose version-lock it is, and what it holds the host to.

use std::time::Duration;

use api::shadow::{Activity, State};
use e2e::host::{Client, Command, Deed, Happening, Host, Mangled, Moment, Release};
use http::StatusCode;
use semver::Version;
use tokio::time::Instant;

use crate::double::{Double, Script};
use crate::node::{NEW, Node, OLD, ended, updated};

const NEWER: Version = Version::new(1, 21, 0);

fn message(double: &Double) -> Option<String> {
    double.look().status()?.message.clone()
}

fn staged(double: &Double, _: &Host) -> bool {
    double.look().status().is_some_and(|status| status.current_state == State::StagedAndPerformedUpdate)
}

#[tokio::test(start_paused = true)]
async fn a_release_published_between_refresh_and_prepare_is_not_installed() {
    let mut node = Node::start(Script::smooth()).await;
    node.host.when(Moment::Requested(Command::Prepare), Deed::Publish(Release::new(NEWER)));
    node.until(updated).await;
    node.assert_updated("published meanwhile");
    assert_eq!(node.reboots(), 1);
    node.until(|double, _| double.look().status().is_some_and(|status| status.target_version == NEWER.to_string()))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_version_older_than_the_newest_is_installed() {
    let mut node = Node::start(Script { desired: Some(NEW.to_string()), ..Script::smooth() }).await;
    node.repository.publish(Release::new(NEWER));
    node.until(updated).await;
    node.assert_updated("older than the newest");
    let reports = node.double.look().reports.clone();
    let both = |versions: &[String]| versions.contains(&NEWER.to_string()) && versions.contains(&NEW.to_string());
    assert!(reports.iter().any(|report| both(report.available_versions.as_deref().unwrap_or_default())));
    let prepared = node.host.counts().command(Command::Prepare);
    assert_eq!((prepared.succeeded, prepared.failed), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_there_is_stored_before_the_setting_is_changed() {
    let mut node = Node::start(Script::smooth()).await;
    node.until(|double, _| double.look().status().is_some_and(|status| status.version_lock_before.is_some())).await;
    assert_eq!(node.double.look().status().unwrap().version_lock_before.as_deref(), Some("latest"));
    let committed = |host: &Host| {
        let record = host.record().into_iter();
        record.filter(|(_, happening)| matches!(happening, Happening::Committed(..))).count()
    };
    assert!(committed(&node.host) <= 1);
    node.until(updated).await;
    assert_eq!(committed(&node.host), 2, "set once and put back once");
    node.assert_updated("stored first");
}

#[tokio::test(start_paused = true)]
async fn an_administrators_lock_is_respected_and_named_until_it_is_gone() {
    let mut node = Node::start(Script { desired: Some(NEW.to_string()), ..Script::smooth() }).await;
    node.repository.publish(Release::new(NEWER));
    node.host.perform(Deed::lock("1.21.0").unwrap());
    node.until(|double, _| message(double).is_some_and(|text| text.contains("version-lock of the host to 1.21.0")))
        .await;
    let begin = Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(1000)).await;
    assert_eq!(node.lock(), Some(NEWER));
    assert_eq!(node.host.counts().command(Command::Prepare).started, 0);
    assert_eq!(node.double.look().status().unwrap().version_lock_before, None);
    node.host.perform(Deed::lock("latest").unwrap());
    let time = node.until(updated).await;
    assert!(time < Duration::from_secs(200), "{time:?}");
    node.assert_updated("unlocked");
}

#[tokio::test(start_paused = true)]
async fn under_an_administrators_lock_a_host_is_offered_that_version_alone() {
    let mut node = Node::start(Script { starts: 0, ..Script::smooth() }).await;
    node.repository.publish(Release::new(NEWER));
    let offers = |double: &Double| double.look().status().and_then(|status| status.available_versions.clone());
    let newest = |double: &Double, _: &Host| offers(double).is_some_and(|offers| offers.contains(&NEWER.to_string()));
    node.until(newest).await;
    for (lock, offered) in [("v1.20.0", vec!["1.20.0"]), ("1.18.0", vec![]), ("1.19.0", vec!["1.19.0"])] {
        node.host.perform(Deed::lock(lock).unwrap());
        let said = format!("the version-lock of the host allows {lock} alone");
        node.until(|double, _| message(double).as_ref() == Some(&said)).await;
        let status = node.double.look().status().unwrap().clone();
        assert_eq!(status.version_lock.as_deref(), Some(lock));
        assert_eq!(status.available_versions.unwrap_or_default(), offered, "{lock}");
    }
    node.host.perform(Deed::lock("latest").unwrap());
    node.until(newest).await;
    assert_eq!((message(&node.double), &node.double.look().status().unwrap().version_lock), (None, &None));
    assert!(!node.host.record().iter().any(|(_, it)| matches!(it, Happening::Committed(_, Client::Socket))));
}

#[tokio::test(start_paused = true)]
async fn an_administrators_lock_on_another_version_stops_a_staged_node_before_its_drain() {
    let mut node = Node::start(Script { approval: false, ..Script::smooth() }).await;
    node.until(staged).await;
    node.host.perform(Deed::lock("1.19.0").unwrap());
    node.double.edit(approve);
    node.until(|double, _| message(double).is_some_and(|text| text.contains("version-lock of the host to 1.19.0")))
        .await;
    let begin = Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(1000)).await;
    assert!(!node.double.look().cordoned, "drained for nothing");
    node.host.perform(Deed::lock("latest").unwrap());
    node.until(updated).await;
    node.assert_updated("unlocked");
}

#[tokio::test(start_paused = true)]
async fn an_administrators_lock_on_another_version_during_the_drain_gives_the_node_back() {
    let mut node = Node::start(Script { drain: Duration::from_secs(400), ..Script::smooth() }).await;
    node.until(|double, _| double.look().cordoned).await;
    node.host.perform(Deed::lock("1.19.0").unwrap());
    node.until(ended).await;
    let status = node.double.look().status().unwrap().clone();
    assert_eq!(status.failure.unwrap().kind, api::shadow::FailureKind::Activate);
    assert_eq!((node.lock(), node.reboots(), node.host.state().version), (Some(OLD), 0, OLD));
    assert!(!node.double.look().cordoned);
}

/// The approval, in the double's place of a controller that gives none by itself.
pub(crate) fn approve(inside: &mut crate::double::Inside) {
    inside.script.approval = true;
    let spec = &mut inside.shadow.as_mut().unwrap().spec;
    spec.state = State::RebootedIntoUpdate;
    spec.disrupt_not_after = Some("2999-01-01T00:00:00Z".to_owned());
}

#[tokio::test(start_paused = true)]
async fn an_administrators_lock_on_the_approved_version_is_used_and_stays() {
    let mut node = Node::start(Script { desired: Some(NEW.to_string()), ..Script::smooth() }).await;
    node.repository.publish(Release::new(NEWER));
    node.host.perform(Deed::lock("v1.20.0").unwrap());
    node.until(updated).await;
    assert_eq!(node.lock(), Some(NEW));
    assert!(node.double.look().reports.iter().all(|report| report.version_lock_before.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_somebody_makes_meanwhile_is_never_overwritten() {
    for moment in [
        Moment::Requested(Command::Refresh),
        Moment::Ended(Command::Refresh),
        Moment::Requested(Command::Prepare),
        Moment::Ended(Command::Prepare),
        Moment::Requested(Command::Activate),
        Moment::RebootRequested,
        Moment::Booted,
    ] {
        let mut node = Node::start(Script::smooth()).await;
        node.until(|double, _| double.look().status().is_some_and(|status| status.version_lock_before.is_some())).await;
        node.host.when(moment, Deed::lock("1.18.0").unwrap());
        let begin = Instant::now();
        node.until(|double, host| updated(double, host) || begin.elapsed() > Duration::from_secs(1200)).await;
        assert_eq!(node.lock(), Some(Version::new(1, 18, 0)), "{moment:?}");
        assert_eq!(node.breaches, Vec::<String>::new(), "{moment:?}");
        assert!([OLD, NEW].contains(&node.host.state().version), "{moment:?}");
        assert_eq!(node.double.look().status().unwrap().version_lock_before, None, "{moment:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_taken_back_puts_the_lock_back_also_by_a_new_process() {
    for restarted in [false, true] {
        let mut node = Node::start(Script { approval: false, ..Script::smooth() }).await;
        node.until(staged).await;
        assert_eq!(node.lock(), Some(NEW));
        let idle = |inside: &mut crate::double::Inside| inside.shadow.as_mut().unwrap().spec = Default::default();
        if !restarted {
            // While the process lives; otherwise the next one finds an order that names no version.
            let double = node.double.clone();
            let later = tokio::time::sleep(Duration::from_secs(5));
            tokio::spawn(async move {
                later.await;
                double.edit(idle);
            });
            let begin = Instant::now();
            node.until(|_, _| begin.elapsed() > Duration::from_secs(10)).await;
        } else {
            node.double.edit(idle);
        }
        node.until(ended).await;
        assert_eq!(node.lock(), None, "restarted: {restarted}");
        assert_eq!(node.double.look().status().unwrap().version_lock_before, None, "restarted: {restarted}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shadow_that_is_deleted_while_pinned_is_made_anew_and_at_rest() {
    let mut node = Node::start(Script { drain: Duration::from_secs(60), starts: 1, ..Script::smooth() }).await;
    node.until(|double, _| double.look().status().is_some_and(|s| s.activity == Some(Activity::Draining))).await;
    node.double.edit(|inside| inside.shadow = None);
    node.until(|double, _| double.look().is_at_rest() && !double.look().cordoned).await;
    let begin = Instant::now();
    node.until(|_, _| begin.elapsed() > Duration::from_secs(5)).await;
    assert_eq!((node.lock(), &node.double.look().status().unwrap().version_lock_before), (None, &None));
}

#[tokio::test(start_paused = true)]
async fn a_shadow_that_is_lost_together_with_the_agent_leaves_no_pin_behind() {
    for theirs in [None, Some("1.18.0")] {
        let mut node = Node::start(Script { approval: false, ..Script::smooth() }).await;
        node.until(staged).await;
        // The next process has neither the shadow nor a memory: only the record on the Node tells of the pin.
        node.double.edit(|inside| inside.shadow = None);
        theirs.into_iter().for_each(|lock| node.host.perform(Deed::lock(lock).unwrap()));
        node.until(|double, _| double.look().is_at_rest()).await;
        let begin = Instant::now();
        node.until(|_, _| begin.elapsed() > Duration::from_secs(5)).await;
        assert_eq!(node.lock(), theirs.map(|lock| lock.parse().unwrap()));
        let inside = node.double.look();
        assert_eq!((&inside.status().unwrap().version_lock_before, &inside.pin), (&None, &None), "{theirs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn settings_that_cannot_be_changed_are_a_stage_failure_and_disrupt_nothing() {
    let mut node = Node::start(Script::smooth()).await;
    node.host.faults(|faults| {
        let refused = Mangled::Json { status: StatusCode::INTERNAL_SERVER_ERROR, body: "no".into() };
        faults.answers.insert("/tx/commit_and_apply".to_owned(), refused);
    });
    node.until(|double, _| double.look().status().is_some_and(|status| status.failure.is_some())).await;
    let status = node.double.look().status().unwrap().clone();
    assert_eq!(status.failure.unwrap().kind, api::shadow::FailureKind::Stage);
    node.until(ended).await;
    assert_eq!((node.lock(), node.reboots()), (None, 0));
    assert_eq!(node.double.look().status().unwrap().version_lock_before, None);
}
