//! The control plane is a real one, its hosts and pods do what their annotations say, and nothing of it stays behind.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail as tests do")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::controlplane::wait::{eventually, until};
use e2e::controlplane::{ControlPlane, Program, stages};
use e2e::workload::Workload;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::conditions::is_deleted;
use kube::{Api, ResourceExt};
use serde_json::json;

/// Far longer than anything here takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn two_run_side_by_side_and_leave_nothing_behind() {
    let started = Instant::now();
    let (one, other) = tokio::join!(ControlPlane::start(), ControlPlane::start());
    let (one, other) = (one.unwrap(), other.unwrap());
    println!("two control planes were ready after {:?}", started.elapsed());

    create_node(&one, "only-here").await;
    for (plane, nodes) in [(&one, 1), (&other, 0)] {
        let version = plane.client().apiserver_version().await.unwrap();
        assert_eq!(version.git_version, "v1.36.3");
        let list = Api::<Node>::all(plane.client()).list(&ListParams::default()).await.unwrap();
        assert_eq!(list.items.len(), nodes);
        assert_eq!(plane.processes().len(), 5);
        for server in plane.processes() {
            println!("{} {} MiB", server.name(), server.resident_bytes().unwrap() / 1024 / 1024);
        }
    }
    let sleeper = one.spawn("sleeper", Program::new("/bin/sleep").arg("600")).unwrap();
    let traces: Vec<_> = [&one, &other].into_iter().map(traces).collect();
    assert!(traces[0].1.iter().any(|trace| trace.pid == sleeper.pid()));

    let stopping = Instant::now();
    drop((one, other));
    println!("and gone after {:?}", stopping.elapsed());
    for (folder, processes) in traces {
        assert!(!folder.exists());
        assert!(!processes.iter().any(Trace::runs));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_follows_its_host_through_a_reboot() {
    let plane = ControlPlane::start().await.unwrap();
    let nodes = Api::<Node>::all(plane.client());
    create_node(&plane, "host").await;
    let pods = Api::<Pod>::default_namespaced(plane.client());

    annotate(&nodes, "host", &[(stages::POWER, Some("off"))]).await;
    until(&nodes, "host", "the host to be off", PATIENCE, is_off).await.unwrap();
    plane.apply(PINNED_POD).await.unwrap();
    let seen = |pod: Option<&Pod>| condition(pod, stages::NODE_IS_OFF) == Some("True");
    let pod = until(&pods, "pinned", "KWOK to see the pod", PATIENCE, seen).await.unwrap().unwrap();
    assert_eq!(pod.status.unwrap().phase.unwrap(), "Pending");

    let kernel = "6.12";
    let boot = [
        (stages::POWER, None),
        (stages::BOOT_ID, Some("4e2c6a10-second")),
        (stages::OS_IMAGE, Some("Bottlerocket OS 1.51.0 (aws-k8s-1.36)")),
        (stages::KERNEL_VERSION, Some(kernel)),
    ];
    annotate(&nodes, "host", &boot).await;
    let node = until(&nodes, "host", "the host to be on", PATIENCE, is_on).await;
    let on = node.unwrap().unwrap();
    let info = on.status.as_ref().and_then(|status| status.node_info.as_ref()).unwrap();
    assert_eq!(info.boot_id, "4e2c6a10-second");
    assert_eq!(info.os_image, "Bottlerocket OS 1.51.0 (aws-k8s-1.36)");
    assert_eq!(info.kernel_version, kernel);
    until(&pods, "pinned", "the pod to be ready", PATIENCE, pod_ready).await.unwrap();

    // A boot that was too short to be seen as one.
    annotate(&nodes, "host", &[(stages::BOOT_ID, Some("third"))]).await;
    let third =
        until(&nodes, "host", "the third boot", PATIENCE, |node: Option<&Node>| boot_id(node) == Some("third")).await;
    assert_eq!(last_transition(&third.unwrap().unwrap()), last_transition(&on), "it was Ready all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_and_ends_as_its_annotations_say() {
    let plane = ControlPlane::start().await.unwrap();
    create_node(&plane, "host").await;
    let pods = Api::<Pod>::default_namespaced(plane.client());
    let [web] = &run(&plane, Workload::deployment("web", 1, 1)).await[..] else { panic!("one pod was asked for") };

    annotate(&pods, web, &[(stages::READY, Some("false"))]).await;
    let pod = until(&pods, web, "it not to be ready", PATIENCE, is_unready).await.unwrap().unwrap();
    assert_eq!(pod.status.unwrap().phase.unwrap(), "Running");
    annotate(&pods, web, &[(stages::READY, Some("true"))]).await;
    until(&pods, web, "it to be ready", PATIENCE, pod_ready).await.unwrap();

    // A finalizer keeps the pod, though its containers have ended.
    let finalizers = |names: &[&str]| Patch::Merge(json!({ "metadata": { "finalizers": names } }));
    pods.patch(web, &PatchParams::default(), &finalizers(&["test.example/keep"])).await.unwrap();
    let uid = pods.get(web).await.unwrap().uid().unwrap();
    pods.delete(web, &DeleteParams::default()).await.unwrap();
    let ended = |pod: Option<&Pod>| pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()) == Some("Succeeded");
    let pod = until(&pods, web, "its containers to end", PATIENCE, ended).await.unwrap().unwrap();
    assert_eq!(pod.finalizers(), ["test.example/keep"]);
    pods.patch(web, &PatchParams::default(), &finalizers(&[])).await.unwrap();
    until(&pods, web, "it to be gone", PATIENCE, is_deleted(&uid)).await.unwrap();

    let annotations = format!("{}: 3s", stages::TERMINATION);
    let slow = Workload { annotations: &annotations, ..Workload::deployment("slow", 1, 1) };
    let [slow] = &run(&plane, slow).await[..] else { panic!("one pod was asked for") };
    let uid = pods.get(slow).await.unwrap().uid().unwrap();
    let deleted = Instant::now();
    pods.delete(slow, &DeleteParams::default()).await.unwrap();
    annotate(&pods, slow, &[("test.example/touched", Some("while ending"))]).await;
    until(&pods, slow, "it to be gone", PATIENCE, is_deleted(&uid)).await.unwrap();
    assert!(deleted.elapsed() > Duration::from_secs(2), "gone after {:?}", deleted.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_budget_refuses_an_eviction() {
    let plane = ControlPlane::start().await.unwrap();
    create_node(&plane, "host").await;
    let workload = Workload::deployment("web", 2, 0);
    let web = run(&plane, workload).await;
    let pods = Api::<Pod>::default_namespaced(plane.client());
    let asked = Instant::now();
    let refusal = pods.evict(&web[0], &EvictParams::default()).await.unwrap_err();
    let kube::Error::Api(status) = refusal else { panic!("{refusal}") };
    assert_eq!(status.code, 429);
    assert!(asked.elapsed() < Duration::from_secs(5), "the client retried for {:?}", asked.elapsed());
    let causes = status.details.unwrap().causes;
    assert!(causes.iter().any(|cause| cause.reason == "DisruptionBudget"), "{causes:?}");

    workload.allow(&plane, 1).await.unwrap();
    let evicted = async || match pods.evict(&web[0], &EvictParams::default()).await {
        Ok(_) => Ok(Some(())),
        Err(error) => Err(error.into()),
    };
    eventually("the eviction to be allowed", PATIENCE, evicted).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_pods_token_names_its_pod_and_its_node() {
    let plane = ControlPlane::start().await.unwrap();
    create_node(&plane, "host").await;
    plane.apply(DAEMON).await.unwrap();
    let pods = Api::<Pod>::namespaced(plane.client(), "system");
    let pod = eventually("the daemon's pod", PATIENCE, async || {
        let list = pods.list(&ListParams::default().labels("app=agent")).await?;
        Ok(list.items.into_iter().find(|pod| pod_ready(Some(pod))))
    });
    let pod = pod.await.unwrap();

    let uid = pod.uid().unwrap();
    let token = plane.token_for_pod("system", "agent", &pod.name_any(), &uid, "test-audience").await.unwrap();
    let spec = TokenReviewSpec { token, audiences: Some(vec!["test-audience".into()]) };
    let review: TokenReview = serde_json::from_value(json!({ "spec": spec })).unwrap();
    let review = Api::<TokenReview>::all(plane.client()).create(&PostParams::default(), &review).await.unwrap();
    let status = review.status.unwrap();
    assert_eq!(status.authenticated, Some(true), "{status:?}");
    assert_eq!(status.audiences.unwrap(), ["test-audience"]);
    let user = status.user.unwrap();
    assert_eq!(user.username.as_deref(), Some("system:serviceaccount:system:agent"));
    let extra = user.extra.unwrap();
    assert_eq!(extra["authentication.kubernetes.io/pod-name"], [pod.name_any()]);
    assert_eq!(extra["authentication.kubernetes.io/pod-uid"], [uid]);
    assert_eq!(extra["authentication.kubernetes.io/node-name"], ["host"]);

    assert!(plane.token_for_pod("system", "agent", &pod.name_any(), "another", "test-audience").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_may_do_what_its_account_may() {
    let plane = ControlPlane::start().await.unwrap();
    plane.apply(DAEMON).await.unwrap();
    let kubeconfig = plane.service_account_kubeconfig("system", "agent").await.unwrap();
    let agent = |name: &str, resource: &str| {
        let arguments = ["get", resource, "--kubeconfig"];
        plane.spawn(name, Program::new(plane.kubectl_path()).args(arguments).arg(&kubeconfig)).unwrap()
    };
    for (resource, allowed) in [("nodes", true), ("secrets", false)] {
        let kubectl = agent(resource, resource);
        let status = eventually("kubectl to end", PATIENCE, async || Ok(kubectl.exit_status()?)).await.unwrap();
        assert_eq!(status.success(), allowed, "{}", kubectl.log_tail(10));
        assert_eq!(kubectl.log_tail(10).contains("Forbidden"), !allowed);
    }
    assert!(plane.service_account_kubeconfig("system", "nobody").await.is_err());

    // The audit log tells who it was.
    let audited = async || {
        let log = std::fs::read_to_string(plane.audit_log())?;
        let events = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut refused = events
            .filter(|event| event["objectRef"]["resource"] == "secrets" && event["responseStatus"]["code"] == 403);
        Ok(refused.next())
    };
    let event = eventually("the refusal in the audit log", PATIENCE, audited).await.unwrap();
    assert_eq!(event["user"]["username"], "system:serviceaccount:system:agent");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_comes_back_after_an_outage() {
    let plane = ControlPlane::start().await.unwrap();
    create_node(&plane, "host").await;
    let apiserver = plane.process("kube-apiserver").unwrap();
    apiserver.kill().unwrap();
    let nodes = Api::<Node>::all(plane.client());
    assert!(nodes.get("host").await.is_err());
    apiserver.restart().unwrap();
    eventually("the API to answer", PATIENCE, async || Ok(Some(nodes.get("host").await?))).await.unwrap();
    annotate(&nodes, "host", &[(stages::BOOT_ID, Some("second"))]).await;
    until(&nodes, "host", "KWOK to go on", PATIENCE, |node: Option<&Node>| boot_id(node) == Some("second"))
        .await
        .unwrap();
}

#[test]
fn a_test_that_fails_leaves_its_logs_and_objects() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let test = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let plane = ControlPlane::start().await.unwrap();
            create_node(&plane, "witness").await;
            sender.send(traces(&plane)).unwrap();
            panic!("this failure is part of a test");
        });
    });
    assert!(test.join().is_err());
    let (folder, processes) = receiver.recv().unwrap();
    assert!(!processes.iter().any(Trace::runs));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("dump/nodes.yaml").contains("name: witness"));
    assert!(!read("logs/kube-apiserver.log").is_empty());
    std::fs::remove_dir_all(folder).unwrap();
}

/// Says what it has started, and waits to be killed by the test below, or to be left alone by it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by a_killed_process_leaves_nothing_behind"]
async fn victim() {
    let plane = ControlPlane::start().await.unwrap();
    plane.spawn("sleeper", Program::new("/bin/sleep").arg("600")).unwrap();
    println!("\nvictim {}", serde_json::to_string(&traces(&plane)).unwrap());
    // In a thread of its own, since it blocks.
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_nothing_behind() {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["victim", "--exact", "--ignored", "--nocapture"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut test = test.spawn().unwrap();
    // Closed when this test fails: then its victim ends by itself.
    let _attention = test.stdin.take().unwrap();
    let mut lines = BufReader::new(test.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find_map(|line| line.strip_prefix("victim ").map(str::to_owned)).expect("it did not start");
    let (folder, processes): (PathBuf, Vec<Trace>) = serde_json::from_str(&line).unwrap();
    assert!(folder.exists() && processes.len() == 6 && processes.iter().all(Trace::runs));

    test.kill().unwrap();
    test.wait().unwrap();
    let gone = async || Ok((!folder.exists() && !processes.iter().any(Trace::runs)).then_some(()));
    eventually("the folder and the processes to be gone", PATIENCE, gone).await.unwrap();
}

/// A process that a control plane could leave behind. A pid alone does not name it: on a busy machine another process soon
/// has the same.
#[derive(serde::Serialize, serde::Deserialize)]
struct Trace {
    pid: u32,
    /// When it was started, in ticks since the boot; field 22 of `/proc/PID/stat` (proc(5)).
    started: String,
}

impl Trace {
    fn of(pid: u32) -> Self {
        Self { pid, started: stat(pid).unwrap().1 }
    }

    /// Whether it is still there; one that has ended and waits for a parent to notice does not count.
    fn runs(&self) -> bool {
        stat(self.pid).is_some_and(|(state, started)| state != "Z" && started == self.started)
    }
}

/// State and start of a process, if there is one. The second field, in parentheses, may have blanks in it.
fn stat(pid: u32) -> Option<(String, String)> {
    let text = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(((*fields.first()?).to_owned(), (*fields.get(19)?).to_owned()))
}

/// What a control plane could leave behind.
fn traces(plane: &ControlPlane) -> (PathBuf, Vec<Trace>) {
    (plane.dir().to_path_buf(), plane.processes().iter().map(|process| Trace::of(process.pid())).collect())
}

async fn create_node(plane: &ControlPlane, name: &str) {
    let nodes = Api::<Node>::all(plane.client());
    let node = json!({ "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } } });
    nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
    until(&nodes, name, "the node to be ready", PATIENCE, is_on).await.unwrap();
}

/// Runs a workload, and returns the names of its pods.
async fn run(plane: &ControlPlane, workload: Workload<'_>) -> Vec<String> {
    workload.run(plane, PATIENCE).await.unwrap();
    let pods = Api::<Pod>::default_namespaced(plane.client());
    let pods = pods.list(&ListParams::default().labels(&format!("app={}", workload.name))).await.unwrap();
    pods.iter().map(ResourceExt::name_any).collect()
}

async fn annotate<K>(api: &Api<K>, name: &str, annotations: &[(&str, Option<&str>)])
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
    let patch = json!({ "metadata": { "annotations": annotations } });
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

fn ready(node: Option<&Node>) -> Option<&str> {
    let conditions = node?.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready").map(|condition| condition.status.as_str())
}

fn is_on(node: Option<&Node>) -> bool {
    ready(node) == Some("True")
}

fn is_off(node: Option<&Node>) -> bool {
    ready(node) == Some("False")
}

fn boot_id(node: Option<&Node>) -> Option<&str> {
    node?.status.as_ref()?.node_info.as_ref().map(|info| info.boot_id.as_str())
}

fn last_transition(node: &Node) -> String {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref()).unwrap();
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
    format!("{:?}", ready.last_transition_time.as_ref().unwrap())
}

fn is_unready(pod: Option<&Pod>) -> bool {
    !pod_ready(pod)
}

fn pod_ready(pod: Option<&Pod>) -> bool {
    condition(pod, "Ready") == Some("True")
}

fn condition<'a>(pod: Option<&'a Pod>, type_: &str) -> Option<&'a str> {
    let conditions = pod?.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_).map(|condition| condition.status.as_str())
}

const PINNED_POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: pinned, namespace: default}
spec:
  nodeName: host
  containers: [{name: main, image: none.example/main}]
";

const DAEMON: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: agent, namespace: system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: agent}
rules:
  - {apiGroups: [''], resources: [nodes], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: agent}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: agent}
subjects: [{kind: ServiceAccount, name: agent, namespace: system}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: system}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      serviceAccountName: agent
      containers: [{name: agent, image: none.example/agent}]
";
