//! Draining a node.

use std::time::Duration;

use api::wire::{CORDON_AND_DRAIN, DrainProgress, PodWait, Reason};
use apiserver::node_events::EventReason;
use axum::body::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::fake::{NODE, pod_path, status};
use crate::site::{Answer, Site, ours, pod, rfc3339};

/// The API's answer where a budget has no room.
pub(crate) fn full() -> (u16, Value) {
    let (code, mut answer) =
        status(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.");
    answer["details"] = json!({"causes": [{
        "reason": "DisruptionBudget", "message": "The disruption budget web needs 2 healthy pods and has 2 currently",
    }]});
    (code, answer)
}

pub(crate) async fn with_pods(names: &[&str]) -> Site {
    let site = Site::with_approval().await;
    for name in names {
        site.world().put(&pod_path("web", name), pod(name));
    }
    site
}

pub(crate) async fn waiting(site: &Site, seconds: u32) -> Answer {
    let request = ours("POST", CORDON_AND_DRAIN).header("prefer", format!("wait={seconds}")).body(Body::empty());
    site.send(request.unwrap()).await
}

pub(crate) fn evictions(site: &Site) -> usize {
    site.world().count("/eviction")
}

#[tokio::test(start_paused = true)]
async fn every_pod_is_evicted_and_the_agent_stays() {
    let site = with_pods(&["one", "two", "three"]).await;
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.status, 200);
    assert_eq!(site.world().count("/eviction"), 3);
    assert!(site.world().objects.contains_key(&pod_path("brupop", "agent-a")));
}

#[tokio::test(start_paused = true)]
async fn a_list_of_several_pages_is_read_to_its_end() {
    let names: Vec<_> = (0..9).map(|number| format!("p{number}")).collect();
    let site = with_pods(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    site.world().page = Some(2);
    site.world().evictions.insert("p8".to_owned(), full());
    let answer = waiting(&site, 10).await;
    assert_eq!((answer.status, &answer.body["pods_left"]), (202, &json!(1)), "{answer:?}");
    site.world().evictions.clear();
    assert_eq!(waiting(&site, 10).await.status, 200);
    assert_eq!(site.world().objects.keys().filter(|path| path.contains("/web/pods/")).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn blocked_pods_hold_up_no_other_and_are_reported() {
    let names: Vec<_> = (0..30).map(|number| format!("p{number:02}")).collect();
    let site = with_pods(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for name in names.iter().take(15) {
        site.world().evictions.insert(name.clone(), full());
    }
    let answer = waiting(&site, 4).await;
    assert_eq!(answer.status, 202);
    let progress: DrainProgress = serde_json::from_value(answer.body).unwrap();
    assert_eq!(progress.pods_left, 15);
    assert!((3..=4).contains(&progress.elapsed_seconds), "{progress:?}");
    assert!(progress.pods.iter().all(|pod| pod.waiting_for == PodWait::Budget && pod.budget.as_deref() == Some("web")));
    site.world().evictions.clear();
    let begin = Instant::now();
    assert_eq!(waiting(&site, 60).await.status, 200);
    assert!(begin.elapsed() < Duration::from_secs(8), "the longest pause for a budget, and a round");
}

#[tokio::test(start_paused = true)]
async fn the_patience_that_the_api_asks_for_holds_over_several_requests() {
    let site = with_pods(&["one"]).await;
    let mut later = full();
    later.1["details"]["retryAfterSeconds"] = 60.into();
    site.world().evictions.insert("one".to_owned(), later);
    let mut waited = 0;
    for _ in 0..3 {
        let answer = waiting(&site, 18).await;
        let progress: DrainProgress = serde_json::from_value(answer.body).unwrap();
        assert_eq!((answer.status, progress.pods[0].waiting_for), (202, PodWait::Budget));
        waited = progress.pods[0].seconds;
    }
    assert_eq!(evictions(&site), 1);
    assert!((50..=54).contains(&waited), "{waited}");
    assert_eq!(waiting(&site, 18).await.status, 202);
    assert_eq!(evictions(&site), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_prefer_waits_to_the_end() {
    let site = with_pods(&["one"]).await;
    site.world().evictions.insert("one".to_owned(), full());
    let freed = async {
        sleep(Duration::from_secs(1000)).await;
        site.world().evictions.clear();
    };
    let begin = Instant::now();
    let (answer, ()) = tokio::join!(site.ours("POST", CORDON_AND_DRAIN), freed);
    assert_eq!(answer.status, 200);
    assert!((1000..1008).contains(&begin.elapsed().as_secs()));
    assert!(evictions(&site) < 400, "it backs off");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_takes_its_time_to_end_is_waited_for() {
    let site = with_pods(&["one"]).await;
    let path = pod_path("web", "one");
    site.world().merge(&path, json!({"metadata": {"deletionTimestamp": rfc3339(30)}}));
    let answer = waiting(&site, 10).await;
    assert_eq!(answer.body["pods"][0]["waiting_for"], "Termination");
    assert_eq!(evictions(&site), 0);
    site.world().objects.remove(&path);
    assert_eq!(waiting(&site, 10).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_drain_whose_caller_has_gone_evicts_nobody_any_more() {
    let site = with_pods(&["one"]).await;
    site.world().evictions.insert("one".to_owned(), full());
    let gone = timeout(Duration::from_secs(20), site.ours("POST", CORDON_AND_DRAIN)).await;
    assert!(gone.is_err());
    let before = evictions(&site);
    assert!(before > 2);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(evictions(&site), before);
}

#[tokio::test(start_paused = true)]
async fn a_drain_stops_within_seconds_when_its_approval_is_withdrawn() {
    let site = with_pods(&["one"]).await;
    site.world().evictions.insert("one".to_owned(), full());
    let withdrawn = async {
        sleep(Duration::from_secs(20)).await;
        site.desired(&json!({"state": "Idle"}));
    };
    let begin = Instant::now();
    let (answer, ()) = tokio::join!(site.ours("POST", CORDON_AND_DRAIN), withdrawn);
    assert_eq!(answer.refusal(), (409, Reason::NoApproval));
    assert!(begin.elapsed() < Duration::from_secs(24));
}

#[tokio::test(start_paused = true)]
async fn an_uncordon_stops_the_drain_and_an_originals_waits_for_the_cordon_to_come_back() {
    let site = with_pods(&["one"]).await;
    site.world().evictions.insert("one".to_owned(), full());
    let uncordon = |cordoned: bool| site.world().merge(NODE, json!({"spec": {"unschedulable": cordoned}}));
    let vetoed = async {
        sleep(Duration::from_secs(10)).await;
        uncordon(false);
    };
    let (answer, ()) = tokio::join!(site.ours("POST", CORDON_AND_DRAIN), vetoed);
    assert_eq!(answer.refusal(), (409, Reason::Vetoed));
    let before = evictions(&site);
    let lifted = async {
        sleep(Duration::from_secs(600)).await;
        assert_eq!(evictions(&site), before);
        let mut placed = pod("placed-while-uncordoned");
        placed["metadata"]["creationTimestamp"] = rfc3339(500).into();
        site.world().put(&pod_path("web", "placed-while-uncordoned"), placed);
        uncordon(true);
        site.world().evictions.clear();
    };
    let (answer, ()) = tokio::join!(site.original("POST", CORDON_AND_DRAIN), lifted);
    assert_eq!(answer.status, 200);
    let evicted = site.world().count("/pods/placed-while-uncordoned/eviction");
    assert_eq!(evicted, 1, "the cordon that came back is not the one it was placed under");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_takes_too_long_is_aborted_counting_from_the_record() {
    let site = with_pods(&["one"]).await;
    site.desired(&json!({"drain": {"timeout_seconds": 60, "on_timeout": "Abort"}}));
    site.world().evictions.insert("one".to_owned(), full());
    assert_eq!(waiting(&site, 40).await.status, 202);
    let begin = Instant::now();
    let answer = waiting(&site, 40).await;
    assert_eq!(answer.refusal(), (409, Reason::DrainTimedOut));
    assert!(answer.body["error"].as_str().unwrap().contains("web/one"));
    assert!((18..24).contains(&begin.elapsed().as_secs()));
    assert!(site.is_cordoned(), "the uncordon is another call");
}

#[tokio::test(start_paused = true)]
async fn a_drain_without_terms_has_half_an_hour() {
    let site = with_pods(&["one"]).await;
    site.world().evictions.insert("one".to_owned(), full());
    let begin = Instant::now();
    let answer = site.ours("POST", CORDON_AND_DRAIN).await;
    assert_eq!(answer.refusal(), (409, Reason::DrainTimedOut));
    assert!((1800..1805).contains(&begin.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn an_originals_drain_is_never_aborted() {
    let site = with_pods(&["one"]).await;
    site.world().evictions.insert("one".to_owned(), full());
    let still = timeout(Duration::from_secs(3 * 3600), site.original("POST", CORDON_AND_DRAIN)).await;
    assert!(still.is_err());
}

#[tokio::test(start_paused = true)]
async fn force_deletes_what_is_left_and_only_after_the_timeout() {
    let site = with_pods(&["one", "two"]).await;
    site.desired(&json!({"drain": {"timeout_seconds": 60, "on_timeout": "Force"}}));
    site.world().evictions.insert("one".to_owned(), full());
    assert_eq!(waiting(&site, 50).await.status, 202);
    assert_eq!(site.world().count("DELETE"), 0);
    assert_eq!(waiting(&site, 50).await.status, 200);
    assert_eq!(site.world().count("DELETE"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forced_drain_does_not_wait_for_ever_for_a_finalizer() {
    let site = with_pods(&["one"]).await;
    site.desired(&json!({"drain": {"timeout_seconds": 60, "on_timeout": "Force"}}));
    site.world().merge(&pod_path("web", "one"), json!({"metadata": {"deletionTimestamp": rfc3339(80)}}));
    let begin = Instant::now();
    assert_eq!(site.ours("POST", CORDON_AND_DRAIN).await.status, 200);
    assert!((139..144).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_suspends_the_drain_and_it_goes_on_afterwards() {
    let site = with_pods(&["one"]).await;
    site.world().evictions.insert("one".to_owned(), full());
    let outage = async {
        sleep(Duration::from_secs(10)).await;
        site.world().outage = true;
        sleep(Duration::from_secs(5)).await;
        let before = evictions(&site);
        sleep(Duration::from_secs(300)).await;
        assert_eq!(evictions(&site), before);
        site.world().outage = false;
        site.world().evictions.clear();
    };
    let (answer, ()) = tokio::join!(site.ours("POST", CORDON_AND_DRAIN), outage);
    assert_eq!(answer.status, 200);
}

/// A pod of the operator on a node.
fn own(name: &str, node: &str) -> Value {
    let mut own = pod(name);
    own["metadata"]["namespace"] = "brupop".into();
    own["metadata"]["labels"] = json!({"brupop.bottlerocket.aws/component": "apiserver"});
    own["spec"]["nodeName"] = node.into();
    own["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    own
}

#[tokio::test(start_paused = true)]
async fn a_forced_drain_lets_the_operators_own_go_although_a_finalizer_keeps_another_pod() {
    let (here, there) = (pod_path("brupop", "apiserver-1"), pod_path("brupop", "apiserver-2"));
    for replaced in [true, false] {
        let site = with_pods(&["one"]).await;
        site.desired(&json!({"drain": {"timeout_seconds": 60, "on_timeout": "Force"}}));
        site.world().merge(&pod_path("web", "one"), json!({"metadata": {"deletionTimestamp": rfc3339(80)}}));
        site.world().put(&here, own("apiserver-1", "a"));
        if replaced {
            site.world().put(&there, own("apiserver-2", "b"));
        }
        assert_eq!(waiting(&site, 120).await.status, 202);
        assert!(site.world().objects.contains_key(&here), "not before the others are overdue");
        assert_eq!(waiting(&site, 60).await.status, 200);
        assert_eq!(site.world().objects.contains_key(&here), !replaced);
        let events = site.events();
        assert!(matches!(&events[..], [(EventReason::Drained, note)] if note.contains("web/one")), "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_operators_own_pods_go_last_and_not_without_a_replica_elsewhere() {
    let here = pod_path("brupop", "apiserver-1");
    let site = with_pods(&["one"]).await;
    site.world().put(&here, own("apiserver-1", "a"));
    assert_eq!(waiting(&site, 30).await.status, 200);
    assert!(site.world().objects.contains_key(&here));
    site.world().put(&pod_path("brupop", "apiserver-2"), own("apiserver-2", "b"));
    assert_eq!(waiting(&site, 30).await.status, 200);
    assert!(!site.world().objects.contains_key(&here));
}

#[tokio::test(start_paused = true)]
async fn an_open_drain_with_prefer_is_answered_when_the_program_ends() {
    let site = with_pods(&["one"]).await;
    site.world().evictions.insert("one".to_owned(), full());
    let end = async {
        sleep(Duration::from_secs(7)).await;
        site.app.stop.cancel();
    };
    let (answer, ()) = tokio::join!(waiting(&site, 300), end);
    assert_eq!((answer.status, &answer.body["pods_left"]), (202, &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_put_back_whatever_the_cordon_does_not_hold_up_the_drain_for_ever() {
    let site = with_pods(&[]).await;
    let put_back = async {
        for number in 0..100_i64 {
            let mut again = pod(&format!("stubborn-{number}"));
            again["metadata"]["creationTimestamp"] = rfc3339(3 * number).into();
            again["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
            site.world().put(&pod_path("web", &format!("stubborn-{number}")), again);
            sleep(Duration::from_secs(3)).await;
        }
    };
    let begin = Instant::now();
    let drained = async {
        sleep(Duration::from_millis(500)).await;
        (waiting(&site, 300).await.status, begin.elapsed().as_secs())
    };
    let ((status, seconds), ()) = tokio::join!(drained, put_back);
    assert_eq!(status, 200);
    assert!(seconds < 130, "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_the_original_operator_began_is_carried_on_and_vetoed_like_ours() {
    let site = with_pods(&["one"]).await;
    site.desired(&json!({"disrupt_not_after": null, "policy": null}));
    site.world().evictions.insert("one".to_owned(), full());
    let uncordon = |cordoned: bool| site.world().merge(NODE, json!({"spec": {"unschedulable": cordoned}}));
    let course = async {
        // Not cordoned: that operator had not begun, so its agent waits for an approval of ours.
        sleep(Duration::from_secs(60)).await;
        assert_eq!((evictions(&site), site.record()), (0, None));
        uncordon(true);
        sleep(Duration::from_secs(10)).await;
        let record = site.record().unwrap();
        assert!(record.cordoned && !record.cordoned_before && evictions(&site) > 0);
        uncordon(false);
        sleep(Duration::from_secs(5)).await;
        let before = evictions(&site);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(evictions(&site), before, "vetoed");
        uncordon(true);
        site.world().evictions.clear();
    };
    let (answer, ()) = tokio::join!(site.original("POST", CORDON_AND_DRAIN), course);
    assert_eq!(answer.status, 200);
    site.desired(&json!({"state": "MonitoringUpdate"}));
    assert_eq!(site.original("POST", api::wire::UNCORDON).await.status, 200);
    assert_eq!((site.is_cordoned(), site.record()), (false, None));
}
