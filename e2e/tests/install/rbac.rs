//! Every right that the manifest gives is needed, and no right is missing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent::apiserver::{Apiserver, TlsDial};
use agent::contact::Contact;
use api::{State, names};
use e2e::audit::{Grant, Request, grants, requests, unused};
use e2e::controlplane::Signal;
use e2e::controlplane::wait::eventually;
use e2e::fleet::{APISERVER_NAME, Fleet, FleetOptions};
use e2e::host::{Span, Timings};
use e2e::install::{Manifest, workspace};
use e2e::workload::Workload;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use prometheus::Gauge;
use semver::Version;
use serde_json::json;

/// Far longer than anything here takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// The deadline of a write, and room for a busy machine.
const LONGEST_WRITE: Duration = Duration::from_secs(8);
const NEW: Version = Version::new(1, 51, 0);

const POLICY: &str = "
apiVersion: brupop.bottlerocket.aws/v1alpha1
kind: UpdatePolicy
metadata: {name: default}
spec: {nodeSelector: {}, maxConcurrentUpdates: 1}
";

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_refused_and_every_right_is_used() {
    let timings = Timings { prepare: Span::exactly(Duration::from_secs(3)), ..Timings::default() };
    let fleet = Fleet::start(FleetOptions { nodes: 1, timings, ..FleetOptions::default() }).await.unwrap();
    fleet.reported(PATIENCE).await.unwrap();
    ask_with_the_token_of_a_pod_that_no_watch_shows(&fleet).await;
    Workload::deployment("stubborn", 1, 0).run(&fleet.plane, PATIENCE).await.unwrap();
    withdraw_an_approval(&fleet).await;
    leave_the_outcome_of_a_write_open(&fleet).await;

    let force = json!({"drain": {"timeout": "5s", "onTimeout": "Force"}});
    fleet.edit_policy("default", force).await.unwrap();
    fleet.updated(&NEW, 1, PATIENCE).await.unwrap();
    let unlabel = format!("{}-", names::UPDATER_INTERFACE_LABEL);
    fleet.plane.kubectl(["label", "node", "node-1", &unlabel]).await.unwrap();

    let all = all_grants();
    let used = eventually("every right to be used", PATIENCE, async || {
        let left = unused(&all, &asked(&fleet));
        anyhow::ensure!(left.is_empty(), "never used: {}", told(&left));
        Ok(Some(()))
    });
    used.await.unwrap_or_else(|error| panic!("{error:#}"));
    let refused: BTreeSet<_> = asked(&fleet)
        .into_iter()
        .filter(|request| request.forbidden)
        .map(|request| format!("{} {}", request.verb, request.uri))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
    println!("{} rights, each used; {} requests, none refused", all.len(), asked(&fleet).len());
}

/// What the manifest and the component that fleets have give.
fn all_grants() -> BTreeSet<Grant> {
    let mut all = grants(&Manifest::shipped().unwrap());
    let force = std::fs::read_to_string(workspace("config/components/force-drain/role.yaml")).unwrap();
    all.extend(grants(&Manifest::parse(&force).unwrap()));
    assert!(all.len() > 30, "{}", told(&all));
    all
}

fn told(grants: &BTreeSet<Grant>) -> String {
    grants.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn asked(fleet: &Fleet) -> Vec<Request> {
    requests(&std::fs::read_to_string(fleet.plane.audit_log()).unwrap(), names::DEFAULT_NAMESPACE)
}

/// A pod of the agents' account that is none of the agents: it is looked for past the watch, and refused.
async fn ask_with_the_token_of_a_pod_that_no_watch_shows(fleet: &Fleet) {
    let pods: Api<Pod> = Api::namespaced(fleet.plane.client(), names::DEFAULT_NAMESPACE);
    let pod = json!({
        "metadata": {"name": "unproven"},
        "spec": {
            "serviceAccountName": names::AGENT_SERVICE_ACCOUNT, "nodeName": "node-1",
            "containers": [{"name": "unproven", "image": "example.invalid/unproven"}],
        },
    });
    let pod = pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let (account, audience) = (names::AGENT_SERVICE_ACCOUNT, names::TOKEN_AUDIENCE);
    let uid = pod.uid().unwrap();
    let token = fleet.plane.token_for_pod(names::DEFAULT_NAMESPACE, account, "unproven", &uid, audience).await.unwrap();
    let file: PathBuf = fleet.plane.dir().join("token-of-another-account");
    std::fs::write(&file, token).unwrap();
    let authority = fleet.certificates.join("ca.crt");
    let dial = TlsDial::new("127.0.0.1".to_owned(), fleet.apiserver_port, APISERVER_NAME, authority).unwrap();
    let contact = Contact::new(Gauge::new("contact", "unused").unwrap());
    let unproven = Apiserver::new(Arc::new(dial), APISERVER_NAME.to_owned(), "node-1".to_owned(), file, contact);
    assert!(unproven.read_through().await.is_err());
}

/// Pauses between the approval and its use, so that the controller withdraws it and looks at the Node.
async fn withdraw_an_approval(fleet: &Fleet) {
    fleet.plane.apply(POLICY).await.unwrap();
    fleet.publish(&NEW);
    wait_for(fleet, "the start", |state, _| state == State::StagedAndPerformedUpdate).await;
    fleet.edit_policy("default", json!({"paused": true})).await.unwrap();
    wait_for(fleet, "the image", |_, reported| reported == Some(State::StagedAndPerformedUpdate)).await;
    // Nobody can use the approval while the apiserver stands still.
    fleet.apiserver.signal(Signal::STOP).unwrap();
    fleet.edit_policy("default", json!({"paused": false})).await.unwrap();
    wait_for(fleet, "the approval", |state, _| state == State::RebootedIntoUpdate).await;
    fleet.edit_policy("default", json!({"paused": true})).await.unwrap();
    wait_for(fleet, "the approval to be withdrawn", |state, _| state != State::RebootedIntoUpdate).await;
    fleet.apiserver.signal(Signal::CONT).unwrap();
    fleet.edit_policy("default", json!({"paused": false})).await.unwrap();
    fleet.says("node-1", "stubborn", PATIENCE).await.unwrap();
}

async fn wait_for(fleet: &Fleet, what: &str, condition: impl Fn(State, Option<State>) -> bool) {
    eventually(what, PATIENCE, async || {
        let shadow = fleet.shadow("node-1").await?;
        Ok(condition(shadow.spec.state, shadow.status.map(|status| status.current_state)).then_some(()))
    })
    .await
    .unwrap();
}

/// Stops etcd right after an edit that the controller answers with a write, until one of the writes has no answer in time: what
/// became of it is then read.
async fn leave_the_outcome_of_a_write_open(fleet: &Fleet) {
    let etcd = fleet.plane.process("etcd").unwrap();
    let before = (unanswered(fleet), reads(fleet));
    let mut minutes = 30;
    eventually("a write without an answer", PATIENCE, async || {
        minutes += 1;
        fleet.edit_policy("default", json!({"drain": {"timeout": format!("{minutes}m")}})).await?;
        etcd.signal(Signal::STOP)?;
        let is_open = async || Ok((unanswered(fleet) > before.0).then_some(()));
        let is_open = eventually("the controller to say so", LONGEST_WRITE, is_open).await.is_ok();
        etcd.signal(Signal::CONT)?;
        if is_open {
            return Ok(Some(()));
        }
        // It had written before etcd stood still, or had not seen the edit.
        let follows = async || {
            let drain = fleet.shadow("node-1").await?.spec.drain;
            Ok(drain.is_some_and(|drain| drain.timeout_seconds == minutes * 60).then_some(()))
        };
        eventually("the controller to follow the edit", PATIENCE, follows).await?;
        Ok(None)
    })
    .await
    .unwrap();
    let is_read = async || Ok((reads(fleet) > before.1).then_some(()));
    eventually("what became of it to be read", PATIENCE, is_read).await.unwrap();
}

/// How many writes the controller has had no answer to.
fn unanswered(fleet: &Fleet) -> usize {
    let log = std::fs::read_to_string(fleet.controller.log_path()).unwrap();
    log.lines().filter(|line| line.contains("shadow not written")).count()
}

/// How often the controller has read a shadow past its watches.
fn reads(fleet: &Fleet) -> usize {
    let is_read = |request: &Request| {
        request.account == names::CONTROLLER_SERVICE_ACCOUNT
            && request.verb == "get"
            && request.resource == "bottlerocketshadows"
    };
    asked(fleet).iter().filter(|request| is_read(request)).count()
}
