//! What is kept on the Node for an agent whose shadow is lost.

use api::BottlerocketShadow;
use api::names::{self, VERSION_LOCK_BEFORE_ANNOTATION};
use api::shadow::Pin;
use api::wire::NODE_RESOURCE;
use bytes::Bytes;
use e2e::controlplane::wait::until;
use http_body_util::Full;
use kube::ResourceExt;
use kube::api::DeleteParams;
use kube::runtime::conditions::is_deleted;
use serde_json::json;

use crate::agent::Agent;
use crate::site::{PATIENCE, on_site};

async fn report(agent: &Agent<'_>, lock: Option<&str>) {
    let status = json!({
        "current_version": "1.19.0", "target_version": "1.20.0", "current_state": "Idle", "crash_count": 0,
        "agent_version": "0.1.0", "version_lock_before": lock,
    });
    let request = agent.request("PUT", NODE_RESOURCE).header(http::header::CONTENT_TYPE, "application/json");
    let request = request.body(Full::new(Bytes::from(status.to_string()))).unwrap();
    let answer = agent.site.send(0, request).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
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
