//! What is kept on the Node for an agent whose shadow is lost.

use api::BottlerocketShadow;
use api::names::{self, VERSION_LOCK_BEFORE_ANNOTATION};
use api::shadow::Pin;
use api::wire::NODE_RESOURCE;
use e2e::controlplane::wait::until;
use kube::ResourceExt;
use kube::api::DeleteParams;
use kube::runtime::conditions::is_deleted;
use serde_json::json;

use crate::agent::Agent;
use crate::site::{PATIENCE, on_site};

async fn report(agent: &Agent<'_>, lock: Option<&str>) {
    agent.report(json!({"version_lock_before": lock})).await;
}

async fn record(agent: &Agent<'_>) -> Option<Pin> {
    Pin::decode(agent.node_object().await.annotations().get(VERSION_LOCK_BEFORE_ANNOTATION))
}

#[test]
fn the_version_lock_from_before_a_pin_outlives_the_shadow() {
    on_site(async |site| {
        let agent = site.agent("pinned-1").await;
        agent.create_shadow().await;
        report(&agent, Some("latest")).await;
        let pin = Some(Pin { before: "latest".to_owned(), set: "1.20.0".to_owned() });
        assert_eq!(record(&agent).await, pin);
        let (shadows, name) = (site.shadows(), names::shadow_name("pinned-1"));
        let uid = shadows.get(&name).await.unwrap().uid().unwrap();
        shadows.delete(&name, &DeleteParams::default()).await.unwrap();
        until(&shadows, &name, "the shadow to be gone", PATIENCE, is_deleted(&uid)).await.unwrap();
        let created = agent.post(NODE_RESOURCE).await;
        assert_eq!(created.status, 201, "{created:?}");
        let created: BottlerocketShadow = serde_json::from_slice(&created.body).unwrap();
        assert_eq!(created.pin(), pin);
        report(&agent, Some("latest")).await;
        report(&agent, None).await;
        assert_eq!(record(&agent).await, None);
        assert_eq!(shadows.get(&name).await.unwrap().pin(), None);
    });
}
