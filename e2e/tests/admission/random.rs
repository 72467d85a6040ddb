//! Arbitrary policies: what schema and webhook accept is what the controller's parser reads, and nothing else.

use api::{Policy, UpdatePolicy};
use futures::{StreamExt as _, stream};
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use kube::{Api, Resource as _};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use crate::site::on_site;

const CASES: usize = 3000;
/// Asked at a time.
const AT_ONCE: usize = 16;

/// One of the values, more often a good one.
fn of(good: &[Value], odd: &[Value]) -> BoxedStrategy<Value> {
    prop_oneof![9 => select(good.to_vec()), 1 => select(odd.to_vec())].boxed()
}

fn texts(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| json!(text)).collect()
}

/// An object with some of the fields.
fn object(fields: Vec<(&'static str, f64, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, often, value)| prop::option::weighted(often, value).prop_map(move |value| (name, value)))
        .collect();
    fields
        .prop_map(|fields| {
            let present = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            Value::Object(present.collect::<Map<_, _>>())
        })
        .boxed()
}

fn list(item: BoxedStrategy<Value>, most: usize) -> BoxedStrategy<Value> {
    prop::collection::vec(item, 0..=most).prop_map(Value::Array).boxed()
}

fn amount() -> BoxedStrategy<Value> {
    let good = [json!(1), json!(7), json!(100_000), json!("1%"), json!("25%"), json!("100%")];
    let odd = [
        json!(0),
        json!(-1),
        json!(100_001),
        json!("0%"),
        json!("101%"),
        json!("07%"),
        json!("5"),
        json!("unlimited"),
        json!("all"),
        json!(""),
        json!("5 %"),
        json!(null),
        json!(true),
        json!("unlimited%"),
    ];
    of(&good, &odd)
}

fn limit() -> BoxedStrategy<Value> {
    prop_oneof![6 => amount(), 1 => Just(json!("unlimited"))].boxed()
}

fn duration() -> BoxedStrategy<Value> {
    let good = texts(&["30m", "1h30m", "3d", "90s", "1d2h3m4s", "007m", "167h", "7d", "9999999s"]);
    let odd =
        texts(&["0s", "0d0h", "30", "", "m", "1.5h", "-1h", "1h1d", "1h 30m", "PT1H", "12345678s", "8d", "1w", "0h1"]);
    let random = "([0-9]{1,3}[dhms]){0,3}".prop_map(Value::String);
    prop_oneof![6 => of(&good, &odd), 1 => random].boxed()
}

fn cron() -> BoxedStrategy<Value> {
    let good = texts(&[
        "0 2 * * 1-5",
        "*/15 0-6 * * *",
        "0 2 1 * *",
        "30 23 * jan-mar,12 *",
        "0 0 29 2 *",
        "0 2 * * 7",
        "0 2 * * sat-sun",
    ]);
    let odd = texts(&[
        "@daily",
        "0 2 * *",
        "0 0 2 * * *",
        "60 2 * * *",
        "0 24 * * *",
        "0 2 1 * 1",
        "0 2 */2 * 1",
        "0 2 30 2 *",
        "0 2 * * 8",
        "5/15 2 * * *",
        "0 2 * * ?",
        "0 2 31 4 *",
        "0 5-2 * * *",
        "0\t2 * * *",
        "  0 2 * * *  ",
        "a b c d e",
        "0 2 * 13 *",
        "*/0 * * * *",
    ]);
    let random = "[0-9*,/-]{1,3} [0-9*/-]{1,3} [0-9*/-]{1,3} [0-9a-z*/-]{1,3} [0-9a-z*/-]{1,3}".prop_map(Value::String);
    prop_oneof![6 => of(&good, &odd), 2 => random].boxed()
}

fn time() -> BoxedStrategy<Value> {
    let good = texts(&["2026-12-20T00:00:00+01:00", "2026-12-20T00:00:00Z", "2027-01-02T12:30:15.123456789-08:00"]);
    let odd = texts(&[
        "2026-12-20",
        "2026-12-20T00:00:00",
        "2026-02-30T00:00:00Z",
        "2026-12-20 00:00:00Z",
        "2026-12-20T24:00:00Z",
        "2026-12-20T00:00:60Z",
        "2026-12-20T00:00:00z",
        "2026-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-12-20T00:00:00+24:00",
    ]);
    of(&good, &odd)
}

fn label_key() -> BoxedStrategy<Value> {
    let good = texts(&["pool", "topology.kubernetes.io/zone", "a_b.C-1"]);
    let odd = texts(&["", "a b", "/a", "a/", "a/b/c", "-a", "Zone.io/a", "a..b/c", "ä"]);
    of(&good, &odd)
}

fn label_value() -> BoxedStrategy<Value> {
    let long = "a".repeat(64);
    of(&texts(&["", "blue", "1.2_3"]), &texts(&["a b", "-a", "a/b", &long]))
}

fn selector() -> BoxedStrategy<Value> {
    let requirement = object(vec![
        ("key", 0.97, label_key()),
        ("operator", 0.97, of(&texts(&["In", "NotIn"]), &texts(&["Exists", "DoesNotExist", "Is", "in", ""]))),
        ("values", 0.9, list(label_value(), 3)),
    ]);
    let labels = prop::collection::vec((label_key(), label_value()), 0..3).prop_map(|labels| {
        let labels = labels.into_iter().map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), value));
        Value::Object(labels.collect::<Map<_, _>>())
    });
    object(vec![("matchLabels", 0.4, labels.boxed()), ("matchExpressions", 0.3, list(requirement, 2))])
}

fn schedule() -> BoxedStrategy<Value> {
    let zone = of(
        &texts(&["UTC", "Europe/Berlin", "America/St_Johns"]),
        &texts(&["", "Mars/Base", "Europe/Berlin ", "+01:00", "CET/"]),
    );
    let window = object(vec![("start", 0.98, cron()), ("duration", 0.98, duration())]);
    let blackout =
        object(vec![("start", 0.98, time()), ("end", 0.98, time()), ("reason", 0.3, Just(json!("freeze")).boxed())]);
    object(vec![("timeZone", 0.4, zone), ("windows", 0.6, list(window, 2)), ("blackouts", 0.3, list(blackout, 2))])
}

fn versions() -> BoxedStrategy<Value> {
    let range = of(
        &texts(&[">=1.19, <1.21", "^1.20", "1.20.*", "~1.2", "*"]),
        &texts(&["", "newest", ">=", "1.2.3.4", "<1 || >2", "ü"]),
    );
    let name = of(&texts(&["canary", "staging", "a.b-c"]), &texts(&["", "Canary", "-a", "a..b", "new", "a_b"]));
    let after = object(vec![("policy", 0.98, name), ("soak", 0.98, duration())]);
    object(vec![("constraint", 0.4, range), ("minimumAge", 0.3, duration()), ("after", 0.4, list(after, 2))])
}

fn health() -> BoxedStrategy<Value> {
    let path = of(
        &texts(&[
            "$.status.conditions[?@.type=='DiskPressure'].status",
            "$['spec']['unschedulable']",
            "$.metadata.labels['a.b/c']",
            "$.spec.taints[?(!@.value && @.key != \"a\" || 1 < @['x'][0])].*",
        ]),
        &texts(&[
            "{.spec.unschedulable}",
            ".spec.x",
            "$",
            "$..x",
            "$.status.images",
            "$.status[",
            "$.spec.taints[?$.status.phase]",
            "$.spec.taints[?length(@.key) > 1]",
            "$.spec.taints[?(@.key]",
            "$.spec.taints[?@.key=='a'||]",
            "$.spec.taints[?@[?@.a]]",
            "$.spec.taints[0,1]",
            "$.spec.taints[00]",
            "",
        ]),
    );
    let question = object(vec![
        ("jsonPath", 0.98, path),
        ("expect", 0.97, of(&[json!(["False"]), json!(["a", ""])], &[json!([]), json!("x")])),
    ]);
    let check = object(vec![("name", 0.98, of(&texts(&["disk", "net"]), &texts(&[""]))), ("node", 0.98, question)]);
    let seconds = of(&[json!(0), json!(120), json!(86_400)], &[json!(-1), json!(86_401), json!("5"), json!(1.5)]);
    object(vec![("minReadySeconds", 0.4, seconds), ("timeout", 0.4, duration()), ("checks", 0.5, list(check, 2))])
}

fn spec() -> BoxedStrategy<Value> {
    let seconds = of(&[json!(0), json!(60), json!(86_400)], &[json!(-1), json!(86_401), json!("60")]);
    let priority =
        of(&[json!(0), json!(-5), json!(i32::MAX)], &[json!(i64::from(i32::MAX) + 1), json!("7"), json!(0.5)]);
    let on_timeout = of(&texts(&["Abort", "Force"]), &texts(&["abort", "", "Retry"]));
    object(vec![
        ("paused", 0.1, of(&[json!(false)], &[json!("no"), json!(null)])),
        ("priority", 0.3, priority),
        ("nodeSelector", 0.98, selector()),
        ("maxConcurrentUpdates", 0.5, limit()),
        ("maxUnavailable", 0.3, amount()),
        ("topologyKey", 0.2, label_key()),
        ("loadBalancerExclusion", 0.2, object(vec![("waitSeconds", 0.9, seconds)])),
        ("drain", 0.3, object(vec![("timeout", 0.7, duration()), ("onTimeout", 0.5, on_timeout)])),
        ("schedule", 0.2, schedule()),
        ("versions", 0.2, versions()),
        ("health", 0.15, health()),
        ("failures", 0.1, object(vec![("haltAfter", 0.8, amount())])),
    ])
}

fn policies() -> Vec<Value> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let spec = spec();
    let policy = |spec| json!({"apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy", "metadata": {"name": "new"}, "spec": spec});
    (0..CASES).map(|_| policy(spec.new_tree(&mut runner).unwrap().current())).collect()
}

/// Where a policy ended up; the same for server and parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Accepted,
    Refused,
}

fn by_parser(policy: &Value) -> Fate {
    let Ok(policy) = serde_json::from_value::<UpdatePolicy>(policy.clone()) else { return Fate::Refused };
    if Policy::try_from(&policy).is_ok() { Fate::Accepted } else { Fate::Refused }
}

/// The fate, and what the parser is to be held against: what was stored, or what was asked for.
async fn by_server(api: &Api<DynamicObject>, policy: &Value) -> (Fate, Value, String) {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let object: DynamicObject = serde_json::from_value(policy.clone()).unwrap();
    match api.create(&dry_run, &object).await {
        Ok(stored) => (Fate::Accepted, serde_json::to_value(stored).unwrap(), String::new()),
        Err(kube::Error::Api(status)) => {
            assert!((400..500).contains(&status.code), "{status:?}");
            let mut asked = policy.clone();
            drop_nulls(&mut asked);
            (Fate::Refused, asked, status.message)
        }
        Err(error) => panic!("{error}"),
    }
}

/// As the API server does before it fills in defaults.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[test]
fn what_schema_and_webhook_accept_is_what_the_controller_reads() {
    on_site(async |site| {
        let resource = ApiResource::erase::<UpdatePolicy>(&());
        assert_eq!(resource.plural, UpdatePolicy::plural(&()));
        let api: Api<DynamicObject> = Api::all_with(site.plane.client(), &resource);
        let fates = stream::iter(policies()).map(async |policy| {
            let (server, read, says) = by_server(&api, &policy).await;
            let parser = by_parser(&read);
            assert_eq!(server, parser, "{policy:#}\nserver: {says}\nparser: {read:#}");
            server
        });
        let mut fates: Vec<_> = fates.buffer_unordered(AT_ONCE).collect().await;
        fates.sort();
        // Each fate is common enough to say something.
        for fate in [Fate::Accepted, Fate::Refused] {
            let count = fates.iter().filter(|other| **other == fate).count();
            println!("{fate:?}: {count}");
            assert!(count > CASES / 20, "{fate:?}: {count}");
        }
    });
}
