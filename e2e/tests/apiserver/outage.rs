//! Kubernetes slow, refusing, failing, cut off and back.

use std::time::Duration;

use api::names;
use api::wire::{NODE_RESOURCE, Reason, TOKEN_HEADER};
use e2e::controlplane::wait::eventually;
use e2e::controlplane::{Gateway, Link};
use e2e::fleet::installation::is_ready;
use futures::future::join_all;
use http::StatusCode;
use kube::ResourceExt;
use serde_json::json;

use crate::agent::Agent;
use crate::site::{Own, PATIENCE, Site, on_site};
use crate::workload::Workload;

async fn behind(site: &Site, gateway: &Gateway, name: &str) -> Own {
    let account = names::APISERVER_SERVICE_ACCOUNT;
    let kubeconfig = site.plane.kubeconfig_by_way_of(gateway.url(), name, names::DEFAULT_NAMESPACE, account);
    site.own_replica(name, kubeconfig.await.unwrap()).await
}

/// Lets `seconds` pass, told by a long poll through another replica.
async fn pass(agent: &Agent<'_>, seconds: u32) {
    agent.while_nothing_changes(seconds).await;
}

/// A caller whose token this replica has not seen yet: nothing is known of it without Kubernetes. What cannot be an agent's token at
/// all is refused without it.
async fn is_unavailable(own: &Own, unproven: &Agent<'_>) {
    let mut forged = unproven.request("GET", NODE_RESOURCE);
    let headers = forged.headers_mut().unwrap();
    let (claims, signature) = headers[TOKEN_HEADER].to_str().unwrap().rsplit_once('.').unwrap();
    let made_up = format!("{claims}.{}", signature.chars().rev().collect::<String>());
    headers.insert(TOKEN_HEADER, made_up.parse().unwrap());
    let mut malformed = unproven.request("GET", NODE_RESOURCE);
    malformed.headers_mut().unwrap().insert(TOKEN_HEADER, "no token".parse().unwrap());
    assert_eq!(own.send(malformed).await.unwrap().refusal(), (401, Reason::Unauthenticated));
    let calls = [
        unproven.request("GET", NODE_RESOURCE),
        unproven.request("POST", NODE_RESOURCE),
        unproven.request("POST", api::wire::UNCORDON),
        forged,
    ];
    for answer in join_all(calls.map(|call| own.send(call))).await {
        assert_eq!(answer.unwrap().refusal(), (503, Reason::Unavailable), "never a yes");
    }
    assert!(is_ready(own.replica.metrics_port).await, "an outage is no reason to leave the Service without endpoints");
}

#[test]
fn an_outage_of_kubernetes_is_503_to_callers_suspends_drains_and_loses_nothing() {
    on_site(async |site| {
        let gateway = Gateway::to(&site.plane).await.unwrap();
        let own = behind(site, &gateway, "brupop-apiserver-outage").await;
        let (agent, unproven) = (site.agent("outage-1").await, site.agent("outage-2").await);
        let clock = site.agent("outage-3").await;
        agent.create_shadow().await;
        clock.create_shadow().await;
        let pods = Workload::new(&agent).await;
        pods.run("held", 1, &json!({})).await;
        pods.block("held", 1).await;
        agent.approve().await;
        let drain = agent.request("POST", api::wire::CORDON_AND_DRAIN).header("prefer", "wait=170");
        let course = async {
            let asked = "the pod to be asked for";
            eventually(asked, PATIENCE, async || Ok((site.evictions("outage-1") > 0).then_some(()))).await.unwrap();
            let shadow = site.shadows().get(&names::shadow_name("outage-1")).await.unwrap();
            let known = shadow.resource_version().unwrap();
            for link in [
                Link::Cut,
                Link::Refusing(StatusCode::INTERNAL_SERVER_ERROR),
                Link::Refusing(StatusCode::TOO_MANY_REQUESTS),
                Link::Slow(Duration::from_secs(8)),
            ] {
                gateway.set(link);
                // What was under way when it changed may still arrive.
                pass(&clock, 6).await;
                let before = (site.evictions("outage-1"), unproven.writes());
                is_unavailable(&own, &unproven).await;
                pass(&clock, 2).await;
                assert_eq!((site.evictions("outage-1"), unproven.writes()), before, "{link:?}");
            }
            gateway.set(Link::Slow(Duration::from_secs(1)));
            let slow = eventually("a slow answer", PATIENCE, async || {
                let answer = own.send(unproven.request("POST", NODE_RESOURCE)).await?;
                Ok((answer.status == 201 || answer.status == 200).then_some(()))
            });
            slow.await.unwrap();
            gateway.set(Link::Cut);
            agent.desired(json!({"exclude_from_lb_wait_time_in_sec": 7})).await;
            pods.free("held").await;
            pass(&clock, 3).await;
            gateway.set(Link::Open);
            // What changed while nothing could be seen is brought by the watch.
            let path = format!("{NODE_RESOURCE}?resourceVersion={known}&timeoutSeconds=100");
            let changed = own.send(agent.request("GET", &path)).await.unwrap();
            assert_eq!(changed.status, 200, "{changed:?}");
        };
        let (answer, ()) = tokio::join!(own.send(drain), course);
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(pods.left().await.is_empty());
    });
}
