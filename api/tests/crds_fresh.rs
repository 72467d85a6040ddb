//! The definitions in `config/crd` are those that the types generate.

use std::fs;
use std::path::Path;

#[test]
fn config_crd_is_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/crd");
    for (file, generated) in api::crd::files().unwrap() {
        let path = folder.join(&file);
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == generated, "config/crd/{file} is stale: run `cargo crds`");
    }
}

#[test]
fn every_field_is_documented() {
    for crd in api::crd::all() {
        for version in &crd.spec.versions {
            let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
            let schema = serde_json::to_value(schema).unwrap();
            for part in ["spec", "status"] {
                undocumented(&schema["properties"][part], &format!("{}.{part}", crd.spec.names.kind));
            }
        }
    }
}

/// Walks one schema; a property that comes from Kubernetes' own types is documented there.
fn undocumented(schema: &serde_json::Value, path: &str) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            let path = format!("{path}.{name}");
            assert!(property["description"].is_string(), "{path} has no description");
            undocumented(property, &path);
            undocumented(&property["items"], &format!("{path}[]"));
        }
    }
}

#[test]
fn every_field_that_people_write_has_an_example() {
    let policies = api::crd::all().into_iter().find(|crd| crd.spec.names.kind == "UpdatePolicy").unwrap();
    let schema = policies.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
    let schema = serde_json::to_value(schema).unwrap();
    let mut leaves = 0;
    without_example(&schema["properties"]["spec"], "spec", &mut leaves);
    assert!(leaves > 25, "{leaves}");
}

/// Walks one schema down to the fields without fields of their own.
fn without_example(schema: &serde_json::Value, path: &str, leaves: &mut usize) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let below = [property, &property["items"]].into_iter().find(|below| below["properties"].is_object());
        if let Some(below) = below {
            without_example(below, &path, leaves);
            continue;
        }
        *leaves += 1;
        let description = property["description"].as_str().unwrap_or_default();
        assert!(description.contains("xample:"), "{path} has no example: {description}");
    }
}
