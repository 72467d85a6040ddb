//! The manifest as text and objects, without a cluster.

use std::collections::BTreeSet;

use e2e::install::{FILE, Manifest, build, build_with, workspace};
use serde_json::{Value, json};

const FENCE: &str = "ValidatingAdmissionPolicyBinding";

#[tokio::test]
async fn the_manifest_is_fresh() {
    let stored = std::fs::read_to_string(workspace(FILE)).unwrap_or_default();
    assert!(stored == build().await.unwrap(), "{FILE} is stale: run `cargo manifest`");
}

#[tokio::test]
async fn every_component_changes_what_it_says() {
    let shipped = Manifest::shipped().unwrap();
    for (component, kind, name, pointer, expected) in [
        ("image", "DaemonSet", "brupop-agent", "/spec/template/spec/containers/0/image", "\"registry.example.com/"),
        ("agent-tolerations", "DaemonSet", "brupop-agent", "/spec/template/spec/tolerations", "[{\"operator\""),
        ("single-replica", "Deployment", "brupop-apiserver", "/spec/replicas", "1"),
        ("network-policy", "NetworkPolicy", "brupop-webhook", "/spec/podSelector/matchLabels", "{\"brupop"),
        ("tolerated-node-keys", FENCE, "brupop-apiserver-nodes", "/metadata/annotations", "{\"brupop.bottlerocket"),
        ("force-drain", "ClusterRole", "brupop-apiserver-force-drain-role", "/rules/0/verbs", "[\"delete\"]"),
    ] {
        let changed = Manifest::parse(&build_with(&[component]).await.unwrap()).unwrap();
        let value = |manifest: &Manifest| manifest.find(kind, name).and_then(|object| object.pointer(pointer).cloned());
        let after = value(&changed).map(|value| value.to_string()).unwrap_or_default();
        assert!(after.starts_with(expected), "{component}: {after}");
        assert_ne!(value(&shipped).map(|value| value.to_string()).unwrap_or_default(), after, "{component}");
    }
}

#[test]
fn a_service_account_token_is_where_kubernetes_is_called_and_nowhere_else() {
    let manifest = Manifest::shipped().unwrap();
    let agent = &manifest.find("DaemonSet", "brupop-agent").unwrap()["spec"]["template"]["spec"];
    assert_eq!(agent["automountServiceAccountToken"], false);
    let account = manifest.find("ServiceAccount", "brupop-agent-service-account").unwrap();
    assert_eq!(account["automountServiceAccountToken"], false);
    let bound = manifest.only(|_, kind| kind.ends_with("RoleBinding"));
    assert!(!bound.text().contains("brupop-agent-service-account"), "the agents have a role");
}

#[test]
fn agents_mount_the_socket_their_token_and_the_authority_without_a_key() {
    let manifest = Manifest::shipped().unwrap();
    let agent = &manifest.find("DaemonSet", "brupop-agent").unwrap()["spec"]["template"]["spec"];
    let volumes = agent["volumes"].as_array().unwrap();
    let find = |name: &str| volumes.iter().find(|volume| volume["name"] == name).unwrap();
    assert_eq!(volumes.len(), 3);
    assert_eq!(find("api-socket")["hostPath"]["path"], "/run/api.sock");
    assert_eq!(find("api-socket")["hostPath"]["type"], "Socket");
    let token = &find("token")["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(token["audience"], api::names::TOKEN_AUDIENCE);
    assert_eq!(token["expirationSeconds"], 600);
    let authority = &find("authority")["secret"];
    assert_eq!(authority["items"].as_array().unwrap().len(), 1);
    assert_eq!(authority["items"][0]["key"], "ca.crt");
    // The Secret that agents' kubelets may read is not the one with the apiserver's key.
    let apiserver = manifest.find("Deployment", "brupop-apiserver").unwrap();
    assert_ne!(authority["secretName"], apiserver["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"]);
}

#[test]
fn every_certificate_that_is_mounted_or_injected_is_issued() {
    let manifest = Manifest::shipped().unwrap();
    let certificates = manifest.only(|_, kind| kind == "Certificate");
    let field = |pointer: &str| -> BTreeSet<&str> {
        certificates.objects().iter().filter_map(|object| object.pointer(pointer)?.as_str()).collect()
    };
    let secrets = field("/spec/secretName");
    for workload in manifest.only(|group, _| group == "apps").objects() {
        for volume in workload["spec"]["template"]["spec"]["volumes"].as_array().into_iter().flatten() {
            if let Some(secret) = volume["secret"]["secretName"].as_str() {
                assert!(secrets.contains(secret), "{secret}");
            }
        }
    }
    let webhook = manifest.find("ValidatingWebhookConfiguration", "brupop-updatepolicies").unwrap();
    let injected = webhook["metadata"]["annotations"]["cert-manager.io/inject-ca-from"].as_str().unwrap();
    let (namespace, name) = injected.split_once('/').unwrap();
    assert_eq!(namespace, api::names::DEFAULT_NAMESPACE);
    assert!(field("/metadata/name").contains(name), "{injected}");
    let issuers = manifest.only(|_, kind| kind == "Issuer");
    for certificate in certificates.objects() {
        let issuer = certificate["spec"]["issuerRef"]["name"].as_str().unwrap();
        assert!(issuers.find("Issuer", issuer).is_some(), "{issuer}");
        let names = certificate["spec"]["dnsNames"].as_array().into_iter().flatten();
        assert!(names.filter_map(Value::as_str).all(|name| !name.contains('*')), "{certificate}");
    }
}

#[test]
fn a_workload_selects_its_own_pods_and_so_do_its_service_and_budget() {
    let manifest = Manifest::shipped().unwrap();
    for workload in manifest.only(|group, _| group == "apps").objects() {
        let selector = &workload["spec"]["selector"]["matchLabels"];
        assert_eq!(*selector, workload["spec"]["template"]["metadata"]["labels"]);
        assert_eq!(
            selector["brupop.bottlerocket.aws/component"],
            workload["metadata"]["labels"]["brupop.bottlerocket.aws/component"]
        );
    }
    let workloads = manifest.only(|group, _| group == "apps");
    let selects = |labels: &Value| {
        workloads.objects().iter().any(|workload| workload["spec"]["template"]["metadata"]["labels"] == *labels)
    };
    for service in manifest.only(|_, kind| kind == "Service").objects() {
        assert!(selects(&service["spec"]["selector"]), "{service}");
    }
    let budgets = manifest.only(|_, kind| kind == "PodDisruptionBudget");
    assert_eq!(budgets.objects().len(), 3);
    for budget in budgets.objects() {
        assert_eq!(budget["spec"]["maxUnavailable"], 1);
        assert!(selects(&budget["spec"]["selector"]["matchLabels"]), "{budget}");
    }
}

/// A parameter that could go missing by itself would open the fence, or close every Node to everybody.
#[test]
fn the_apiservers_fence_is_its_own_parameter_and_comes_without_a_list() {
    let manifest = Manifest::shipped().unwrap();
    let binding = manifest.find(FENCE, "brupop-apiserver-nodes").unwrap();
    let parameter = &manifest.find("ValidatingAdmissionPolicy", "brupop-apiserver-nodes").unwrap()["spec"]["paramKind"];
    assert_eq!((&parameter["apiVersion"], &parameter["kind"]), (&binding["apiVersion"], &binding["kind"]));
    let expected = json!({"name": binding["metadata"]["name"], "parameterNotFoundAction": "Allow"});
    assert_eq!(binding["spec"]["paramRef"], expected);
    assert_eq!(binding["metadata"].get("annotations"), None, "an upgrade would take the administrator's list away");
}
