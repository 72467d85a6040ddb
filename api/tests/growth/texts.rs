//! The texts, and every parser of a single text.

use std::collections::BTreeMap;

use api::schedule::Cron;
use api::shadow::{BottlerocketShadow, BottlerocketShadowStatus, Pin, check};
use api::{DisruptionRecord, Shadow, duration, label, names, text, timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use proptest::prelude::*;
use semver::{Version, VersionReq};
use serde::Deserialize;
use serde_json::json;

use crate::within_the_cap;

/// A text of any length.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Growing {
    begin: String,
    repeat: String,
    end: String,
}

impl Growing {
    pub(crate) fn times(&self, times: usize) -> String {
        format!("{}{}{}", self.begin, self.repeat.repeat(times), self.end)
    }
}

pub(crate) fn corpus() -> Vec<Growing> {
    serde_json::from_str(include_str!("corpus.json")).unwrap()
}

/// Small ones, where exponents show, what the schema lets through, and as much as an annotation takes.
pub(crate) const TIMES: [usize; 8] = [1, 5, 13, 14, 31, 60, 200, 20_000];

/// Made of pieces of the corpus in any order.
pub(crate) fn mixed() -> impl Strategy<Value = String> {
    let pieces: Vec<_> = corpus().into_iter().flat_map(|text| [text.begin, text.repeat, text.end]).collect();
    let piece = (prop::sample::select(pieces), 0_usize..9);
    prop::collection::vec(piece, 0..30)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, times)| piece.repeat(times)).collect())
}

/// The status of a shadow in which every text is this one.
fn status(text: &str) -> BottlerocketShadowStatus {
    serde_json::from_value(json!({
        "current_version": text, "target_version": text, "current_state": "Idle", "crash_count": 0,
        "state_transition_failure_timestamp": text, "agent_version": text, "available_versions": vec![text; 40],
        "message": text, "failure": {"kind": "Drain", "version": text, "time": text},
        "rebooting": {"version": text, "from_version": text, "boot_id": text},
        "version_lock_before": text, "version_lock": text, "drain_not_before": text, "host_unreachable_since": text,
        "failed": {"kind": "Health", "version": text, "time": text},
    }))
    .unwrap()
}

/// A shadow that says it everywhere.
fn shadow(text: &str) -> BottlerocketShadow {
    serde_json::from_value(json!({
        "metadata": {
            "name": "brs-a", "uid": "u", "resourceVersion": "1",
            "annotations": {names::VERSION_LOCK_BEFORE_ANNOTATION: text},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": text, "uid": text}],
        },
        "spec": {
            "state": "RebootedIntoUpdate", "version": text, "state_transition_timestamp": text, "policy": text,
            "disrupt_not_after": text,
        },
        "status": serde_json::to_value(status(text)).unwrap(),
    }))
    .unwrap()
}

/// Reads it as everything that there is a parser for. What each says of it is the business of other tests.
pub(crate) fn read_everywhere(text: &str) {
    let _ = Cron::parse(text);
    let _ = duration::parse(text);
    let _ = timestamp::parse(text);
    let _ = timestamp::parse_strictly(text);
    let _ = label::parse_key(text);
    let _ = label::parse_value(text);
    let _ = api::amount::Amount::parse_or_unlimited(&IntOrString::String(text.to_owned()));
    let _ = api::health::NodePath::parse(text);
    let _ = api::versions::is_policy_name(text);
    let _ = VersionReq::parse(text).map(|range| range.matches(&Version::new(1, 20, 0)));
    let _ = Version::parse(text).map(|version| version.cmp(&version.clone()));
    let _ = DisruptionRecord::decode(Some(&BTreeMap::from([(
        names::DISRUPTION_RECORD_ANNOTATION.to_owned(),
        text.to_owned(),
    )])));
    let _ = Pin::decode(Some(&text.to_owned()));
    let _ = check(&status(text));
    let _ = Shadow::try_from(&shadow(text));
    assert!(text::is_line(&text::line(text, 1024)));
}

#[test]
fn every_kept_text_is_read_in_a_bounded_time_whatever_it_is_read_as() {
    for growing in corpus() {
        for times in TIMES {
            let text = growing.times(times);
            within_the_cap(&format!("{growing:?} {times} times"), || read_everywhere(&text));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_mixture_of_them_is_read_in_a_bounded_time(text in mixed()) {
        within_the_cap(&text, || read_everywhere(&text));
    }
}
