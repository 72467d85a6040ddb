//! Drains: budgets, callers that go away, and several replicas.

use std::time::{Duration, Instant};

use api::wire::{CORDON_AND_DRAIN, PodWait};
use e2e::controlplane::stages;
use e2e::controlplane::wait::eventually;
use futures::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use crate::site::{PATIENCE, on_site};
use crate::workload::Workload;

/// What "within seconds" means on a machine that also builds.
const SECONDS: Duration = Duration::from_secs(15);

#[test]
fn five_pods_that_budgets_block_hold_up_none_of_the_other_five() {
    on_site(async |site| {
        let agent = site.agent("blocked-1").await;
        agent.create_shadow().await;
        let pods = Workload::new(&agent).await;
        pods.run("free", 5, &json!({})).await;
        pods.run("held", 5, &json!({})).await;
        pods.block("held", 5).await;
        agent.approve().await;
        let begun = Instant::now();
        let gone = async {
            pods.until_left(5, SECONDS).await;
            begun.elapsed()
        };
        let (answer, gone) = tokio::join!(agent.drain(0, 20), gone);
        println!("the five that no budget blocks are gone after {gone:?}");
        let progress = answer.progress();
        assert_eq!(progress.pods_left, 5);
        for pod in &progress.pods {
            assert_eq!((pod.waiting_for, pod.budget.as_deref()), (PodWait::Budget, Some("held")), "{pod:?}");
            assert!(pod.name.starts_with("held-"));
        }
        let blocked = eventually("an event that says which budget", PATIENCE, async || {
            let events = site.events(&agent.node).await;
            Ok((!events.is_empty()).then_some(events))
        });
        let blocked = blocked.await.unwrap();
        assert!(
            matches!(&blocked[..], [(reason, note)] if reason == "DrainBlocked" && note.contains("blocked-1/held"))
        );

        let (rest, freed) = tokio::join!(agent.drain(1, 60), async {
            pods.free("held").await;
            let freed = Instant::now();
            pods.until_left(0, PATIENCE).await;
            freed.elapsed()
        });
        println!("from the freed budget to the last eviction: {freed:?}");
        assert_eq!(rest.status, 200, "{rest:?}");
        let ended = eventually("an event that says the end", PATIENCE, async || {
            Ok(site.events(&agent.node).await.into_iter().find(|(reason, _)| reason == "Drained"))
        });
        ended.await.unwrap();
    });
}

#[test]
fn nothing_is_evicted_after_the_last_of_twenty_callers_is_gone() {
    on_site(async |site| {
        let agent = site.agent("abandoned-1").await;
        agent.create_shadow().await;
        let pods = Workload::new(&agent).await;
        pods.run("held", 3, &json!({})).await;
        pods.block("held", 3).await;
        agent.approve().await;
        let calls = (0..20).map(|number| agent.send(number % 2, agent.request("POST", CORDON_AND_DRAIN)));
        let evictions = async || {
            let what = "every pod to be asked for";
            eventually(what, PATIENCE, async || Ok((site.evictions(&pods.namespace) >= 20).then_some(())))
                .await
                .unwrap();
        };
        tokio::select! {
            answers = join_all(calls) => panic!("{answers:?}"),
            () = evictions() => {}
        }
        // A second for the drains to end, and one more.
        agent.while_nothing_changes(2).await;
        let before = site.evictions(&pods.namespace);
        pods.free("held").await;
        agent.while_nothing_changes(8).await;
        assert_eq!(site.evictions(&pods.namespace), before);
        assert_eq!(pods.left().await.len(), 3);
        // Whoever asks next goes on.
        assert_eq!(agent.drain(1, 60).await.status, 200);
        assert!(pods.left().await.is_empty());
    });
}

#[test]
fn two_replicas_carry_one_drain_on_in_turns() {
    on_site(async |site| {
        let agent = site.agent("turns-1").await;
        agent.create_shadow().await;
        let pods = Workload::new(&agent).await;
        pods.run("held", 2, &json!({})).await;
        pods.block("held", 2).await;
        agent.approve().await;
        let race = join_all((0..10).map(|number| agent.drain(number % 2, 1))).await;
        assert!(race.iter().all(|answer| answer.status == 202), "{race:?}");
        let record = agent.record().await.unwrap();
        let mut elapsed = 0;
        for turn in 0..4 {
            let progress = agent.drain(turn % 2, 1).await.progress();
            assert!(progress.elapsed_seconds > elapsed, "the time counts from the record: {progress:?}");
            elapsed = progress.elapsed_seconds;
        }
        assert_eq!(agent.record().await.unwrap(), record, "one beginning");
        pods.free("held").await;
        let drained = eventually("the drain to end", PATIENCE, async || {
            let (one, other) = tokio::join!(agent.drain(0, 2), agent.drain(1, 2));
            Ok((one.status == 200 && other.status == 200).then_some(()))
        });
        drained.await.unwrap();
        assert_eq!(agent.record().await.unwrap(), record);
        let cordons = agent.writes().iter().filter(|write| write.starts_with("patch nodes/")).count();
        println!("writes to the node, those that lost a race included: {cordons}");
    });
}

#[test]
fn a_forced_drain_passes_budgets_and_ends_without_pods_that_do_not_go() {
    on_site(async |site| {
        let agent = site.agent("forced-1").await;
        agent.create_shadow().await;
        let pods = Workload::new(&agent).await;
        pods.run("held", 1, &json!({})).await;
        pods.block("held", 1).await;
        pods.run("kept", 1, &json!({"finalizers": ["test.example/keep"]})).await;
        pods.run("slow", 1, &json!({"annotations": { stages::TERMINATION: "600s" }})).await;
        agent.approve().await;
        agent.desired(json!({"drain": {"timeout_seconds": 5, "on_timeout": "Force"}})).await;
        let begun = Instant::now();
        let call = timeout(Duration::from_secs(150), agent.post(CORDON_AND_DRAIN)).await.unwrap();
        assert_eq!(call.status, 200, "{call:?}");
        let taken = begun.elapsed();
        println!("the forced drain took {taken:?}");
        // Five seconds, a second of grace, and a minute more.
        assert!(taken >= Duration::from_secs(60), "{taken:?}");
        assert!(pods.left().await.is_empty(), "what a budget held is gone");
        for name in ["kept-0", "slow-0"] {
            assert!(pods.pods().get(name).await.unwrap().metadata.deletion_timestamp.is_some(), "{name}");
        }
        let ended = eventually("an event that names what is left behind", PATIENCE, async || {
            Ok(site.events(&agent.node).await.into_iter().find(|(reason, _)| reason == "Drained"))
        });
        let (_, note) = ended.await.unwrap();
        // The containers of the pod that a finalizer keeps have ended: there is nothing to wait for.
        assert!(note.contains("forced-1/slow-0") && !note.contains("kept"), "{note}");
    });
}
