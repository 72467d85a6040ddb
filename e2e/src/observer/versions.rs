//! Whether a version could be started: nodes that failed on it, and nodes that had to run it first.
//!
//! Failures are what the shadows store, and what nodes run is what their agents report. That a policy's status calls a version
//! promoted is judged when it does so first, and believed from then on.

use std::collections::BTreeMap;

use api::{Policy, State};
use jiff::Timestamp;
use semver::Version;

use super::GRACE;
use super::breach::{Breach, Rule};
use super::cluster::{Cluster, TrackedNode};
use super::facts::{PolicyFacts, ShadowFacts};
use super::owner::owner;
use super::views::{View, within_grace};

/// Why the policy is halted on the version. `matched` is how many nodes it applies to.
pub(super) fn halted(
    at: Timestamp,
    cluster: &Cluster,
    view: &View,
    (name, policy, matched): (&str, &Policy, usize),
    version: &Version,
) -> Option<String> {
    let most = policy.halt_after.of(matched)?;
    let failed = failed(at, cluster, view, name, version);
    (failed.len() >= most).then(|| format!("{version} has failed on {}, which halts policy {name}", failed.join(", ")))
}

/// Why the version is not promoted for the policy.
pub(super) fn unpromoted(
    at: Timestamp,
    cluster: &Cluster,
    view: &View,
    applying: &PolicyFacts,
    version: &Version,
) -> Option<String> {
    let latched = applying.promoted.contains(&version.to_string());
    missing(at, cluster, view, applying, (version, latched))
}

/// Judges the versions that a policy's status calls promoted for the first time.
pub(super) fn claims(
    at: Timestamp,
    cluster: &Cluster,
    before: Option<&PolicyFacts>,
    after: &PolicyFacts,
) -> Vec<Breach> {
    let Some(view) = cluster.views.now() else { return Vec::new() };
    let known = |version: &String| before.is_some_and(|before| before.promoted.contains(version));
    let new =
        after.promoted.iter().filter(|version| !known(version)).filter_map(|version| Version::parse(version).ok());
    let wrong = new.filter_map(|version| missing(at, cluster, view, after, (&version, false)));
    let objects = || vec![format!("policy/{}", after.name)];
    wrong
        .map(|why| Breach { at, rule: Rule::Promotion, objects: objects(), message: format!("called promoted: {why}") })
        .collect()
}

fn missing(
    at: Timestamp,
    cluster: &Cluster,
    view: &View,
    applying: &PolicyFacts,
    (version, latched): (&Version, bool),
) -> Option<String> {
    let steps = &applying.policy.as_ref().ok()?.versions.after;
    steps.iter().find_map(|step| {
        let first = step.policy.as_str();
        if let Some(node) = failed(at, cluster, view, first, version).first() {
            return Some(format!("{version} has failed on node {node} of policy {first}"));
        }
        if latched {
            return None;
        }
        let may_be_its = |node: &&TrackedNode| {
            cluster.labels_of(&node.facts.name, at).into_iter().any(|labels| is_its(view, labels, first))
        };
        let its = cluster.nodes.values().filter(may_be_its).filter_map(|node| cluster.runs.get(&node.facts.name));
        let since = its.filter_map(|runs| runs.since(version)).min();
        let soaked = since.is_some_and(|since| at.duration_since(since) >= step.soak - GRACE);
        let why = || match since {
            Some(since) => format!("policy {first} runs {version} only since {since}"),
            None => format!("no node of policy {first} runs {version}"),
        };
        (!soaked).then(why)
    })
}

/// The policy's nodes that have failed on the version, and have neither come past it nor been acknowledged.
fn failed<'a>(at: Timestamp, cluster: &'a Cluster, view: &View, policy: &str, version: &Version) -> Vec<&'a str> {
    let stands = |node: &&TrackedNode| {
        let shadow = cluster.shadow_of(&node.facts).and_then(ShadowFacts::readable);
        let report = shadow.and_then(|shadow| shadow.observed.as_ref());
        let Some((shadow, report)) = shadow.zip(report) else { return false };
        let past = shadow.desired.state != State::RebootedIntoUpdate && report.current_version >= *version;
        let failed = report.failed.as_ref().is_some_and(|failed| failed.version == *version);
        failed && !past && !node.excuses(at, version, |excuses| excuses.acknowledged)
    };
    let its = |node: &&TrackedNode| !within_grace(node.labelled, at) && is_its(view, &node.facts.labels, policy);
    cluster.nodes.values().filter(its).filter(stands).map(|node| node.facts.name.as_str()).collect()
}

fn is_its(view: &View, labels: &BTreeMap<String, String>, policy: &str) -> bool {
    owner(view, labels).is_ok_and(|owner| owner.name == policy)
}

#[cfg(test)]
mod tests {
    use api::State;
    use api::shadow::{Failed, Verdict};
    use serde_json::json;

    use crate::observer::breach::Rule;
    use crate::observer::samples::{World, new_version};

    /// Node a has failed on the new version, under a policy that so many failures halt.
    fn failed(halt_after: &serde_json::Value) -> World {
        let mut world = World::new(&["a", "b", "c"], json!("unlimited"));
        world.policy("failures", json!({"haltAfter": halt_after})).after(9);
        world.start("a").approval("a").record("a").cordon("a").reports("a", State::RebootedIntoUpdate).after(60);
        let time = world.now();
        world.shadow("a", |shadow| {
            let failed = Failed { kind: Verdict::Health, version: new_version(), time };
            shadow.observed.as_mut().unwrap().failed = Some(failed);
        });
        world
    }

    #[test]
    fn no_further_node_starts_or_gets_the_approval_once_too_many_have_failed() {
        failed(&json!(1)).start("b").breach(Rule::Halt, "has failed on a");
        failed(&json!(2)).start("b").approval("b").clean();
        failed(&json!("40%")).start("b").breach(Rule::Halt, "has failed on a");
        failed(&json!("70%")).start("b").clean();
        let mut staged = failed(&json!(2));
        staged.start("b").policy("failures", json!({"haltAfter": 1})).after(9).approval("b");
        staged.breach(Rule::Halt, "has failed on a");
    }

    #[test]
    fn a_failure_that_is_acknowledged_or_over_halts_nobody() {
        let acknowledged = Some(new_version());
        failed(&json!(1)).node("a", |node| node.acknowledged = acknowledged.clone()).start("b").clean();
        let mut withdrawn = failed(&json!(1));
        withdrawn.node("a", |node| node.acknowledged = acknowledged.clone()).after(9);
        withdrawn.node("a", |node| node.acknowledged = None).after(1).start("b").clean();
        withdrawn.after(3).start("c").breach(Rule::Halt, "has failed on a");
        let mut recovered = failed(&json!(1));
        recovered.shadow("a", |shadow| shadow.observed.as_mut().unwrap().current_version = new_version()).finish("a");
        recovered.start("b").clean();
        failed(&json!(1)).delete_node("a").start("b").clean();
    }

    /// Node a is the canary, and the others follow it after a minute.
    fn after_a_canary() -> World {
        let mut world = World::new(&["a", "b", "c"], json!("unlimited"));
        world.node("a", |node| drop(node.labels.insert("ring".to_owned(), "canary".to_owned())));
        let canary = json!({"nodeSelector": {"matchLabels": {"ring": "canary"}}, "priority": 1});
        world.put_policy("canary", canary, &[]);
        world.policy("versions", json!({"after": [{"policy": "canary", "soak": "60s"}]})).after(9);
        world
    }

    fn runs(world: &mut World, node: &str) {
        world.shadow(node, |shadow| shadow.observed.as_mut().unwrap().current_version = new_version());
    }

    #[test]
    fn the_rest_starts_a_version_once_the_canary_has_run_it_for_its_soak() {
        after_a_canary().start("b").breach(Rule::Promotion, "no node of policy canary runs 1.20.0");
        let soaked = |seconds| {
            let mut world = after_a_canary();
            runs(&mut world, "a");
            world.after(seconds).start("b");
            world
        };
        soaked(60).clean();
        soaked(59).clean();
        soaked(57).breach(Rule::Promotion, "only since");
        let mut another = after_a_canary();
        runs(&mut another, "c");
        another.after(90).start("b").breach(Rule::Promotion, "no node of policy canary");
    }

    #[test]
    fn a_canary_that_has_not_finished_or_has_gone_back_does_not_count() {
        let mut busy = after_a_canary();
        busy.reports("a", State::RebootedIntoUpdate);
        runs(&mut busy, "a");
        busy.after(90).start("b").breach(Rule::Promotion, "no node");
        let mut back = after_a_canary();
        runs(&mut back, "a");
        back.after(90).shadow("a", |shadow| {
            shadow.observed.as_mut().unwrap().current_version = semver::Version::new(1, 19, 0);
        });
        back.start("b").breach(Rule::Promotion, "no node");
    }

    #[test]
    fn a_failure_of_the_canary_takes_the_promotion_back() {
        let mut world = after_a_canary();
        runs(&mut world, "a");
        world.after(90).start("b").clean();
        let time = world.now();
        world.shadow("a", |shadow| {
            let report = shadow.observed.as_mut().unwrap();
            report.current_version = semver::Version::new(1, 19, 0);
            report.failed = Some(Failed { kind: Verdict::Fallback, version: new_version(), time });
        });
        world.start("c").breach(Rule::Promotion, "has failed on node a of policy canary");
    }

    #[test]
    fn a_version_that_was_promoted_stays_so_without_its_canary_and_is_not_called_so_before() {
        let promoted = |seconds| {
            let mut world = after_a_canary();
            runs(&mut world, "a");
            world.after(seconds);
            let spec = json!({"nodeSelector": {}, "versions": {"after": [{"policy": "canary", "soak": "60s"}]}});
            world.put_policy("default", spec, &["1.20.0"]);
            world
        };
        promoted(60).delete_node("a").after(9).start("b").clean();
        promoted(30).breach(Rule::Promotion, "called promoted");
    }
}
