//! Clusters in any state.

mod node;
mod policy;
mod shadow;

use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cluster::Cluster;

pub(crate) const NOW: &str = "2026-11-22T02:00:00Z";
/// When specs were written that are not Idle.
const SINCE: &str = "2026-11-22T01:50:00Z";
/// What hosts run, are offered and have failed on.
const VERSIONS: [&str; 3] = ["1.19.0", "1.20.0", "1.21.0"];

fn version() -> impl Strategy<Value = &'static str> {
    prop::sample::select(VERSIONS.to_vec())
}

/// Moments before [`NOW`], and one that lies in the future, as after a clock was put back.
fn time() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "2026-11-01T00:00:00Z",
        "2026-11-22T01:20:00Z",
        SINCE,
        "2026-11-22T01:58:00Z",
        "2026-11-22T03:00:00Z",
    ])
}

fn rare() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.1)
}

/// What a policy's status knows of the versions.
fn seen() -> impl Strategy<Value = Vec<Value>> {
    let entry = |version: &'static str| {
        let run = option::weighted(0.5, ((0..9_usize).prop_map(|at| format!("n{at}")), time()));
        (time(), run, option::weighted(0.3, time())).prop_map(move |(first_seen, run, promoted)| {
            let (by, since) = run.unzip();
            json!({"version": version, "firstSeen": first_seen, "runBy": by, "runSince": since, "promotedAt": promoted})
        })
    };
    let entries = VERSIONS.map(|version| option::weighted(0.5, entry(version)));
    let [oldest, old, new] = entries;
    (oldest, old, new).prop_map(|(oldest, old, new)| [new, old, oldest].into_iter().flatten().collect())
}

/// Up to two policies and eight nodes.
pub(crate) fn cluster() -> impl Strategy<Value = Cluster> {
    let policies = (option::of(policy::policy("two")), option::of(policy::policy("one")));
    let nodes = prop::collection::vec((node::node(), option::weighted(0.95, shadow::shadow())), 1..9);
    (policies, (seen(), seen()), nodes).prop_map(|((one, two), (of_one, of_two), nodes)| {
        let policies = [("one", one), ("two", two)].into_iter().filter_map(|(name, spec)| Some((name.into(), spec?)));
        let name = |at: usize| format!("n{at}");
        let shadows = nodes.iter().enumerate().filter_map(|(at, (_, shadow))| Some((name(at), shadow.clone()?)));
        Cluster {
            now: NOW.to_owned(),
            policies: policies.collect(),
            versions: [("one".to_owned(), of_one), ("two".to_owned(), of_two)].into(),
            promoted_under: [].into(),
            shadows: shadows.collect(),
            exceeded_deadline: [].into(),
            stuck: [].into(),
            nodes: nodes.iter().enumerate().map(|(at, (node, _))| (name(at), node.clone())).collect(),
        }
    })
}
