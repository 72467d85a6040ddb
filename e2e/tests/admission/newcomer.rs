//! The apiserver as one updater too many of a Node.

use api::names;
use serde_json::json;

use crate::managers::{entries, fields, tampered};
use crate::site::{Site, on_site};
use crate::writers::{administrator, apiserver, by, fenced, patch, remove};

const RECORD: &str = names::DISRUPTION_RECORD_ANNOTATION;
/// How many entries of updaters the API server keeps.
const MOST: usize = 10;

/// Gives a Node as many updaters as the API server keeps, each with a day of its own in a month.
async fn updated_by(site: &Site, name: &str, who: &str, month: &str) {
    let merged = fields(site, name).await.contains_key("ancient-changes");
    let updater = |n: usize| if merged && n == 0 { "ancient-changes".to_owned() } else { format!("{who}-{n}") };
    let entry = |n: usize| {
        json!({
            "manager": updater(n), "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "time": format!("{month}-{:02}T00:00:00Z", n + 1),
            "fieldsV1": {"f:metadata": {"f:labels": {format!("f:label-{n}"): {}}}},
        })
    };
    let entries: Vec<_> = (0..MOST).map(entry).collect();
    let labels: serde_json::Map<_, _> = (0..MOST).map(|n| (format!("label-{n}"), "x".into())).collect();
    let all = administrator(site);
    by("updater-0").patch(&all, name, &json!({"metadata": { "labels": labels }})).await.unwrap();
    by("updater-0").patch(&all, name, &json!({"metadata": { "managedFields": entries }})).await.unwrap();
}

#[test]
fn on_a_node_with_many_updaters_the_apiserver_may_be_the_one_too_many() {
    on_site(async |site| {
        let name = "busy";
        fenced(site, name, json!({"labels": {"zone": "a"}}), json!({})).await;
        updated_by(site, name, "updater", "2026-01").await;
        let before = entries(site, name).await;
        assert_eq!(before.len(), MOST);
        let nodes = apiserver(site).await;
        let record = json!({"metadata": {"annotations": {RECORD: "{}"}}});
        for tampering in [
            tampered(&before, "updater-5", |entry| entry["fieldsV1"]["f:spec"] = json!({"f:taints": {}})),
            tampered(&before, "updater-5", |entry| entry["operation"] = "Apply".into()),
            json!({"metadata": {"managedFields": before[4..]}, "spec": {"unschedulable": true}}),
        ] {
            assert!(patch(&nodes, name, &tampering).await.is_err(), "{tampering}");
        }
        assert_eq!(patch(&nodes, name, &record).await, Ok(()));
        let after = fields(site, name).await;
        assert_eq!(after.len(), MOST);
        assert!(
            after.contains_key("ancient-changes") && after.contains_key(names::APISERVER_FIELD_MANAGER),
            "{after:?}"
        );

        // Others push it out, and it comes again: into the entry that is there by now.
        updated_by(site, name, "newer", "2026-02").await;
        assert!(!fields(site, name).await.contains_key(names::APISERVER_FIELD_MANAGER));
        assert_eq!(patch(&nodes, name, &json!({"spec": {"unschedulable": true}})).await, Ok(()));
        remove(site, name).await;
    });
}
