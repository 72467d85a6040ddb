//! Who may call at all.

use api::names;
use api::wire::{CORDON_AND_DRAIN, NODE_NAME_HEADER, NODE_RESOURCE, NODE_UID_HEADER, Reason, TOKEN_HEADER, UNCORDON};
use e2e::controlplane::wait::{eventually, until};
use http::header::HeaderValue;
use jiff::SignedDuration;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::api::{DeleteParams, PostParams};
use kube::runtime::conditions::is_deleted;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::agent::{Agent, Answer};
use crate::site::{PATIENCE, Site, on_site};

impl Agent<'_> {
    /// The answer to a request with this token in the place of its own.
    async fn with_token(&self, method: &str, path: &str, token: &str) -> Answer {
        let mut request = self.request(method, path);
        request.headers_mut().unwrap().insert(TOKEN_HEADER, HeaderValue::from_str(token).unwrap());
        self.send(0, request).await
    }
}

/// Every request that could write something, with this token.
async fn refusals(agent: &Agent<'_>, token: &str) -> Vec<(u16, Reason)> {
    let mut refusals = Vec::new();
    for (method, path) in
        [("GET", NODE_RESOURCE), ("POST", NODE_RESOURCE), ("POST", CORDON_AND_DRAIN), ("POST", UNCORDON)]
    {
        refusals.push(agent.with_token(method, path, token).await.refusal());
    }
    refusals
}

async fn all_refused(agent: &Agent<'_>, what: &str, token: &str, expected: (u16, Reason)) {
    let refusals = refusals(agent, token).await;
    assert!(refusals.iter().all(|refusal| *refusal == expected), "{what}: {refusals:?}");
}

/// A pod on the agent's node that is none of the operator's agents.
async fn other_pod(agent: &Agent<'_>, account: &str) -> Pod {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": format!("{account}-on-{}", agent.node)},
        "spec": {
            "nodeName": agent.node, "serviceAccountName": account,
            "containers": [{"name": "other", "image": "example.invalid/other"}],
        },
    }))
    .unwrap();
    agent.site.pods(names::DEFAULT_NAMESPACE).create(&PostParams::default(), &pod).await.unwrap()
}

async fn unbound(site: &Site) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(site.plane.client(), names::DEFAULT_NAMESPACE);
    let spec =
        TokenRequestSpec { audiences: Some(vec![names::TOKEN_AUDIENCE.to_owned()]), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(names::AGENT_SERVICE_ACCOUNT, &PostParams::default(), &request).await;
    answer.unwrap().status.unwrap().token.unwrap()
}

/// The same claims under a signature that is not theirs.
fn altered(token: &str) -> String {
    let (claims, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{claims}.{other}{}", &signature[1..])
}

#[test]
fn only_the_agent_on_a_node_opens_that_node_and_whoever_else_asks_writes_nothing() {
    on_site(async |site| {
        let agent = site.agent("identity-1").await;
        agent.create_shadow().await;
        agent.approve().await;
        let other = site.agent("identity-2").await;
        let own = agent.send(0, agent.request("GET", NODE_RESOURCE)).await;
        assert_eq!(own.status, 200, "its own token opens its own shadow");
        let before = agent.writes();

        let unknown = (401, Reason::Unauthenticated);
        all_refused(&agent, "garbage", "abc", unknown).await;
        all_refused(&agent, "another signature", &altered(&agent.token), unknown).await;
        // Signed anew with the cluster's key: not for its signature is the other one refused.
        let again = site.plane.backdated(&agent.token, SignedDuration::ZERO).unwrap();
        assert_eq!(agent.with_token("GET", NODE_RESOURCE, &again).await.status, 200);
        let expired = site.plane.backdated(&agent.token, SignedDuration::from_hours(24)).unwrap();
        all_refused(&agent, "expired", &expired, unknown).await;
        let audience = site.token(&agent.pod, names::AGENT_SERVICE_ACCOUNT, "somebody-else").await;
        all_refused(&agent, "another audience", &audience, unknown).await;
        let forbidden = (403, Reason::Forbidden);
        all_refused(&agent, "another node's", &other.token, forbidden).await;
        all_refused(&agent, "bound to no pod", &unbound(site).await, forbidden).await;
        let pod = other_pod(&agent, "default").await;
        let token = site.token(&pod, "default", names::TOKEN_AUDIENCE).await;
        all_refused(&agent, "another ServiceAccount's", &token, forbidden).await;
        let pod = other_pod(&agent, names::AGENT_SERVICE_ACCOUNT).await;
        let token = site.token(&pod, names::AGENT_SERVICE_ACCOUNT, names::TOKEN_AUDIENCE).await;
        all_refused(&agent, "a pod that is no agent", &token, forbidden).await;
        assert_eq!(agent.writes(), before);

        // Its own token was not spoilt by what others tried.
        assert_eq!(agent.drain(0, 30).await.status, 200);
    });
}

#[test]
fn headers_that_are_missing_doubled_or_stale_are_refused_and_write_nothing() {
    on_site(async |site| {
        let agent = site.agent("headers-1").await;
        agent.create_shadow().await;
        agent.approve().await;
        let before = agent.writes();
        let without = |name: &'static str| {
            let mut request = agent.request("POST", CORDON_AND_DRAIN);
            request.headers_mut().unwrap().remove(name);
            request
        };
        let with = |name: &'static str, value: &str| agent.request("POST", CORDON_AND_DRAIN).header(name, value);
        let bad = (400, Reason::BadRequest);
        for (what, request, expected) in [
            ("no node", without(NODE_NAME_HEADER), bad),
            ("no token", without(TOKEN_HEADER), bad),
            ("two nodes", with(NODE_NAME_HEADER, "headers-1"), bad),
            ("two tokens", with(TOKEN_HEADER, &agent.token), bad),
            ("a node that was there before", with(NODE_UID_HEADER, "older"), (401, Reason::StaleToken)),
        ] {
            assert_eq!(agent.send(0, request).await.refusal(), expected, "{what}");
        }
        assert_eq!(agent.writes(), before);
        let uid = agent.node_object().await.uid().unwrap();
        assert_eq!(agent.send(0, with(NODE_UID_HEADER, &uid)).await.status, 200);
    });
}

#[test]
fn a_token_ends_with_its_pod_and_with_its_node() {
    on_site(async |site| {
        let agent = site.agent("ended-1").await;
        agent.create_shadow().await;
        agent.approve().await;
        let read = async || -> Answer { agent.send(0, agent.request("GET", NODE_RESOURCE)).await };
        assert_eq!(read().await.status, 200, "the review is remembered now");
        let pods = site.pods(names::DEFAULT_NAMESPACE);
        let (name, uid) = (agent.pod.name_any(), agent.pod.uid().unwrap());
        pods.delete(&name, &DeleteParams::default().grace_period(0)).await.unwrap();
        until(&pods, &name, "the pod to be gone", PATIENCE, is_deleted(&uid)).await.unwrap();
        // 401 once Kubernetes has forgotten the token, 403 while only its pod is known to be gone.
        let refused = eventually("the token to be refused", PATIENCE, async || {
            let answer = read().await;
            Ok((answer.status != 200).then(|| answer.refusal()))
        });
        let refused = refused.await.unwrap();
        assert!([(401, Reason::Unauthenticated), (403, Reason::Forbidden)].contains(&refused), "{refused:?}");
        let before = agent.writes();
        let drain = agent.drain(0, 1).await;
        assert!([401, 403].contains(&drain.status), "{drain:?}");

        let second = site.agent("ended-2").await;
        second.create_shadow().await;
        let nodes = site.nodes();
        let node: Node = second.node_object().await;
        nodes.delete(&second.node, &DeleteParams::default()).await.unwrap();
        until(&nodes, &second.node, "the node to be gone", PATIENCE, is_deleted(&node.uid().unwrap())).await.unwrap();
        let again: Node = serde_json::from_value(json!({"metadata": {"name": second.node}})).unwrap();
        nodes.create(&PostParams::default(), &again).await.unwrap();
        let refused = eventually("the old node's token to be refused", PATIENCE, async || {
            let answer = second.drain(1, 1).await;
            // What is remembered of the Node is good for a minute; the shadow and the record are looked up every time.
            Ok([401, 403].contains(&answer.status).then_some(answer.status))
        });
        refused.await.unwrap();
        assert!(!second.is_cordoned().await);
        assert_eq!(agent.writes(), before);
    });
}
