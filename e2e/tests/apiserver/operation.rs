//! The running program: its certificate, its end, and a cluster that has only one of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::names::{self, COMPONENT_LABEL};
use api::wire::{CORDON_AND_DRAIN, NODE_RESOURCE, PodWait};
use e2e::controlplane::Signal;
use e2e::controlplane::wait::eventually;
use e2e::fleet::APISERVER_NAME;
use e2e::fleet::installation::is_ready;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{ListParams, PostParams};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

use crate::agent::Agent;
use crate::site::{Own, PATIENCE, Site, on_site};
use crate::workload::Workload;

/// The certificate that a new connection is shown.
async fn presented(own: &Own) -> CertificateDer<'static> {
    let authority = std::fs::read(own.certificates.join("ca.crt")).unwrap();
    let connector = TlsConnector::from(Arc::new(runtime::tls::client_config(&authority).unwrap()));
    let stream = TcpStream::connect(("127.0.0.1", own.replica.port)).await.unwrap();
    let stream = connector.connect(ServerName::try_from(APISERVER_NAME).unwrap(), stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

async fn counted(own: &Own, outcome: &str, count: u64) {
    let line = format!("brupop_tls_certificate_reloads_total{{outcome=\"{outcome}\"}}");
    let what = format!("{count} certificates to be {outcome}");
    eventually(&what, PATIENCE, async || Ok((own.metric(&line).await == Some(count)).then_some(()))).await.unwrap();
}

/// A node with a pod that its budget blocks, and an approval.
async fn blocked<'a>(site: &'a Site, node: &str) -> Agent<'a> {
    let agent = site.agent(node).await;
    agent.create_shadow().await;
    agent.approve().await;
    agent
}

async fn asked_for(site: &Site, node: &str, more_than: usize) {
    eventually("the pod to be asked for", PATIENCE, async || Ok((site.evictions(node) > more_than).then_some(())))
        .await
        .unwrap();
}

#[test]
fn a_certificate_is_exchanged_in_the_middle_of_a_drain_and_a_broken_one_refused() {
    on_site(async |site| {
        let own = site.own_replica("brupop-apiserver-rotated", site.kubeconfig().await).await;
        let agent = blocked(site, "rotated-1").await;
        let pods = Workload::new(&agent).await;
        pods.run("held", 1, &json!({})).await;
        pods.block("held", 1).await;
        let drain = agent.request("POST", CORDON_AND_DRAIN).header("prefer", "wait=170");
        let version = site.shadows().get(&names::shadow_name("rotated-1")).await.unwrap().resource_version().unwrap();
        let poll = agent.request("GET", &format!("{NODE_RESOURCE}?resourceVersion={version}&timeoutSeconds=170"));
        let course = async {
            asked_for(site, "rotated-1", 0).await;
            let old = presented(&own).await;
            site.plane.issue_server_certificate("brupop-apiserver-rotated", &[APISERVER_NAME]).unwrap();
            counted(&own, "accepted", 1).await;
            let new = presented(&own).await;
            assert_ne!(new, old);
            assert_eq!(new, CertificateDer::from_pem_file(own.certificates.join("tls.crt")).unwrap());
            std::fs::write(own.certificates.join("tls.key"), "no key").unwrap();
            counted(&own, "refused", 1).await;
            assert_eq!(presented(&own).await, new, "the one before is kept");
            assert!(own.replica.process.log_tail(200).contains("new certificate refused"));
            let answer = own.send(agent.request("GET", NODE_RESOURCE)).await.unwrap();
            assert_eq!(answer.status, 200);
            pods.free("held").await;
            // The end of the poll, which has been open as long as the drain.
            agent.desired(json!({"exclude_from_lb_wait_time_in_sec": 1})).await;
        };
        let (drain, poll, ()) = tokio::join!(own.send(drain), own.send(poll), course);
        assert_eq!((drain.unwrap().status, poll.unwrap().status), (200, 200));
    });
}

#[test]
fn told_to_end_it_answers_what_is_open_and_cuts_last_who_does_not_ask_for_an_answer_in_time() {
    on_site(async |site| {
        let own = site.own_replica("brupop-apiserver-ending", site.kubeconfig().await).await;
        let (agent, original) = (blocked(site, "ending-1").await, blocked(site, "ending-2").await);
        let (pods, others) = (Workload::new(&agent).await, Workload::new(&original).await);
        for pods in [&pods, &others] {
            pods.run("held", 1, &json!({})).await;
            pods.block("held", 1).await;
        }
        let drain = agent.request("POST", CORDON_AND_DRAIN).header("prefer", "wait=170");
        let version = site.shadows().get(&names::shadow_name("ending-1")).await.unwrap().resource_version().unwrap();
        let poll = agent.request("GET", &format!("{NODE_RESOURCE}?resourceVersion={version}&timeoutSeconds=170"));
        let course = async {
            asked_for(site, "ending-1", 0).await;
            asked_for(site, "ending-2", 0).await;
            own.replica.process.signal(Signal::TERM).unwrap();
            Instant::now()
        };
        let timed = async |request| {
            let answer = own.send(request).await;
            (answer, Instant::now())
        };
        let ending = async {
            let told = course.await;
            let unready = eventually("it to be not ready", PATIENCE, async || {
                Ok((!is_ready(own.replica.metrics_port).await).then_some(()))
            });
            unready.await.unwrap();
            let ended = eventually("it to end", PATIENCE, async || Ok(own.replica.process.exit_status()?));
            let ended = ended.await.unwrap();
            (told, ended, told.elapsed())
        };
        let originals = original.original("POST", CORDON_AND_DRAIN);
        let (drain, poll, originals, (told, ended, took)) =
            tokio::join!(timed(drain), timed(poll), timed(originals), ending);
        assert!(ended.success(), "{ended}");
        assert!(took < Duration::from_secs(30), "within the grace period of a pod: {took:?}");
        assert_eq!(drain.0.unwrap().progress().pods_left, 1);
        assert_eq!(poll.0.unwrap().status, 304);
        assert!(originals.0.is_err(), "cut");
        let answered = drain.1.max(poll.1) - told;
        let cut = originals.1 - told;
        println!("told to end: answered after {answered:?}, cut after {cut:?}, ended after {took:?}");
        assert!(answered + Duration::from_secs(5) < cut, "{answered:?}, {cut:?}");
        // Any other replica goes on.
        pods.free("held").await;
        assert_eq!(agent.drain(0, 60).await.status, 200);
        others.free("held").await;
        assert_eq!(original.send(1, original.original("POST", CORDON_AND_DRAIN)).await.status, 200);
    });
}

/// One of the operator's own pods, on a node.
async fn own_pod(site: &Site, component: &str, node: &str) -> String {
    let name = format!("{component}-on-{node}");
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": { COMPONENT_LABEL: component }},
        "spec": {
            "nodeName": node, "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "own", "image": "example.invalid/own"}],
        },
    }))
    .unwrap();
    let pods = site.pods(names::DEFAULT_NAMESPACE);
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let ready = eventually("the operator's own pod to be ready", PATIENCE, async || {
        let status = pods.get(&name).await?.status.unwrap_or_default();
        let ready = status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
        Ok(ready.then_some(()))
    });
    ready.await.unwrap();
    name
}

#[test]
fn on_the_only_node_the_operators_own_pods_stay_and_the_drain_ends_without_them() {
    on_site(async |site| {
        let agent = blocked(site, "single-1").await;
        let pods = Workload::new(&agent).await;
        pods.run("web", 2, &json!({})).await;
        let mut own = Vec::new();
        for component in ["test-apiserver", "test-controller", "test-webhook"] {
            own.push(own_pod(site, component, "single-1").await);
        }
        assert_eq!(agent.drain(0, 60).await.status, 200);
        assert!(pods.left().await.is_empty());
        let here = async || {
            let on_node = ListParams::default().fields("spec.nodeName=single-1");
            let all = site.pods(names::DEFAULT_NAMESPACE).list(&on_node).await.unwrap().items;
            let there = all.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
            there.map(ResourceExt::name_any).filter(|name| own.contains(name)).collect::<Vec<_>>()
        };
        assert_eq!(here().await.len(), 3, "nobody else would finish the rollout");
        // With another one Ready elsewhere it goes, and only it.
        site.agent("single-2").await;
        own_pod(site, "test-apiserver", "single-2").await;
        assert_eq!(agent.drain(1, 60).await.status, 200);
        assert_eq!(here().await, own[1..]);
    });
}

#[test]
fn a_pod_that_two_budgets_select_is_reported_as_that() {
    on_site(async |site| {
        let agent = blocked(site, "twice-1").await;
        let pods = Workload::new(&agent).await;
        pods.run("held", 1, &json!({})).await;
        pods.block("held", 1).await;
        let again = site.plane.kubectl([
            "create",
            "poddisruptionbudget",
            "again",
            "--namespace=twice-1",
            "--selector=app=held",
            "--min-available=1",
        ]);
        again.await.unwrap();
        let reported = eventually("both budgets to count", PATIENCE, async || {
            let progress = agent.drain(0, 3).await.progress();
            Ok((progress.pods[0].waiting_for == PodWait::SeveralBudgets).then_some(()))
        });
        reported.await.unwrap();
        let told = eventually("an event that says so", PATIENCE, async || {
            let events = site.events("twice-1").await;
            Ok(events.into_iter().find(|(_, note)| note.contains("several PodDisruptionBudgets")))
        });
        let (reason, note) = told.await.unwrap();
        assert!(reason == "DrainBlocked" && note.contains("twice-1/held-0"), "{note}");
    });
}
