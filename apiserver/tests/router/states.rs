//! Whatever the shadow and the Node say, and whoever of the node's agents asks for what: nothing is done that is not allowed.

use std::time::Duration;

use api::names::{
    DISRUPTION_RECORD_ANNOTATION, EXCLUDE_FROM_LOAD_BALANCERS_LABEL, UPDATER_INTERFACE_LABEL, UPDATER_INTERFACE_VERSION,
};
use api::wire::{CORDON_AND_DRAIN, EXCLUDE_FROM_LB, REMOVE_EXCLUSION_FROM_LB, UNCORDON};
use api::{ApprovalId, DisruptionRecord};
use proptest::prelude::*;
use semver::Version;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::fake::{NODE, pod_path};
use crate::site::{Site, beginning, pod, rfc3339};

const STATES: [&str; 4] = ["Idle", "StagedAndPerformedUpdate", "RebootedIntoUpdate", "MonitoringUpdate"];

/// One situation and one call.
#[derive(Debug, Clone)]
struct Case {
    path: &'static str,
    ours: bool,
    state: &'static str,
    policy: bool,
    /// Seconds until the approval expires.
    expiry: Option<i64>,
    record: StoredRecord,
    cordoned: bool,
    label: Option<&'static str>,
    managed: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum StoredRecord {
    None,
    Forged(String),
    Real { this_approval: bool, cordoned: bool, excluded: bool, cordoned_before: bool },
}

fn record() -> impl Strategy<Value = StoredRecord> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let real = flags.prop_map(|(this_approval, cordoned, excluded, cordoned_before)| StoredRecord::Real {
        this_approval,
        cordoned,
        excluded,
        cordoned_before,
    });
    prop_oneof![2 => Just(StoredRecord::None), 1 => "[ -~]{0,60}".prop_map(StoredRecord::Forged), 4 => real]
}

fn cases() -> impl Strategy<Value = Case> {
    let path = prop::sample::select(vec![CORDON_AND_DRAIN, EXCLUDE_FROM_LB, UNCORDON, REMOVE_EXCLUSION_FROM_LB]);
    let state = prop::sample::select(STATES.to_vec());
    let expiry = prop::option::of(prop_oneof![Just(-600_i64), Just(3), Just(60), Just(600)]);
    let label = prop::option::of(prop::sample::select(vec!["true", "True", "mine"]));
    (path, any::<bool>(), state, any::<bool>(), expiry, record(), any::<bool>(), label, any::<bool>()).prop_map(
        |(path, ours, state, policy, expiry, record, cordoned, label, managed)| Case {
            path,
            ours,
            state,
            policy,
            expiry,
            record,
            cordoned,
            label,
            managed,
        },
    )
}

fn this_approval() -> ApprovalId {
    ApprovalId { version: Version::new(1, 20, 0), since: rfc3339(-30).parse().unwrap() }
}

impl StoredRecord {
    fn text(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Forged(text) => text.clone().into(),
            Self::Real { this_approval: named, cordoned, excluded, cordoned_before } => {
                let mut approval = this_approval();
                if !named {
                    approval.since = rfc3339(-9000).parse().unwrap();
                }
                let first = DisruptionRecord::first(approval, beginning(), *cordoned_before, None);
                DisruptionRecord { cordoned: *cordoned, excluded: *excluded, ..first }.encode().into()
            }
        }
    }

    fn names_this_approval(&self) -> bool {
        matches!(self, Self::Real { this_approval: true, .. })
    }

    fn did(&self) -> bool {
        matches!(self, Self::Real { cordoned, excluded, .. } if *cordoned || *excluded)
    }
}

impl Case {
    /// Whether the node may be disrupted, in the words of the design.
    fn may_disrupt(&self) -> bool {
        let begun = self.record.names_this_approval() && (self.expiry.is_some() || self.record.did());
        let valid = self.managed && self.expiry.is_some_and(|seconds| seconds >= 5);
        // A record under which nothing was done is removed by the first refusal, and then there is none.
        let unrecorded =
            self.record == StoredRecord::None || matches!(self.record, StoredRecord::Real { .. }) && !self.record.did();
        let originals = self.expiry.is_none() && !self.policy && unrecorded;
        let left = originals && (self.cordoned || self.label == Some("True"));
        self.state == "RebootedIntoUpdate" && (begun || valid || left)
    }

    /// Whether the cordon may go.
    fn may_uncordon(&self) -> bool {
        let ours = matches!(self.record, StoredRecord::Real { cordoned: true, cordoned_before: false, .. });
        let originals = self.record == StoredRecord::None
            && !self.policy
            && self.expiry.is_none()
            && self.state == "MonitoringUpdate";
        ["Idle", "MonitoringUpdate"].contains(&self.state) && (ours || originals)
    }

    async fn furnish(&self) -> Site {
        let site = Site::new().await;
        site.desired(&json!({
            "state": self.state, "version": "1.20.0", "state_transition_timestamp": rfc3339(-30),
            "policy": self.policy.then_some("default"), "disrupt_not_after": self.expiry.map(rfc3339),
        }));
        site.world().merge(
            NODE,
            json!({
                "metadata": {
                    "annotations": { DISRUPTION_RECORD_ANNOTATION: self.record.text() },
                    "labels": {
                        EXCLUDE_FROM_LOAD_BALANCERS_LABEL: self.label,
                        UPDATER_INTERFACE_LABEL: self.managed.then_some(UPDATER_INTERFACE_VERSION),
                    },
                },
                "spec": {"unschedulable": self.cordoned.then_some(true)},
            }),
        );
        site.world().put(&pod_path("web", "one"), pod("one"));
        site.settle().await;
        site
    }

    async fn check(&self) {
        let site = self.furnish().await;
        let call = async {
            if self.ours { site.ours("POST", self.path).await } else { site.original("POST", self.path).await }
        };
        // An original that may not is kept waiting.
        if let Ok(answer) = timeout(Duration::from_secs(30), call).await
            && answer.status >= 400
        {
            answer.refusal();
        }
        let label = site.exclusion();
        let (cordoned, evicted) = (site.is_cordoned(), site.world().count("/eviction") > 0);
        let disrupted = (cordoned && !self.cordoned) || (label.is_some() && self.label.is_none()) || evicted;
        assert!(!disrupted || self.may_disrupt(), "disrupted");
        assert!(cordoned || !self.cordoned || self.may_uncordon(), "uncordoned");
        let writes = site.world().writes().into_iter().map(str::to_owned).collect::<Vec<_>>();
        if matches!(self.record, StoredRecord::Forged(_)) {
            assert!(writes.is_empty(), "{writes:?}");
        }
        assert!(
            writes.iter().all(|write| write == "PATCH /api/v1/nodes/a" || write.contains("/eviction")),
            "{writes:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_is_done_to_a_node_that_is_not_allowed(case in cases()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(case.check());
    }
}
