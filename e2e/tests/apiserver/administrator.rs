//! An administrator who cordons and uncordons before, during and after.

use api::wire::{CORDON_AND_DRAIN, EXCLUDE_FROM_LB, REMOVE_EXCLUSION_FROM_LB, Reason, UNCORDON};
use e2e::controlplane::wait::eventually;
use serde_json::json;

use crate::site::{PATIENCE, on_site};
use crate::workload::Workload;

#[test]
fn a_cordon_before_the_disruption_withdraws_the_approval() {
    on_site(async |site| {
        let agent = site.agent("before-1").await;
        agent.create_shadow().await;
        site.plane.kubectl(["cordon", "before-1"]).await.unwrap();
        agent.approve().await;
        for path in [EXCLUDE_FROM_LB, CORDON_AND_DRAIN] {
            assert_eq!(agent.post(path).await.refusal(), (409, Reason::NoApproval));
        }
        assert_eq!(agent.record().await, None);
        agent.desired(json!({"state": "Idle"})).await;
        assert_eq!(agent.post(UNCORDON).await.status, 200);
        assert!(agent.is_cordoned().await, "it is theirs");
    });
}

#[test]
fn a_cordon_during_the_disruption_and_one_after_it_stay() {
    on_site(async |site| {
        let agent = site.agent("during-1").await;
        agent.create_shadow().await;
        agent.approve().await;
        assert_eq!(agent.post(EXCLUDE_FROM_LB).await.status, 200);
        site.plane.kubectl(["cordon", "during-1"]).await.unwrap();
        assert_eq!(agent.drain(0, 30).await.status, 200);
        agent.desired(json!({"state": "MonitoringUpdate"})).await;
        assert_eq!(agent.post(REMOVE_EXCLUSION_FROM_LB).await.status, 200);
        assert_eq!(agent.post(UNCORDON).await.status, 200);
        assert!(agent.is_cordoned().await && !agent.is_excluded().await);
        assert_eq!(agent.record().await, None);

        let agent = site.agent("after-1").await;
        agent.create_shadow().await;
        agent.approve().await;
        assert_eq!(agent.drain(1, 30).await.status, 200);
        agent.desired(json!({"state": "MonitoringUpdate"})).await;
        assert_eq!(agent.post(UNCORDON).await.status, 200);
        assert!(!agent.is_cordoned().await);
        site.plane.kubectl(["cordon", "after-1"]).await.unwrap();
        assert_eq!(agent.post(UNCORDON).await.status, 200);
        assert!(agent.is_cordoned().await);
    });
}

#[test]
fn an_uncordon_during_the_drain_is_a_veto() {
    on_site(async |site| {
        let agent = site.agent("veto-1").await;
        agent.create_shadow().await;
        let pods = Workload::new(&agent).await;
        pods.run("held", 1, &json!({})).await;
        pods.block("held", 1).await;
        agent.approve().await;
        let uncordon = async {
            let what = "the pod to be asked for";
            eventually(what, PATIENCE, async || Ok((site.evictions("veto-1") > 0).then_some(()))).await.unwrap();
            site.plane.kubectl(["uncordon", "veto-1"]).await.unwrap();
        };
        let (answer, ()) = tokio::join!(agent.drain(0, 120), uncordon);
        assert_eq!(answer.refusal(), (409, Reason::Vetoed));
        let before = site.evictions("veto-1");
        pods.free("held").await;
        assert_eq!(agent.drain(1, 5).await.refusal(), (409, Reason::Vetoed));
        assert_eq!(site.evictions("veto-1"), before);
        agent.desired(json!({"state": "Idle"})).await;
        assert_eq!(agent.post(UNCORDON).await.status, 200);
        assert!(!agent.is_cordoned().await);
        assert_eq!(agent.record().await, None);
        let told = eventually("an event that says why", PATIENCE, async || {
            Ok(site.events("veto-1").await.into_iter().find(|(reason, _)| reason == "DrainAborted"))
        });
        told.await.unwrap();
    });
}

#[test]
fn a_veto_stops_an_originals_drain_until_it_is_lifted() {
    on_site(async |site| {
        let agent = site.agent("patient-1").await;
        agent.create_shadow().await;
        let pods = Workload::new(&agent).await;
        pods.run("held", 1, &json!({})).await;
        pods.block("held", 1).await;
        agent.approve().await;
        let veto = async {
            let asked = async |more: usize| {
                let what = "the pod to be asked for";
                eventually(what, PATIENCE, async || Ok((site.evictions("patient-1") > more).then_some(())))
                    .await
                    .unwrap();
            };
            asked(0).await;
            site.plane.kubectl(["uncordon", "patient-1"]).await.unwrap();
            agent.while_nothing_changes(4).await;
            let before = site.evictions("patient-1");
            pods.free("held").await;
            agent.while_nothing_changes(8).await;
            assert_eq!(site.evictions("patient-1"), before, "nothing is evicted while it is vetoed");
            site.plane.kubectl(["cordon", "patient-1"]).await.unwrap();
            asked(before).await;
        };
        let (answer, ()) = tokio::join!(agent.send(0, agent.original("POST", CORDON_AND_DRAIN)), veto);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(pods.left().await.is_empty());
    });
}
