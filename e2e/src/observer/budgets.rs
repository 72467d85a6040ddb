//! Whether a pod on a node being drained was evicted, where a budget counts on that.
//!
//! The eviction API grants an eviction by writing the pod into the budget's `disruptedPods`, then the condition
//! `DisruptionTarget` into the pod, and deletes it only then; in the order of writes both are there before the deletion. So a
//! deletion without either went past the budget. Judged are pods that ran and were Ready: for others the eviction API does
//! not always ask the budget, and they do not count as healthy. Not judged are deletions to which Kubernetes itself gives
//! another reason. Somebody else's `kubectl delete` on a node being drained cannot be told from the operator's.

use jiff::Timestamp;
use kube::core::SelectorExt as _;

use super::breach::{Breach, Rule};
use super::cluster::Cluster;
use super::facts::{BudgetFacts, NodeFacts, PodFacts, ShadowFacts};
use super::reboots::is_forced;

/// Judges the deletion of a pod that was `before` and is now `after`, on a node that the operator drains.
pub(super) fn judge(
    at: Timestamp,
    cluster: &Cluster,
    node: &NodeFacts,
    (before, after): (&PodFacts, &PodFacts),
) -> Option<Breach> {
    let healthy = before.running && before.ready && node.ready;
    if !healthy || before.disrupted.is_some() || after.disrupted.is_some() {
        return None;
    }
    let shadow = cluster.shadow_of(node).and_then(ShadowFacts::readable);
    if shadow.zip(node.record()).is_some_and(|(shadow, record)| is_forced(at, shadow, record)) {
        return None;
    }
    let covers = |budget: &&BudgetFacts| {
        budget.namespace == before.namespace
            && budget.selector.as_ref().is_some_and(|selector| selector.matches(&before.labels))
    };
    let budget = cluster.budgets.values().filter(covers).find(|budget| !budget.granted.contains(&before.name))?;
    let (pod, name, allowed) = (before.path(), &budget.name, budget.allowed);
    let objects =
        vec![format!("pod/{pod}"), format!("budget/{}/{name}", budget.namespace), format!("node/{}", node.name)];
    let message = format!("pod {pod} was deleted and not evicted; budget {name} allowed {allowed} more to go");
    Some(Breach { at, rule: Rule::Budget, objects, message })
}

#[cfg(test)]
mod tests {
    use api::shadow::OnTimeout;
    use serde_json::json;

    use crate::observer::breach::Rule;
    use crate::observer::facts::PodFacts;
    use crate::observer::samples::World;

    /// A node that is being drained, with a pod that a budget covers.
    fn draining() -> World {
        let mut world = World::new(&["a"], json!(1));
        world.pod("web", "a", |_| ()).budget(&[]).start("a").approval("a").record("a").cordon("a").after(9);
        world
    }

    fn ends(pod: &mut PodFacts) {
        pod.terminating = true;
    }

    #[test]
    fn an_eviction_that_was_granted_is_right() {
        let mut listed = draining();
        listed.budget(&["web"]).pod("web", "a", ends).delete_pod("web").clean();
        assert_eq!(listed.judge.report().total_evictions(), 1);
        draining()
            .pod("web", "a", |pod| pod.disrupted = Some("EvictionByEvictionAPI".to_owned()))
            .pod("web", "a", ends)
            .clean();
    }

    #[test]
    fn a_deletion_goes_past_the_budget() {
        draining().pod("web", "a", ends).breach(Rule::Budget, "was deleted and not evicted");
        draining().delete_pod("web").breach(Rule::Budget, "budget web");
        draining().budget(&["another"]).pod("web", "a", ends).breach(Rule::Budget, "budget web");
    }

    #[test]
    fn only_healthy_pods_count() {
        for spoil in [|pod: &mut PodFacts| pod.ready = false, |pod: &mut PodFacts| pod.running = false] {
            draining().pod("web", "a", spoil).pod("web", "a", ends).clean();
        }
    }

    #[test]
    fn pods_that_no_budget_covers_and_nodes_that_nobody_drains_do_not_matter() {
        draining().pod("other", "a", |pod| pod.namespace = "other".to_owned()).delete_pod("other").clean();
        let mut at_rest = World::new(&["a"], json!(1));
        at_rest.budget(&[]).pod("web", "a", |_| ()).delete_pod("web").clean();
        assert_eq!(at_rest.judge.report().total_evictions(), 0);
    }

    #[test]
    fn force_goes_past_it_once_the_time_is_over() {
        let forced = |seconds| {
            let mut world = draining();
            world.shadow("a", |shadow| shadow.desired.drain = Some((seconds, OnTimeout::Force)));
            world.after(30).pod("web", "a", ends);
            world
        };
        forced(20).clean();
        forced(600).breach(Rule::Budget, "deleted");
    }
}
