//! Which pods have to go before a node may reboot, and why the others stay.

use std::collections::BTreeSet;

use api::names::COMPONENT_LABEL;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, Toleration};

/// The taint that goes with a cordon; its effect is `NoSchedule` and it has no value.
const CORDON_TAINT: &str = "node.kubernetes.io/unschedulable";
/// The annotation that a kubelet writes on the mirror of a static pod.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";
/// A pod's grace where its spec names none (Kubernetes' own default).
const DEFAULT_GRACE_SECONDS: i64 = 30;

/// How long after the drain began a pod may be created and still have been meant for a node that was not cordoned yet: a
/// scheduler that has not seen the cordon, and clocks that differ.
const STRAY: SignedDuration = SignedDuration::from_secs(120);

/// A pod as the drain reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFacts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid: another pod of this name is another pod.
    pub uid: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// The node it is on.
    pub node: Option<String>,
    /// Whether it mirrors a static pod of the kubelet.
    pub mirror: bool,
    /// Whether a DaemonSet controls it.
    pub daemon_set: bool,
    /// Whether its containers have ended for good.
    pub finished: bool,
    /// Whether it is Ready.
    pub ready: bool,
    /// Once it is terminating: when its grace ends.
    pub terminating: Option<Timestamp>,
    /// How many seconds of grace it wants.
    pub grace_seconds: i64,
    /// Whether it may be scheduled to a cordoned node.
    pub tolerates_cordon: bool,
    /// Which of the operator's components it is, if any.
    pub component: Option<String>,
}

impl PodFacts {
    /// Reads a pod. `namespace` is the operator's own.
    #[must_use]
    pub fn read(pod: &Pod, namespace: &str) -> Self {
        let meta = &pod.metadata;
        let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
        let controller = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let labels = meta.labels.as_ref();
        let component = labels.and_then(|labels| labels.get(COMPONENT_LABEL)).cloned();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            node: spec.and_then(|spec| spec.node_name.clone()),
            mirror: meta.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR_ANNOTATION)),
            daemon_set: controller
                .is_some_and(|owner| owner.kind == "DaemonSet" && owner.api_version.starts_with("apps/")),
            finished: matches!(status.and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed")),
            ready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            terminating: meta.deletion_timestamp.as_ref().map(|time| time.0),
            grace_seconds: spec.and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(DEFAULT_GRACE_SECONDS),
            tolerates_cordon: spec.and_then(|spec| spec.tolerations.as_deref()).is_some_and(tolerate_cordon),
            component: component.filter(|_| meta.namespace.as_deref() == Some(namespace)),
        }
    }
}

/// Whether one of these tolerates the taint of a cordon, by the scheduler's rules: no key is every key, no effect is every
/// effect, and no operator is `Equal`.
fn tolerate_cordon(tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| {
        let key = toleration.key.as_deref().unwrap_or_default();
        let exists = toleration.operator.as_deref() == Some("Exists");
        let equal = matches!(toleration.operator.as_deref(), None | Some("" | "Equal"));
        let of_key = key == CORDON_TAINT || (key.is_empty() && exists);
        let of_value = exists || (equal && toleration.value.as_deref().unwrap_or_default().is_empty());
        of_key && of_value && matches!(toleration.effect.as_deref(), None | Some("" | "NoSchedule"))
    })
}

/// What becomes of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// It is evicted.
    Evict,
    /// It is waited for.
    Await,
    /// It is the operator's own, and the last to go.
    Last,
    /// It stays.
    Stay(Stay),
}

/// Why a pod stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// It mirrors a static pod, which no eviction reaches.
    Mirror,
    /// Its DaemonSet would put it back at once, cordon or not.
    DaemonSet,
    /// It has nothing to interrupt any more.
    Finished,
    /// It tolerates the cordon and came long after it: it would be put back as often as it is evicted. One that tolerates
    /// no cordon came while there was none, for an administrator had lifted it.
    HeedsNoCordon,
}

/// What becomes of `pod` in a drain that began at `began`.
#[must_use]
pub fn select(pod: &PodFacts, began: Timestamp) -> Selection {
    let since = pod.created.map(|created| created.duration_since(began));
    if pod.mirror {
        Selection::Stay(Stay::Mirror)
    } else if pod.daemon_set {
        Selection::Stay(Stay::DaemonSet)
    } else if pod.finished {
        Selection::Stay(Stay::Finished)
    } else if pod.tolerates_cordon && since.is_some_and(|since| since > STRAY) {
        Selection::Stay(Stay::HeedsNoCordon)
    } else if pod.terminating.is_some() {
        Selection::Await
    } else if pod.component.is_some() {
        Selection::Last
    } else {
        Selection::Evict
    }
}

/// The pods that have to go now. The operator's own come after all others, and each only when `elsewhere` has its
/// component: otherwise nobody would be left to finish the rollout, and it starts again with the node. `overdue` says that
/// the others are no longer waited for, so that the operator's own go beside them.
#[must_use]
pub fn to_go(pods: Vec<PodFacts>, began: Timestamp, elsewhere: &BTreeSet<String>, overdue: bool) -> Vec<PodFacts> {
    let others = |pod: &PodFacts| matches!(select(pod, began), Selection::Evict | Selection::Await);
    let replaced = |pod: &PodFacts| pod.component.as_ref().is_some_and(|component| elsewhere.contains(component));
    let own_turn = overdue || !pods.iter().any(others);
    let own = |pod: &PodFacts| own_turn && select(pod, began) == Selection::Last && replaced(pod);
    pods.into_iter().filter(|pod| others(pod) || own(pod)).collect()
}

/// The operator's components with a Ready pod on another node than `node`.
#[must_use]
pub fn ready_elsewhere(own: &[PodFacts], node: &str) -> BTreeSet<String> {
    own.iter()
        .filter(|pod| pod.ready && pod.terminating.is_none() && pod.node.as_deref().is_some_and(|on| on != node))
        .filter_map(|pod| pod.component.clone())
        .collect()
}

#[cfg(test)]
pub(crate) mod samples {
    use super::PodFacts;

    pub(crate) fn pod(name: &str) -> PodFacts {
        PodFacts {
            namespace: "web".to_owned(),
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            created: None,
            node: Some("a".to_owned()),
            mirror: false,
            daemon_set: false,
            finished: false,
            ready: true,
            terminating: None,
            grace_seconds: 30,
            tolerates_cordon: false,
            component: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::samples::pod;
    use super::*;

    /// When the drain began.
    const BEGAN: Timestamp = Timestamp::UNIX_EPOCH;

    fn read(spoil: impl FnOnce(&mut Value)) -> PodFacts {
        let mut pod = json!({
            "metadata": {"name": "p", "namespace": "web", "uid": "u"},
            "spec": {"nodeName": "a", "containers": [], "terminationGracePeriodSeconds": 90},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        spoil(&mut pod);
        PodFacts::read(&serde_json::from_value(pod).unwrap(), "brupop")
    }

    fn verdict(pod: &PodFacts) -> Selection {
        select(pod, BEGAN)
    }

    fn owned(kind: &str, api_version: &str, controller: bool) -> Selection {
        verdict(&read(|pod| {
            let owner =
                json!({"kind": kind, "apiVersion": api_version, "name": "o", "uid": "o", "controller": controller});
            pod["metadata"]["ownerReferences"] = json!([owner]);
        }))
    }

    #[test]
    fn ordinary_pods_go_with_or_without_an_owner() {
        let facts = read(|_| {});
        assert_eq!(verdict(&facts), Selection::Evict);
        assert_eq!((facts.grace_seconds, facts.ready), (90, true));
        assert_eq!(owned("ReplicaSet", "apps/v1", true), Selection::Evict);
        assert_eq!(owned("DaemonSet", "apps/v1", false), Selection::Evict);
        assert_eq!(owned("DaemonSet", "example.com/v1", true), Selection::Evict);
    }

    #[test]
    fn pods_that_no_eviction_helps_stay() {
        assert_eq!(owned("DaemonSet", "apps/v1", true), Selection::Stay(Stay::DaemonSet));
        let mirror = read(|pod| pod["metadata"]["annotations"] = json!({ MIRROR_ANNOTATION: "x" }));
        assert_eq!(verdict(&mirror), Selection::Stay(Stay::Mirror));
        for phase in ["Succeeded", "Failed"] {
            let finished = read(|pod| pod["status"]["phase"] = phase.into());
            assert_eq!(verdict(&finished), Selection::Stay(Stay::Finished));
        }
    }

    #[test]
    fn a_pod_that_tolerates_the_cordon_and_comes_long_after_it_stays() {
        let late = |after: i64, tolerations: &Value| {
            let created = BEGAN + SignedDuration::from_secs(after);
            verdict(&read(|pod| {
                pod["metadata"]["creationTimestamp"] = created.to_string().into();
                pod["spec"]["tolerations"] = tolerations.clone();
            }))
        };
        let any = json!([{"operator": "Exists"}]);
        for (after, stays) in [(-3600, false), (119, false), (121, true)] {
            let expected = if stays { Selection::Stay(Stay::HeedsNoCordon) } else { Selection::Evict };
            assert_eq!(late(after, &any), expected, "{after}");
            assert_eq!(late(after, &Value::Null), Selection::Evict, "{after}");
        }
    }

    #[test]
    fn a_cordon_is_tolerated_as_the_scheduler_reads_it() {
        let other = json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists"});
        for (toleration, tolerated) in [
            (json!({"operator": "Exists"}), true),
            (json!({"operator": "Exists", "effect": "NoSchedule"}), true),
            (json!({"key": CORDON_TAINT, "operator": "Exists"}), true),
            (json!({"key": CORDON_TAINT, "operator": "Exists", "effect": "NoSchedule"}), true),
            (json!({"key": CORDON_TAINT, "operator": "Equal", "value": ""}), true),
            (json!({"key": CORDON_TAINT}), true),
            (json!({"key": CORDON_TAINT, "operator": "Exists", "effect": "NoExecute"}), false),
            (json!({"key": CORDON_TAINT, "value": "true"}), false),
            (json!({"key": CORDON_TAINT, "operator": "Gt", "value": ""}), false),
            (json!({"operator": "Exists", "effect": "NoExecute"}), false),
            (json!({"value": ""}), false),
            (json!({}), false),
            (other.clone(), false),
        ] {
            let facts = read(|pod| pod["spec"]["tolerations"] = json!([other, toleration]));
            assert_eq!(facts.tolerates_cordon, tolerated, "{toleration}");
        }
        assert!(!read(|_| {}).tolerates_cordon);
    }

    #[test]
    fn a_terminating_pod_is_waited_for() {
        let terminating = read(|pod| pod["metadata"]["deletionTimestamp"] = "2026-11-22T10:00:00Z".into());
        assert_eq!(verdict(&terminating), Selection::Await);
    }

    #[test]
    fn the_operators_own_are_known_by_namespace_and_label() {
        let labelled = |namespace: &str| {
            read(|pod| {
                pod["metadata"]["namespace"] = namespace.into();
                pod["metadata"]["labels"] = json!({ COMPONENT_LABEL: "apiserver" });
            })
        };
        assert_eq!(verdict(&labelled("brupop")), Selection::Last);
        assert_eq!(verdict(&labelled("web")), Selection::Evict);
    }

    fn own(name: &str, node: &str) -> PodFacts {
        PodFacts { component: Some("apiserver".to_owned()), node: Some(node.to_owned()), ..pod(name) }
    }

    #[test]
    fn the_operators_own_go_last_and_only_when_another_is_ready_elsewhere() {
        let elsewhere = ready_elsewhere(&[own("one", "a"), own("other", "b")], "a");
        let both = vec![own("one", "a"), pod("web")];
        assert_eq!(to_go(both.clone(), BEGAN, &elsewhere, false), [pod("web")]);
        assert_eq!(to_go(both.clone(), BEGAN, &elsewhere, true), both);
        assert_eq!(to_go(vec![own("one", "a")], BEGAN, &elsewhere, false), [own("one", "a")]);
        for alone in [
            own("same", "a"),
            PodFacts { ready: false, ..own("other", "b") },
            PodFacts { terminating: Some(Timestamp::UNIX_EPOCH), ..own("other", "b") },
            PodFacts { component: Some("webhook".to_owned()), ..own("other", "b") },
        ] {
            let elsewhere = ready_elsewhere(&[own("one", "a"), alone], "a");
            for overdue in [false, true] {
                assert!(to_go(vec![own("one", "a")], BEGAN, &elsewhere, overdue).is_empty());
            }
        }
    }

    #[test]
    fn an_empty_pod_object_is_evicted_by_what_little_it_has() {
        assert_eq!(verdict(&PodFacts::read(&Pod::default(), "brupop")), Selection::Evict);
    }
}
