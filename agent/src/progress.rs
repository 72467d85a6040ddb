//! One line about a drain that is not over.

use api::wire::{DrainProgress, PodProgress, PodWait};

/// Pods that are named; the number of the others is given.
const NAMED: usize = 3;

/// Says how many pods are left and what holds up the first of them. It has no times in it, so that it changes only when the
/// drain gets on: each change is a write.
#[must_use]
pub fn line(progress: &DrainProgress) -> String {
    let left = progress.pods_left;
    let noun = if left == 1 { "pod" } else { "pods" };
    let named: Vec<_> = progress.pods.iter().take(NAMED).map(pod).collect();
    if named.is_empty() {
        return format!("{left} {noun} left");
    }
    let others = usize::try_from(left).unwrap_or(usize::MAX).saturating_sub(named.len());
    let others = if others == 0 { String::new() } else { format!(", and {others} more") };
    format!("{left} {noun} left: {}{others}", named.join(", "))
}

fn pod(pod: &PodProgress) -> String {
    let name = format!("{}/{}", pod.namespace, pod.name);
    match (pod.waiting_for, &pod.budget) {
        (PodWait::Budget, Some(budget)) => format!("{name} (blocked by budget {budget})"),
        (PodWait::Budget, None) => format!("{name} (blocked by a budget)"),
        (PodWait::Eviction, _) => format!("{name} (being evicted)"),
        (PodWait::Termination, _) => format!("{name} (terminating)"),
        (PodWait::SeveralBudgets, _) => format!("{name} (several budgets select it, so that it cannot be evicted)"),
        (PodWait::Refused, _) => format!("{name} (eviction refused)"),
        (PodWait::Unknown, _) => format!("{name} (waiting)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, waiting_for: PodWait, budget: Option<&str>) -> PodProgress {
        PodProgress {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            waiting_for,
            budget: budget.map(str::to_owned),
            seconds: 7,
        }
    }

    #[test]
    fn the_line_names_the_budget_that_blocks_a_pod() {
        let mut progress = DrainProgress {
            pods_left: 5,
            elapsed_seconds: 31,
            pods: vec![
                pod("a", PodWait::Budget, Some("web")),
                pod("b", PodWait::Termination, None),
                pod("c", PodWait::Refused, None),
                pod("d", PodWait::Eviction, None),
            ],
        };
        assert_eq!(
            line(&progress),
            "5 pods left: shop/a (blocked by budget web), shop/b (terminating), shop/c (eviction refused), and 2 more"
        );
        progress.pods_left = 1;
        progress.pods.truncate(1);
        assert_eq!(line(&progress), "1 pod left: shop/a (blocked by budget web)");
        progress.pods.clear();
        assert_eq!(line(&progress), "1 pod left");
    }
}
