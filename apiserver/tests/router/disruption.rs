//! Beginning a disruption and restoring a node.

use std::time::Duration;

use api::names::{DISRUPTION_RECORD_ANNOTATION, UPDATE_NOW_ANNOTATION, UPDATER_INTERFACE_LABEL};
use api::wire::{CORDON_AND_DRAIN, EXCLUDE_FROM_LB, REMOVE_EXCLUSION_FROM_LB, Reason, UNCORDON};
use futures::future::join_all;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::fake::{NODE, SHADOW, World};
use crate::site::{Answer, Site, approval, rfc3339};

const PATCH: &str = "PATCH /api/v1/nodes/a";

#[tokio::test(start_paused = true)]
async fn with_an_approval_the_record_is_written_then_the_shadow_read_then_the_node_cordoned() {
    let site = Site::with_approval().await;
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.status, 200);
    let record = site.record().unwrap();
    assert!(site.is_cordoned() && record.cordoned && record.drain_began.is_some() && !record.cordoned_before);
    assert_eq!(record.approval.version.to_string(), "1.20.0");
    let world = site.world();
    let of_interest =
        |asked: &&String| asked.contains("nodes/a") && !asked.starts_with("GET") || asked.contains("brs-a");
    let desired: Vec<_> =
        world.asked.iter().filter(of_interest).map(|asked| asked.split('/').next().unwrap()).collect();
    assert_eq!(desired[..4], ["GET ", "PATCH ", "GET ", "PATCH "]);
}

#[tokio::test(start_paused = true)]
async fn asking_again_writes_nothing() {
    let site = Site::with_approval().await;
    site.ours("POST", CORDON_AND_DRAIN).await;
    let before = site.world().writes().len();
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.status, 200);
    assert_eq!(site.world().writes().len(), before);
}

#[tokio::test(start_paused = true)]
async fn without_an_approval_nothing_is_written() {
    let expired = json!({ "disrupt_not_after": rfc3339(4) });
    let originals = json!({ "disrupt_not_after": null, "policy": null });
    for spec in [json!({"state": "Idle"}), json!({"state": "StagedAndPerformedUpdate"}), expired, originals] {
        for path in [CORDON_AND_DRAIN, EXCLUDE_FROM_LB] {
            let site = Site::with_approval().await;
            site.desired(&spec);
            assert_eq!(site.ours("POST", path).await.refusal(), (409, Reason::NoApproval), "{spec}");
            assert!(site.world().writes().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_no_longer_managed_is_left_alone() {
    for path in [CORDON_AND_DRAIN, EXCLUDE_FROM_LB] {
        let site = Site::with_approval().await;
        site.world().merge(NODE, json!({"metadata": {"labels": { UPDATER_INTERFACE_LABEL: null }}}));
        let answer = site.ours("POST", path).await;
        assert_eq!(answer.refusal(), (409, Reason::NoApproval));
        assert!(answer.body["error"].as_str().unwrap().contains("not managed"), "{answer:?}");
        assert!(site.world().writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_original_agent_waits_for_its_approval() {
    let site = Site::new().await;
    let given = async {
        sleep(Duration::from_secs(300)).await;
        assert!(site.world().writes().is_empty());
        let mut approval = approval();
        approval["disrupt_not_after"] = rfc3339(900).into();
        site.desired(&approval);
    };
    let begin = Instant::now();
    let (answer, ()) = tokio::join!(site.original("POST", EXCLUDE_FROM_LB), given);
    assert_eq!(answer.status, 200);
    assert!((300..310).contains(&begin.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_node_an_administrator_cordoned_is_left_alone_unless_it_is_wanted_now() {
    let site = Site::with_approval().await;
    site.world().merge(NODE, json!({"spec": {"unschedulable": true}}));
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.refusal(), (409, Reason::NoApproval));
    assert!(site.world().writes().is_empty());
    let wanted = json!({"metadata": {"annotations": {UPDATE_NOW_ANNOTATION: "1.20.0"}}});
    site.world().merge(NODE, wanted);
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.status, 200);
    site.desired(&json!({"state": "MonitoringUpdate"}));
    assert_eq!(site.ours("POST", UNCORDON).await.status, 200);
    assert!(site.is_cordoned(), "it was cordoned before");
    assert_eq!(site.record(), None);
}

#[tokio::test(start_paused = true)]
async fn a_node_is_restored_as_it_was_and_only_when_that_is_asked_for() {
    let site = Site::with_approval().await;
    site.ours("POST", EXCLUDE_FROM_LB).await;
    assert_eq!(site.exclusion(), Some(json!("true")));
    site.ours("POST", CORDON_AND_DRAIN).await;
    for path in [UNCORDON, REMOVE_EXCLUSION_FROM_LB] {
        assert_eq!(site.ours("POST", path).await.refusal(), (409, Reason::NotGivingBack));
        assert_eq!(site.original("POST", path).await.status, 200);
    }
    assert!(site.is_cordoned() && site.exclusion().is_some());
    site.desired(&json!({"state": "MonitoringUpdate"}));
    assert_eq!(site.original("POST", REMOVE_EXCLUSION_FROM_LB).await.status, 200);
    assert!(site.exclusion().is_none() && site.record().is_some());
    assert_eq!(site.ours("POST", UNCORDON).await.status, 200);
    assert!(!site.is_cordoned());
    assert_eq!(site.record(), None);
    let before = site.world().writes().len();
    assert_eq!(site.ours("POST", UNCORDON).await.status, 200);
    assert_eq!(site.world().writes().len(), before, "asking again changes nothing");
}

#[tokio::test(start_paused = true)]
async fn an_administrators_cordon_is_not_undone() {
    let site = Site::new().await;
    site.world().merge(NODE, json!({"spec": {"unschedulable": true}}));
    assert_eq!(site.ours("POST", UNCORDON).await.status, 200);
    assert!(site.is_cordoned());
}

#[tokio::test(start_paused = true)]
async fn a_forged_record_opens_nothing() {
    let site = Site::with_approval().await;
    site.world().merge(NODE, json!({"metadata": {"annotations": {DISRUPTION_RECORD_ANNOTATION: "{\"go\":1}"}}}));
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.refusal(), (409, Reason::NoApproval));
    site.desired(&json!({"state": "Idle"}));
    assert_eq!(site.ours("POST", UNCORDON).await.refusal(), (409, Reason::NotGivingBack));
    assert!(site.world().writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_others_write_all_the_time_is_cordoned_nevertheless() {
    let site = Site::with_approval().await;
    for number in (2..14).step_by(3) {
        let kubelet = |world: &mut World| world.merge(NODE, json!({"status": {"n": "x"}}));
        site.world().happenings.insert(number, vec![Box::new(kubelet)]);
    }
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.status, 200);
    assert!(site.is_cordoned());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_503() {
    let site = Site::with_approval().await;
    site.ours("GET", "/bottlerocket-node-resource").await;
    site.world().outage = true;
    for path in [CORDON_AND_DRAIN, EXCLUDE_FROM_LB, UNCORDON] {
        assert_eq!(site.ours("POST", path).await.refusal(), (503, Reason::Unavailable));
    }
}

/// What the controller found when it had withdrawn an approval.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Found {
    Record,
    NoRecord,
}

/// Withdraws the approval before one request and reads the Node before another, as the controller does.
async fn withdrawn_at(path: &str, shadow_at: usize, node_at: usize) -> (Site, Answer, Option<Found>) {
    let site = Site::with_approval().await;
    let found = std::sync::Arc::new(std::sync::Mutex::new(None));
    let withdraw = |world: &mut World| world.merge(SHADOW, json!({"spec": {"state": "StagedAndPerformedUpdate"}}));
    site.world().happenings.entry(shadow_at).or_default().push(Box::new(withdraw));
    let sees = found.clone();
    let look = move |world: &mut World| {
        let recorded = !world.objects[NODE]["metadata"]["annotations"][DISRUPTION_RECORD_ANNOTATION].is_null();
        *sees.lock().unwrap() = Some(if recorded { Found::Record } else { Found::NoRecord });
        if recorded {
            world.merge(SHADOW, json!({"spec": {"state": "RebootedIntoUpdate"}}));
        }
    };
    site.world().happenings.entry(node_at).or_default().push(Box::new(look));
    let answer = site.ours("POST", path).await;
    let found = *found.lock().unwrap();
    (site, answer, found)
}

#[tokio::test(start_paused = true)]
async fn whenever_an_approval_is_withdrawn_one_of_the_two_sees_the_other() {
    // TokenReview, Node, Node, shadow, record, shadow, act, and what follows.
    let (mut begun, mut withdrawn) = (0, 0);
    for path in [CORDON_AND_DRAIN, EXCLUDE_FROM_LB] {
        for shadow_at in 0..9 {
            for node_at in shadow_at..9 {
                let (site, answer, found) = withdrawn_at(path, shadow_at, node_at).await;
                let acted = site.is_cordoned() || site.exclusion().is_some();
                let case = format!("{path} {shadow_at} {node_at}: {answer:?}");
                match found {
                    Some(Found::NoRecord) => {
                        assert!(!acted, "{case}");
                        assert_eq!(site.record(), None, "{case}");
                        assert_eq!(answer.refusal(), (409, Reason::NoApproval), "{case}");
                        withdrawn += 1;
                    }
                    Some(Found::Record) => {
                        let refused = answer.status == 409;
                        assert_eq!(acted, site.record().is_some(), "{case}");
                        assert!(acted || refused, "{case}");
                        begun += 1;
                    }
                    // The call was over before: it had its approval all the time, or lost it on the way.
                    None => assert_eq!(acted, site.record().is_some(), "{case}"),
                }
            }
        }
    }
    assert!(begun > 5 && withdrawn > 5, "{begun} {withdrawn}");
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_runs_out_between_record_and_act_is_not_used() {
    let site = Site::with_approval().await;
    // After the record is written, before the shadow is read again.
    let late = |world: &mut World| world.merge(SHADOW, json!({"spec": {"disrupt_not_after": rfc3339(3)}}));
    site.world().happenings.insert(5, vec![Box::new(late)]);
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.refusal(), (409, Reason::NoApproval));
    assert_eq!(site.world().count(PATCH), 2, "the record was written and removed");
    assert_eq!((site.is_cordoned(), site.record()), (false, None));
}

#[tokio::test(start_paused = true)]
async fn a_record_left_behind_by_a_call_that_broke_off_goes_with_the_next_refusal() {
    let site = Site::with_approval().await;
    site.world().happenings.insert(5, vec![Box::new(|world: &mut World| world.outage = true)]);
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.refusal(), (503, Reason::Unavailable));
    assert!(site.record().is_some() && !site.is_cordoned());
    site.world().outage = false;
    site.desired(&json!({"state": "StagedAndPerformedUpdate"}));
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.refusal(), (409, Reason::NoApproval));
    assert_eq!(site.record(), None);
}

#[tokio::test(start_paused = true)]
async fn an_administrators_cordon_at_any_moment_before_ours_is_never_lost() {
    let (mut refused, mut kept) = (0, 0);
    for at in 0..7 {
        let site = Site::with_approval().await;
        let cordon = |world: &mut World| world.merge(NODE, json!({"spec": {"unschedulable": true}}));
        site.world().happenings.insert(at, vec![Box::new(cordon)]);
        let answer = site.ours("POST", CORDON_AND_DRAIN).await;
        if answer.status == 409 {
            refused += 1;
        } else {
            kept += 1;
            assert!(site.record().unwrap().cordoned_before, "{at}");
        }
        site.desired(&json!({"state": "Idle"}));
        assert_eq!(site.ours("POST", UNCORDON).await.status, 200);
        assert!(site.is_cordoned(), "{at}");
        assert_eq!(site.record(), None, "{at}");
    }
    assert!(refused > 1 && kept > 1, "{refused} {kept}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_race_have_one_outcome() {
    let site = Site::with_approval().await;
    let paths = [CORDON_AND_DRAIN, EXCLUDE_FROM_LB, CORDON_AND_DRAIN, EXCLUDE_FROM_LB];
    let answers = join_all(paths.map(|path| site.ours("POST", path))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let record = site.record().unwrap();
    assert!(record.cordoned && record.excluded && !record.cordoned_before && record.exclusion_before.is_none());
    site.desired(&json!({"state": "Idle"}));
    let paths = [UNCORDON, REMOVE_EXCLUSION_FROM_LB, UNCORDON, REMOVE_EXCLUSION_FROM_LB];
    let answers = join_all(paths.map(|path| site.ours("POST", path))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert!(!site.is_cordoned() && site.exclusion().is_none());
    assert_eq!(site.record(), None);
}

#[tokio::test(start_paused = true)]
async fn whenever_a_new_approval_is_used_while_the_node_is_restored_the_cordon_of_one_of_them_stands() {
    let (mut kept, mut undone) = (0, 0);
    for path in [UNCORDON, REMOVE_EXCLUSION_FROM_LB] {
        for at in 0..7 {
            let site = Site::with_approval().await;
            site.ours("POST", EXCLUDE_FROM_LB).await;
            site.ours("POST", CORDON_AND_DRAIN).await;
            site.desired(&json!({"state": "Idle"}));
            let from = site.world().asked.len();
            // The controller approves anew, and another replica writes its record, as it does for a node that is still cordoned.
            let began = |world: &mut World| {
                let since = rfc3339(-1);
                let mut desired = approval();
                desired["state_transition_timestamp"] = since.clone().into();
                world.merge(SHADOW, json!({ "spec": desired }));
                let text = world.objects[NODE]["metadata"]["annotations"][DISRUPTION_RECORD_ANNOTATION].as_str();
                let Some(text) = text else { return };
                let mut record: api::DisruptionRecord = serde_json::from_str(text).unwrap();
                record.approval.since = since.parse().unwrap();
                let annotations = json!({ DISRUPTION_RECORD_ANNOTATION: record.encode() });
                world.merge(NODE, json!({"metadata": {"annotations": annotations}}));
            };
            site.world().happenings.insert(from + at, vec![Box::new(began)]);
            let answer = site.ours("POST", path).await;
            let used = site.record().is_some_and(|record| record.approval.since.to_string() == rfc3339(-1));
            match answer.refusal_or_status() {
                Err((409, Reason::NotGivingBack)) => {
                    assert!(used && site.is_cordoned(), "{path} {at}");
                    kept += 1;
                }
                Ok(200) => {
                    let restored = site.record().is_none_or(|record| !(record.cordoned && record.excluded));
                    assert!(restored, "{path} {at}");
                    undone += 1;
                }
                other => panic!("{path} {at}: {other:?}"),
            }
        }
    }
    assert!(kept > 2 && undone > 2, "{kept} {undone}");
}
