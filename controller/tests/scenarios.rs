//! Golden scenarios: `tests/scenarios/<what it shows>/cluster.yaml` and the plan that follows from it, `plan.txt`. Run with
//! `UPDATE=1` to write the plans anew, and read the difference.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own data")]

mod cluster;

use std::fs;
use std::path::Path;

use api::HoldReason;
use cluster::Cluster;
use controller::action::Verb;
use controller::check::check;
use controller::plan::plan;
use controller::report;

#[test]
fn every_scenario_gives_its_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut scenarios: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scenarios.sort();
    assert!(!scenarios.is_empty());
    let differing: Vec<_> = scenarios.iter().filter_map(|scenario| difference(scenario)).collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn every_verb_and_every_reason_is_shown() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let plans = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path().join("plan.txt"));
    let plans: String = plans.map(|plan| fs::read_to_string(plan).unwrap()).collect();
    let lines = |begins: &str| plans.lines().any(|line| line.starts_with(begins));
    let verbs = Verb::ALL.into_iter().map(Verb::as_str).filter(|verb| !lines(&format!("{verb} ")));
    let reasons = HoldReason::ALL.into_iter().map(HoldReason::as_str);
    let reasons = reasons.filter(|reason| !plans.contains(&format!("; {reason}: ")));
    let missing: Vec<_> = verbs.chain(reasons).collect();
    assert!(missing.is_empty(), "no scenario shows {missing:?}");
}

#[expect(clippy::disallowed_methods, reason = "the switch that rewrites the golden files")]
fn difference(scenario: &Path) -> Option<String> {
    let text = fs::read_to_string(scenario.join("cluster.yaml")).unwrap();
    let cluster: Cluster = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{scenario:?}: {error}"));
    let snapshot = cluster.snapshot();
    let plan = plan(&snapshot);
    let objections = check(&snapshot, &plan);
    assert!(objections.is_empty(), "{scenario:?}: the check objects: {objections:?}");
    let text = report::render(&plan, &objections);
    let golden = scenario.join("plan.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&golden, &text).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    (text != expected).then(|| format!("{scenario:?}\n--- expected\n{expected}--- planned\n{text}"))
}
