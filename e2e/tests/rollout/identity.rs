//! What a token opens.

use std::sync::Arc;

use agent::apiserver::{Apiserver, CallError, TlsDial};
use agent::contact::Contact;
use api::names;
use api::wire::Reason;
use e2e::fleet::{APISERVER_NAME, Fleet};
use kube::ResourceExt;
use prometheus::Gauge;

use crate::fleet;

/// The agent's own client, with the token of `owner` and in the name of `node`.
fn client(fleet: &Fleet, owner: &str, node: &str) -> Apiserver {
    let authority = fleet.certificates.join("ca.crt");
    let dial = TlsDial::new("127.0.0.1".to_owned(), fleet.apiserver_port, APISERVER_NAME, authority).unwrap();
    let contact = Contact::new(Gauge::new("contact", "unused").unwrap());
    Apiserver::new(Arc::new(dial), APISERVER_NAME.to_owned(), node.to_owned(), fleet.token_file(owner), contact)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_one_node_does_nothing_to_another() {
    let (fleet, observer) = fleet(2).await;
    let as_agent_of = |node: &str| client(&fleet, node, "node-1");
    assert!(as_agent_of("node-1").read_through().await.is_ok(), "its own token opens its own shadow");
    let thief = as_agent_of("node-2");
    let mut refusals = vec![thief.read_through().await.map(|_| ()).unwrap_err()];
    refusals.push(thief.create().await.map(|_| ()).unwrap_err());
    refusals.push(thief.drain(1).await.map(|_| ()).unwrap_err());
    refusals.push(thief.uncordon().await.map(|_| ()).unwrap_err());
    let mut status = fleet.shadow("node-1").await.unwrap().status.unwrap();
    status.message = Some("written by another node".to_owned());
    refusals.push(thief.report(&status, "1").await.map(|_| ()).unwrap_err());
    for refusal in refusals {
        let CallError::Refused { status, reason, .. } = &refusal else { panic!("{refusal:?}") };
        assert_eq!((status.as_u16(), *reason), (403, Reason::Forbidden), "{refusal}");
    }
    let after = fleet.shadow("node-1").await.unwrap().status.unwrap();
    assert_ne!(after.message, status.message, "nothing of it was stored");
    let node = fleet.node_objects().get("node-1").await.unwrap();
    assert!(!node.annotations().contains_key(names::DISRUPTION_RECORD_ANNOTATION));
    assert_ne!(node.spec.and_then(|spec| spec.unschedulable), Some(true));
    observer.assert_no_breach().await;
}
