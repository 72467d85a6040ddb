//! What the pods may do on their nodes, as the Pod Security Standards see it.

use e2e::controlplane::ControlPlane;
use e2e::install::Manifest;
use serde_json::{Value, json};

use crate::apply::{Answer, kubectl};

const RESTRICTED: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: restricted, labels: {pod-security.kubernetes.io/enforce: restricted}}
";

/// What a namespace in which `restricted` is enforced says to the pods of a workload.
async fn try_pod(plane: &ControlPlane, workload: &Value) -> Answer {
    let mut spec = workload["spec"]["template"]["spec"].clone();
    // Neither is there in that namespace, and neither is what is judged.
    let fields = spec.as_object_mut().unwrap();
    fields.remove("serviceAccountName");
    fields.remove("priorityClassName");
    for constraint in spec["topologySpreadConstraints"].as_array_mut().into_iter().flatten() {
        constraint.as_object_mut().unwrap().remove("matchLabelKeys");
    }
    let name = &workload["metadata"]["name"];
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "spec": spec,
        "metadata": {"name": name, "namespace": "restricted", "labels": workload["spec"]["template"]["metadata"]["labels"]},
    });
    kubectl(plane, &["create", "--dry-run=server", "--filename=-"], &pod.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pods_pass_the_restricted_standard_and_agents_add_the_socket_and_its_type() {
    let plane = ControlPlane::start().await.unwrap();
    plane.apply(RESTRICTED).await.unwrap();
    let manifest = Manifest::shipped().unwrap();
    for name in ["brupop-controller-deployment", "brupop-apiserver", "brupop-webhook"] {
        let answer = try_pod(&plane, manifest.find("Deployment", name).unwrap()).await;
        assert!(answer.accepted && answer.err.is_empty(), "{name}: {}", answer.err);
    }
    let agent = manifest.find("DaemonSet", "brupop-agent").unwrap();
    let answer = try_pod(&plane, agent).await;
    assert!(!answer.accepted);
    let violations = answer.err.split_once("violates PodSecurity").unwrap().1;
    assert!(violations.contains("seLinuxOptions") && violations.contains("control_t"), "{violations}");
    assert!(violations.contains("restricted volume types") && violations.contains("hostPath"), "{violations}");

    // And that is all.
    let mut agent = agent.clone();
    let spec = &mut agent["spec"]["template"]["spec"];
    spec["securityContext"].as_object_mut().unwrap().remove("seLinuxOptions");
    let volumes = spec["volumes"].as_array_mut().unwrap();
    volumes.retain(|volume| volume["name"] != "api-socket");
    let mounts = spec["containers"][0]["volumeMounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["name"] != "api-socket");
    let answer = try_pod(&plane, &agent).await;
    assert!(answer.accepted && answer.err.is_empty(), "{}", answer.err);
}
