//! What a policy says, without looking at others.

use api::Policy;
use api::amount::Amount;
use jiff::SignedDuration;

/// `matched` is how many nodes the policy selects, where that is known.
pub(super) fn warnings(policy: &Policy, matched: Option<usize>) -> Vec<String> {
    let mut warnings = Vec::new();
    if policy.max_concurrent_updates == Amount::Unlimited {
        warnings.push(
            "spec.maxConcurrentUpdates: \"unlimited\" lets every selected node be updated at the same time".to_owned(),
        );
    }
    warnings.extend(out_of_load_balancers(policy, matched));
    warnings.extend(short_windows(policy));
    warnings
}

/// Half of the nodes or more may be out of the load balancers at a time, for as long as each waits.
fn out_of_load_balancers(policy: &Policy, matched: Option<usize>) -> Option<String> {
    let wait = policy.exclusion_wait_seconds;
    let many = match policy.max_concurrent_updates {
        Amount::Unlimited => "all nodes".to_owned(),
        Amount::Percent(percent) if percent >= 50 => format!("{percent}% of the nodes"),
        Amount::Count(count) => {
            let matched = matched?;
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(matched);
            if count < 2 || count.saturating_mul(2) < matched {
                return None;
            }
            format!("{count} of {matched} nodes")
        }
        Amount::Percent(_) => return None,
    };
    (wait > 0).then(|| {
        format!("spec.maxConcurrentUpdates: {many} may be out of the load balancers at the same time, each for {wait} s and its drain")
    })
}

/// What begins at the end of a window goes on after it; one that is shorter than wait and drain lets most of it do so.
fn short_windows(policy: &Policy) -> impl Iterator<Item = String> + use<'_> {
    let needed = SignedDuration::from_secs(policy.exclusion_wait_seconds.into()).saturating_add(policy.drain.timeout);
    let windows = policy.schedule.windows.iter().enumerate();
    windows.filter(move |(_, window)| window.duration < needed).map(move |(index, window)| {
        format!(
            "spec.schedule.windows[{index}].duration: {} is shorter than load-balancer wait plus drain timeout ({}): a drain may end after the window",
            window.duration.to_string().to_lowercase().trim_start_matches("pt"),
            needed.to_string().to_lowercase().trim_start_matches("pt"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::policy::UpdatePolicySpec;
    use serde_json::{Value, json};

    fn warned(spec: &Value, matched: Option<usize>) -> Vec<String> {
        let policy = Policy::try_from(&serde_json::from_value::<UpdatePolicySpec>(spec.clone()).unwrap()).unwrap();
        warnings(&policy, matched)
    }

    #[test]
    fn no_limit_is_warned_of() {
        let unlimited = json!({"nodeSelector": {}, "maxConcurrentUpdates": "unlimited"});
        assert_eq!(
            warned(&unlimited, Some(4)),
            ["spec.maxConcurrentUpdates: \"unlimited\" lets every selected node be updated at the same time"]
        );
        assert!(warned(&json!({"nodeSelector": {}, "maxConcurrentUpdates": "100%"}), Some(4)).is_empty());
    }

    #[test]
    fn many_at_once_out_of_the_load_balancers_are_warned_of() {
        let with = |limit: Value, wait: i64| json!({"nodeSelector": {}, "maxConcurrentUpdates": limit, "loadBalancerExclusion": {"waitSeconds": wait}});
        let half = warned(&with(json!(2), 60), Some(4));
        assert!(half[0].contains("2 of 4 nodes may be out of the load balancers"), "{half:?}");
        assert!(warned(&with(json!("50%"), 60), None)[0].contains("50% of the nodes"));
        assert_eq!(warned(&with(json!("unlimited"), 60), None).len(), 2);
        for (limit, wait, matched) in [
            (json!(2), 60, Some(5)),
            (json!(2), 60, None),
            (json!(2), 0, Some(4)),
            (json!("49%"), 60, Some(4)),
            (json!(1), 60, Some(1)),
        ] {
            assert!(warned(&with(limit.clone(), wait), matched).is_empty(), "{limit} {wait} {matched:?}");
        }
    }

    #[test]
    fn a_window_shorter_than_wait_and_drain_is_warned_of() {
        let with = |duration: &str| {
            json!({
                "nodeSelector": {}, "loadBalancerExclusion": {"waitSeconds": 60}, "drain": {"timeout": "1h"},
                "schedule": {"windows": [{"start": "0 2 * * *", "duration": duration}]},
            })
        };
        assert_eq!(
            warned(&with("1h"), None),
            [
                "spec.schedule.windows[0].duration: 1h is shorter than load-balancer wait plus drain timeout (1h1m): a drain may end after the window"
            ]
        );
        assert!(warned(&with("61m"), None).is_empty());
    }
}
