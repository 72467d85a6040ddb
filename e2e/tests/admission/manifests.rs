//! The shipped manifests, and what kubectl explains.

use std::path::Path;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;

use crate::site::on_site;

fn config(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_webhooks_manifests_are_taken_as_they_are() {
    on_site(async |site| {
        for file in ["deployment.yaml", "service.yaml", "validating-webhook.yaml"] {
            // Beside the configuration that the harness has made of the same manifest.
            let manifest =
                config(&format!("webhook/{file}")).replace("name: brupop-updatepolicies", "name: as-shipped");
            let answer = site.dry_run(&manifest).await;
            assert!(answer.accepted, "{file}: {}", answer.says);
        }
    });
}

#[test]
fn the_webhook_has_two_replicas_and_little_time() {
    let deployment: Deployment = serde_saphyr::from_str(&config("webhook/deployment.yaml")).unwrap();
    assert_eq!(deployment.spec.unwrap().replicas, Some(2));
    let configuration: ValidatingWebhookConfiguration =
        serde_saphyr::from_str(&config("webhook/validating-webhook.yaml")).unwrap();
    let webhooks = configuration.webhooks.unwrap();
    assert!(webhooks.iter().all(|webhook| webhook.timeout_seconds.is_some_and(|seconds| seconds <= 3)));
    let policies: Vec<_> = webhooks.iter().map(|webhook| webhook.failure_policy.as_deref()).collect();
    assert_eq!(policies, [Some("Fail"), Some("Ignore")]);
}

#[test]
fn kubectl_explains_every_field() {
    on_site(async |site| {
        let whole = site.plane.kubectl(["explain", "updatepolicy.spec", "--recursive"]).await.unwrap();
        for field in [
            "paused",
            "priority",
            "nodeSelector",
            "matchExpressions",
            "maxConcurrentUpdates",
            "maxUnavailable",
            "topologyKey",
            "waitSeconds",
            "timeZone",
            "windows",
            "blackouts",
            "constraint",
            "minimumAge",
            "soak",
            "onTimeout",
            "minReadySeconds",
            "jsonPath",
            "haltAfter",
        ] {
            assert!(whole.contains(field), "{field}");
        }
        assert!(whole.contains("enum: Abort, Force"));
        let timeout = site.plane.kubectl(["explain", "updatepolicy.spec.drain.timeout"]).await.unwrap();
        let timeout = timeout.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in ["How long a drain may take", "Without it: 30 minutes", "Example: `30m`"] {
            assert!(timeout.contains(part), "{timeout}");
        }
    });
}
