//! Nodes in any state.

use std::collections::BTreeMap;

use api::record::ApprovalId;
use api::{DisruptionRecord, names};
use proptest::option;
use proptest::prelude::*;
use semver::Version;

use super::{SINCE, rare, time, version};
use crate::cluster::NodeLines;

pub(super) fn node() -> impl Strategy<Value = NodeLines> {
    let zone = option::weighted(0.8, prop::sample::select(vec!["one", "two"]));
    let state = (rare(), rare(), option::weighted(0.3, time()), rare(), rare(), prop::bool::weighted(0.05));
    let boot = prop::sample::select(vec!["boot-1", "boot-2"]);
    (any::<bool>(), zone, state, annotations(), boot, option::weighted(0.2, record())).prop_map(
        |(
            blue,
            zone,
            (unmanaged, not_ready, ready_since, cordoned, agent_silent, leaving),
            annotations,
            boot,
            record,
        )| {
            NodeLines {
                labels: [("pool", Some(if blue { "blue" } else { "green" })), ("zone", zone)]
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
                    .collect(),
                annotations,
                taints: if leaving { vec!["ToBeDeletedByClusterAutoscaler".to_owned()] } else { Vec::new() },
                unmanaged,
                not_ready,
                ready_since: ready_since.map(str::to_owned),
                conditions: BTreeMap::new(),
                cordoned: cordoned || record.as_ref().is_some_and(|record| record.cordoned),
                agent_silent,
                boot_id: Some(boot.to_owned()),
                record,
            }
        },
    )
}

/// What people write on Nodes.
fn annotations() -> impl Strategy<Value = BTreeMap<String, String>> {
    let about = || option::weighted(0.1, version());
    (rare(), about(), about(), about()).prop_map(|(held, update_now, ignore_window, acknowledged)| {
        let written = [
            (names::HOLD_ANNOTATION, held.then_some("a test")),
            (names::UPDATE_NOW_ANNOTATION, update_now),
            (names::IGNORE_WINDOW_ANNOTATION, ignore_window),
            (names::FAILURE_ACKNOWLEDGED_ANNOTATION, acknowledged),
        ];
        written.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect()
    })
}

/// A record of the approval that a shadow may have, or of another; with a cordon, or bare.
fn record() -> impl Strategy<Value = DisruptionRecord> {
    (prop::sample::select(vec![20_u64, 21]), prop::bool::weighted(0.8)).prop_map(|(minor, cordoned)| {
        let approval = ApprovalId { version: Version::new(1, minor, 0), since: SINCE.parse().unwrap() };
        let began = SINCE.parse().unwrap();
        DisruptionRecord {
            cordoned,
            drain_began: cordoned.then_some(began),
            ..DisruptionRecord::first(approval, began, false, None)
        }
    })
}
