//! The Events of a drain, and its metrics.

use std::time::Duration;

use api::wire::{CORDON_AND_DRAIN, DrainProgress, PodWait, Reason};
use apiserver::node_events::EventReason;
use serde_json::json;
use tokio::time::sleep;

use crate::draining::{full, waiting, with_pods};
use crate::fake::{NODE, status};

#[tokio::test(start_paused = true)]
async fn a_blocked_drain_is_told_once_for_each_change_of_the_budget_and_so_is_its_end() {
    let site = with_pods(&["one", "two"]).await;
    site.world().evictions.insert("one".to_owned(), full());
    for _ in 0..10 {
        assert_eq!(waiting(&site, 20).await.status, 202);
    }
    let first = site.events();
    assert!(matches!(&first[..], [(EventReason::DrainBlocked, note)] if note.contains("web/one")), "{first:?}");
    let mut other = full();
    other.1["details"]["causes"][0]["message"] = "The disruption budget tight needs 2 healthy pods and has 2".into();
    site.world().evictions.insert("one".to_owned(), other);
    assert_eq!(waiting(&site, 20).await.status, 202);
    let second = site.events();
    assert!(matches!(&second[..], [(EventReason::DrainBlocked, note)] if note.contains("web/tight")), "{second:?}");
    site.world().evictions.clear();
    assert_eq!(waiting(&site, 20).await.status, 200);
    assert_eq!(waiting(&site, 20).await.status, 200, "asked once more before the reboot");
    assert_eq!(site.events().iter().map(|event| event.0).collect::<Vec<_>>(), [EventReason::Drained]);
}

#[tokio::test(start_paused = true)]
async fn blocked_pods_and_the_time_that_drains_took_are_counted() {
    let site = with_pods(&["one", "two", "three"]).await;
    for name in ["one", "two"] {
        site.world().evictions.insert(name.to_owned(), full());
    }
    let blocked = || site.scraped("brupop_apiserver_drain_blocked_pods");
    let drains = |what: &str, outcome: &str| {
        site.scraped(&format!("brupop_apiserver_drain_duration_seconds_{what}{{outcome=\"{outcome}\"}}"))
    };
    let looked = async {
        sleep(Duration::from_secs(10)).await;
        assert!((blocked() - 2.0).abs() < 0.1);
    };
    let (answer, ()) = tokio::join!(waiting(&site, 100), looked);
    assert_eq!(answer.status, 202);
    assert!(blocked().abs() < 0.1 && drains("count", "drained").abs() < 0.1, "nobody drains between requests");
    site.world().evictions.clear();
    assert_eq!(waiting(&site, 100).await.status, 200);
    assert!((drains("count", "drained") - 1.0).abs() < 0.1 && drains("count", "aborted").abs() < 0.1);
    assert!((100.0..112.0).contains(&drains("sum", "drained")), "{}", drains("sum", "drained"));
}

#[tokio::test(start_paused = true)]
async fn a_veto_is_told_once_for_each_drain() {
    let site = with_pods(&["one"]).await;
    site.world().evictions.insert("one".to_owned(), full());
    let vetoed = async {
        sleep(Duration::from_secs(10)).await;
        site.world().merge(NODE, json!({"spec": {"unschedulable": null}}));
    };
    let (answer, ()) = tokio::join!(site.ours("POST", CORDON_AND_DRAIN), vetoed);
    assert_eq!(answer.refusal(), (409, Reason::Vetoed));
    assert_eq!(waiting(&site, 20).await.refusal(), (409, Reason::Vetoed));
    let reasons: Vec<_> = site.events().iter().map(|event| event.0).collect();
    assert_eq!(reasons, [EventReason::DrainBlocked, EventReason::DrainAborted]);
    let mut record = site.record().unwrap();
    record.drain_began = Some(crate::site::beginning());
    let record = json!({ api::names::DISRUPTION_RECORD_ANNOTATION: serde_json::to_string(&record).unwrap() });
    site.world().merge(NODE, json!({"metadata": {"annotations": record}}));
    assert_eq!(waiting(&site, 20).await.refusal(), (409, Reason::Vetoed));
    assert_eq!(
        site.events().iter().map(|event| event.0).collect::<Vec<_>>(),
        [EventReason::DrainAborted],
        "another drain"
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_vetoed_or_out_of_time_is_told() {
    let site = with_pods(&["one"]).await;
    site.world().evictions.insert("one".to_owned(), full());
    assert_eq!(waiting(&site, 20).await.status, 202);
    site.world().merge(NODE, json!({"spec": {"unschedulable": null}}));
    assert_eq!(waiting(&site, 20).await.refusal(), (409, Reason::Vetoed));
    let reasons: Vec<_> = site.events().iter().map(|event| event.0).collect();
    assert_eq!(reasons, [EventReason::DrainBlocked, EventReason::DrainAborted]);
    site.world().merge(NODE, json!({"spec": {"unschedulable": true}}));
    site.desired(&json!({"drain": {"timeout_seconds": 60, "on_timeout": "Abort"}}));
    assert_eq!(waiting(&site, 100).await.refusal(), (409, Reason::DrainTimedOut));
    let events = site.events();
    assert!(matches!(&events[..], [.., (EventReason::DrainAborted, note)] if note.contains("web/one")), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_several_budgets_select_is_told_as_what_it_is() {
    let site = with_pods(&["one", "two"]).await;
    let several = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    site.world().evictions.insert("one".to_owned(), status(500, "InternalError", several));
    let answer = waiting(&site, 20).await;
    let progress: DrainProgress = serde_json::from_value(answer.body).unwrap();
    assert_eq!((progress.pods_left, progress.pods[0].waiting_for), (1, PodWait::SeveralBudgets));
    let events = site.events();
    let [(EventReason::DrainBlocked, note)] = &events[..] else { panic!("{events:?}") };
    assert!(note.contains("several PodDisruptionBudgets") && note.contains("web/one"), "{note}");
}
