//! The webhook is gone, or nobody believes it any more: what goes on all the same, and what is refused meanwhile.

use e2e::controlplane::wait::eventually;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::site::{Answer, PATIENCE, Site, on_site, policy, refused, samples};

fn running() -> Value {
    json!({"nodeSelector": {}, "maxConcurrentUpdates": 1})
}

/// What must hold as long as kube-apiserver gets no answer of the webhook's.
async fn stands_aside(site: &Site, why: &str) {
    let create = site.dry_run(&policy("other", &running())).await;
    assert!(!create.accepted && create.says.contains("failed calling webhook"), "{why}: {create:?}");
    let faster = site.dry_run(&policy("default", &json!({"nodeSelector": {}, "maxConcurrentUpdates": 2}))).await;
    assert!(!faster.accepted && faster.says.contains("failed calling webhook"), "{why}: {faster:?}");
    let accepted = |what: &str, answer: Answer| assert!(answer.accepted, "{why}: {what}: {}", answer.says);
    let pause = json!({"nodeSelector": {}, "maxConcurrentUpdates": 1, "paused": true});
    accepted("the edit that pauses", site.apply(&policy("default", &pause)).await);
    let resumed = site.apply(&policy("default", &running())).await;
    assert!(!resumed.accepted, "{why}: resuming is judged whole: {resumed:?}");
    let (_, emergency) = samples("").into_iter().find(|(name, _)| name == "emergency-pause").unwrap();
    accepted("the andon cord", site.apply(&emergency).await);
    let status = Patch::Merge(json!({"status": {"observedGeneration": 7}}));
    let status = site.policies().patch_status("default", &PatchParams::default(), &status).await;
    assert_eq!(status.unwrap().status.unwrap().observed_generation, Some(7), "{why}: the controller's status");
    accepted("a deletion", site.delete(&policy("default", &running())).await);
    accepted("lifting the andon cord", site.delete(&emergency).await);
}

/// The schema judges without the webhook: all but what takes a parser is still refused by name.
async fn the_schema_still_refuses(site: &Site) {
    let by_the_webhook =
        ["after-cycle", "cron-hour", "json-path-out-of-reach", "semver-range", "time-zone", "window-never-opens"];
    for (name, manifests) in samples("invalid") {
        if by_the_webhook.contains(&name.as_str()) {
            continue;
        }
        let answer = site.dry_run(&manifests).await;
        assert!(!answer.accepted && answer.says.contains(refused(&manifests)), "{name}: {}", answer.says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_down_or_expired_stops_no_pause_and_no_deletion() {
    let site = Site::start().await;
    assert!(site.apply(&policy("default", &running())).await.accepted);
    assert!(site.apply(&policy("old", &json!({"nodeSelector": {}, "priority": 7}))).await.accepted);
    site.webhook.process.kill().unwrap();
    // An update of nothing but metadata, which is also how a deletion in the foreground ends.
    site.plane.kubectl(["annotate", "updatepolicy", "old", "owner=us"]).await.unwrap();
    let foreground = ["delete", "updatepolicy", "old", "--cascade=foreground", "--timeout=60s"];
    site.plane.kubectl(foreground).await.unwrap();
    stands_aside(&site, "down").await;
    the_schema_still_refuses(&site).await;

    site.webhook.process.restart().unwrap();
    site.webhook.is_asked(&site.plane).await.unwrap();
    assert!(site.apply(&policy("default", &running())).await.accepted);
    site.webhook.process.kill().unwrap();
    site.webhook.renew(&site.plane, false).unwrap();
    site.webhook.process.restart().unwrap();
    eventually("the expired certificate to be refused", PATIENCE, async || {
        let create = site.dry_run(&policy("other", &running())).await;
        Ok(create.says.contains("certificate has expired").then_some(()))
    })
    .await
    .unwrap();
    stands_aside(&site, "expired").await;

    // A renewed certificate is served without a restart.
    site.webhook.renew(&site.plane, true).unwrap();
    site.webhook.is_asked(&site.plane).await.unwrap();
    assert!(site.apply(&policy("default", &running())).await.accepted);
}

/// Paused policies pass the webhook, so that nobody's andon cord depends on it: what would keep a parser or an evaluation busy
/// is refused without it.
#[test]
fn a_paused_policy_with_a_path_that_costs_too_much_is_refused_by_the_schema() {
    on_site(async |site| {
        let paused = |path: &str| {
            let node = json!({"jsonPath": path, "expect": ["False"]});
            let spec =
                json!({"nodeSelector": {}, "paused": true, "health": {"checks": [{"name": "disk", "node": node}]}});
            policy("wedge", &spec)
        };
        let functions = format!("$[?{}@.a{}]", "length(".repeat(14), ")".repeat(14));
        let filters = format!("$.status.conditions{}@.a{}", "[?@".repeat(15), "]".repeat(15));
        let unclosed = format!("$.status.conditions[?{}", "length(".repeat(60));
        for path in [&functions, &filters, &unclosed, "$..*..*", "$.spec[?$.spec[?$.spec]]"] {
            let answer = site.dry_run(&paused(path)).await;
            assert!(!answer.accepted && answer.says.contains("write $ and at most 8 steps"), "{path}: {}", answer.says);
            assert!(!answer.says.contains("webhook"), "{path}: {}", answer.says);
        }
        let good = site.dry_run(&paused("$.status.conditions[?@.type=='DiskPressure'].status")).await;
        assert!(good.accepted, "{}", good.says);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_was_there_before_is_a_warning_until_the_policy_is_resumed() {
    let site = Site::start().await;
    // Stored by an operator of another time, without this webhook and unpaused.
    let old = |extra: &Value| {
        let mut spec = json!({"nodeSelector": {}, "schedule": {"timeZone": "Mars/Base"}});
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        policy("default", &spec)
    };
    site.plane.kubectl(["delete", "validatingwebhookconfiguration", "brupop-updatepolicies"]).await.unwrap();
    eventually("the webhook to be asked no more", PATIENCE, async || {
        Ok(site.apply(&old(&json!({}))).await.accepted.then_some(()))
    })
    .await
    .unwrap();
    site.webhook.configure_again(&site.plane).await.unwrap();
    let edited = site.apply(&old(&json!({"priority": 3}))).await;
    assert!(
        edited.accepted && edited.says.contains("Warning: spec.schedule.timeZone: \"Mars/Base\" is not"),
        "{edited:?}"
    );
    let paused = site.apply(&old(&json!({"priority": 3, "paused": true}))).await;
    assert!(paused.accepted && paused.says.contains("resuming it will be refused"), "{paused:?}");
    let resumed = site.apply(&old(&json!({"priority": 3, "paused": false}))).await;
    assert!(!resumed.accepted && resumed.says.contains("spec.schedule.timeZone: \"Mars/Base\" is not"), "{resumed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_caches_it_judges_and_warns_only_of_what_the_policy_itself_says() {
    let site = Site::start().await;
    // Its lists are refused from now on, so its caches stay empty.
    site.plane.kubectl(["delete", "clusterrolebinding", "brupop-webhook-role-binding"]).await.unwrap();
    site.webhook.process.kill().unwrap();
    site.webhook.process.restart().unwrap();
    site.webhook.is_asked(&site.plane).await.unwrap();
    let unlimited =
        site.dry_run(&policy("default", &json!({"nodeSelector": {}, "maxConcurrentUpdates": "unlimited"}))).await;
    assert!(unlimited.accepted, "{unlimited:?}");
    assert!(unlimited.says.contains("Warning: spec.maxConcurrentUpdates"), "{unlimited:?}");
    assert_eq!(unlimited.says.matches("Warning: ").count(), 1, "{unlimited:?}");
}
