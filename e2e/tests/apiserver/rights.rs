//! What an agent may do, and when.

use api::wire::{CORDON_AND_DRAIN, EXCLUDE_FROM_LB, REMOVE_EXCLUSION_FROM_LB, Reason, UNCORDON};
use api::{ApprovalId, DisruptionRecord, names};
use kube::api::{Patch, PatchParams};
use semver::Version;
use serde_json::json;

use crate::site::on_site;
use crate::workload::Workload;

#[test]
fn an_agent_without_an_approval_can_not_cordon_label_or_drain() {
    on_site(async |site| {
        let agent = site.agent("rights-1").await;
        agent.create_shadow().await;
        let pods = Workload::new(&agent).await;
        pods.run("web", 1, &json!({})).await;
        let before = agent.writes();
        let now = runtime::clock::now();
        let expired = json!({
            "state": "RebootedIntoUpdate", "version": "1.20.0", "policy": "default",
            "state_transition_timestamp": now.to_string(), "disrupt_not_after": now.to_string(),
        });
        let staged = json!({"state": "StagedAndPerformedUpdate", "version": "1.20.0", "disrupt_not_after": null});
        for spec in [json!({"state": "Idle"}), staged, expired, json!({"state": "MonitoringUpdate"})] {
            agent.desired(spec.clone()).await;
            for path in [EXCLUDE_FROM_LB, CORDON_AND_DRAIN] {
                assert_eq!(agent.post(path).await.refusal(), (409, Reason::NoApproval), "{spec}");
            }
        }
        assert_eq!(agent.writes(), before);
        assert_eq!(site.evictions(&pods.namespace), 0);
        assert_eq!(pods.left().await.len(), 1);
    });
}

#[test]
fn a_forged_record_opens_nothing() {
    on_site(async |site| {
        let agent = site.agent("forged-1").await;
        agent.create_shadow().await;
        let pods = Workload::new(&agent).await;
        pods.run("web", 1, &json!({})).await;
        let before = agent.writes();
        let now = runtime::clock::now();
        let approval = ApprovalId { version: Version::new(1, 20, 0), since: now };
        let record = DisruptionRecord {
            cordoned: true,
            drain_began: Some(now),
            ..DisruptionRecord::first(approval, now, false, None)
        };
        let forged = json!({
            "metadata": {"annotations": { names::DISRUPTION_RECORD_ANNOTATION: record.encode() }},
            "spec": {"unschedulable": true},
        });
        site.nodes().patch(&agent.node, &PatchParams::default(), &Patch::Merge(forged)).await.unwrap();
        agent.desired(json!({"state": "StagedAndPerformedUpdate", "version": "1.20.0"})).await;
        assert_eq!(agent.drain(0, 5).await.refusal(), (409, Reason::NoApproval));
        // A spec of the original operator names the very approval, and is none of ours: what it has not begun does not begin.
        let originals = json!({
            "state": "RebootedIntoUpdate", "version": "1.20.0", "state_transition_timestamp": now.to_string(),
        });
        agent.desired(originals).await;
        let uncordoned = |record: &DisruptionRecord| {
            json!({
                "metadata": {"annotations": { names::DISRUPTION_RECORD_ANNOTATION: record.encode() }}, "spec": {"unschedulable": null},
            })
        };
        let patch = async |body| site.nodes().patch(&agent.node, &PatchParams::default(), &Patch::Merge(body)).await;
        patch(uncordoned(&record)).await.unwrap();
        assert_eq!(agent.drain(0, 5).await.refusal(), (409, Reason::Vetoed));
        let nothing_done = DisruptionRecord { cordoned: false, drain_began: None, ..record };
        patch(uncordoned(&nothing_done)).await.unwrap();
        assert_eq!(agent.drain(0, 5).await.refusal(), (409, Reason::NoApproval));
        let others = agent.writes();
        assert!(others.iter().skip(before.len()).all(|write| write == "patch nodes/ /forged-1"), "{others:?}");
        assert_eq!(agent.record().await, None, "a record of no approval under which nothing was done is removed");
        assert!(!agent.is_cordoned().await);
        assert_eq!(site.evictions(&pods.namespace), 0);
    });
}

#[test]
fn a_disruption_is_undone_only_when_that_is_asked_for_and_then_whole() {
    on_site(async |site| {
        let agent = site.agent("undone-1").await;
        agent.create_shadow().await;
        agent.approve().await;
        assert_eq!(agent.post(EXCLUDE_FROM_LB).await.status, 200);
        assert_eq!(agent.drain(0, 30).await.status, 200);
        assert!(agent.is_cordoned().await && agent.is_excluded().await);
        for path in [UNCORDON, REMOVE_EXCLUSION_FROM_LB] {
            assert_eq!(agent.post(path).await.refusal(), (409, Reason::NotGivingBack));
            assert_eq!(agent.send(0, agent.original("POST", path)).await.status, 200, "an original asks too early");
        }
        assert!(agent.is_cordoned().await && agent.is_excluded().await);
        agent.desired(json!({"state": "MonitoringUpdate"})).await;
        for path in [REMOVE_EXCLUSION_FROM_LB, UNCORDON] {
            assert_eq!(agent.post(path).await.status, 200);
        }
        assert!(!agent.is_cordoned().await && !agent.is_excluded().await);
        assert_eq!(agent.record().await, None);
    });
}
