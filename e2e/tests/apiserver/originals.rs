//! What the original operator has begun when this one takes over.

use api::names::EXCLUDE_FROM_LOAD_BALANCERS_LABEL;
use api::wire::{CORDON_AND_DRAIN, REMOVE_EXCLUSION_FROM_LB, UNCORDON};
use e2e::controlplane::wait::eventually;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::site::{PATIENCE, Site, on_site};
use crate::workload::Workload;

fn desired(state: &str) -> Value {
    let since = runtime::clock::now().to_string();
    json!({"state": state, "version": "1.20.0", "state_transition_timestamp": since})
}

/// A node as the original leaves it: cordoned, out of the load balancers, without a record.
async fn left_behind<'a>(site: &'a Site, name: &str, state: &str) -> Agent<'a> {
    let agent = site.agent(name).await;
    agent.create_shadow().await;
    let disrupted = json!({
        "metadata": {"labels": { EXCLUDE_FROM_LOAD_BALANCERS_LABEL: "True" }}, "spec": {"unschedulable": true},
    });
    site.nodes().patch(name, &PatchParams::default(), &Patch::Merge(disrupted)).await.unwrap();
    agent.desired(desired(state)).await;
    agent
}

#[test]
fn a_drain_in_the_middle_goes_on_and_the_node_is_restored() {
    on_site(async |site| {
        let agent = left_behind(site, "taken-1", "RebootedIntoUpdate").await;
        let pods = Workload::new(&agent).await;
        pods.run("web", 2, &json!({})).await;
        let drain = agent.send(0, agent.original("POST", CORDON_AND_DRAIN)).await;
        assert_eq!(drain.status, 200, "{drain:?}");
        assert!(pods.left().await.is_empty());
        let record = agent.record().await.unwrap();
        assert!(record.cordoned && record.excluded && !record.cordoned_before && record.exclusion_before.is_none());
        agent.desired(json!({"state": "MonitoringUpdate"})).await;
        for path in [REMOVE_EXCLUSION_FROM_LB, UNCORDON] {
            assert_eq!(agent.send(1, agent.original("POST", path)).await.status, 200);
        }
        assert!(!agent.is_cordoned().await && !agent.is_excluded().await);
        assert_eq!(agent.record().await, None);
    });
}

#[test]
fn what_nobody_asks_about_gets_a_record_by_itself_and_an_administrators_cordon_is_not() {
    on_site(async |site| {
        let booted = left_behind(site, "taken-2", "RebootedIntoUpdate").await;
        let returning = left_behind(site, "taken-3", "MonitoringUpdate").await;
        let resting = left_behind(site, "taken-4", "Idle").await;
        for agent in [&booted, &returning] {
            let what = format!("{} to have a record", agent.node);
            eventually(&what, PATIENCE, async || Ok(agent.record().await)).await.unwrap();
        }
        assert_eq!(resting.record().await, None);
        let told = eventually("an event that says so", PATIENCE, async || {
            Ok(site.events("taken-2").await.into_iter().find(|(reason, _)| reason == "Adopted"))
        });
        told.await.unwrap();
        for agent in [&booted, &returning, &resting] {
            agent.desired(json!({"state": "Idle"})).await;
            assert_eq!(agent.send(0, agent.original("POST", UNCORDON)).await.status, 200);
        }
        assert!(!booted.is_cordoned().await && !returning.is_cordoned().await);
        assert!(resting.is_cordoned().await, "it may be an administrator's");
    });
}
