//! Shadows: a spec and a status, each whatever it may be.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{SINCE, time, version};
use crate::cluster::ShadowLines;

pub(super) fn shadow() -> impl Strategy<Value = ShadowLines> {
    (spec(), option::weighted(0.95, status()), prop::bool::weighted(0.05)).prop_map(|(spec, status, other_owner)| {
        ShadowLines { spec, status, owner: other_owner.then(|| "uid-of-an-earlier-node".to_owned()) }
    })
}

fn state() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        // Most are at rest, so that several may be after the same place.
        6 => Just("Idle"),
        2 => Just("StagedAndPerformedUpdate"),
        2 => Just("RebootedIntoUpdate"),
        1 => Just("MonitoringUpdate"),
    ]
}

fn spec() -> impl Strategy<Value = Value> {
    let owner = select(vec![Some("one"), Some("two"), Some("gone"), None]);
    let expiry = select(vec!["2026-11-22T01:59:00Z", "2026-11-22T02:03:00Z", "2026-11-22T02:09:00Z"]);
    let asked = prop_oneof![4 => Just("1.20.0"), 1 => Just("1.21.0")];
    (state(), owner, asked, expiry).prop_map(|(state, policy, version, expiry)| match state {
        "Idle" => json!({"state": state, "policy": policy}),
        "RebootedIntoUpdate" => json!({
            "state": state, "version": version, "policy": policy, "state_transition_timestamp": SINCE,
            "disrupt_not_after": expiry,
        }),
        _ => json!({"state": state, "version": version, "policy": policy, "state_transition_timestamp": SINCE}),
    })
}

fn status() -> impl Strategy<Value = Value> {
    let reported = prop_oneof![8 => state(), 1 => Just("ErrorReset")];
    let runs = prop_oneof![3 => Just("1.19.0"), 2 => Just("1.20.0"), 1 => Just("1.21.0")];
    let offered = prop_oneof![3 => Just("1.20.0"), 2 => Just("1.21.0")];
    let lock = option::weighted(0.05, select(vec!["v1.19.0", "1.20.0"]));
    let now = (reported, runs, offered, prop::bool::weighted(0.3), lock);
    (now, history(), boot()).prop_map(|((reported, runs, offered, original, lock), history, boot)| {
        let mut status = json!({
            "current_state": reported, "current_version": runs, "target_version": offered, "crash_count": 0,
        });
        let known = if original { history_of_an_original(&history) } else { ours(&history, &boot, offered, lock) };
        status.as_object_mut().unwrap().extend(known);
        status
    })
}

type Fields = serde_json::Map<String, Value>;

/// How often it has failed, how, and what was said of that.
#[derive(Debug, Clone)]
struct History {
    crashes: u32,
    failed_at: &'static str,
    failure: Option<(&'static str, &'static str, &'static str, u32)>,
    verdict: Option<(&'static str, &'static str, &'static str)>,
}

fn history() -> impl Strategy<Value = History> {
    let kinds = select(vec!["Stage", "Activate", "Drain", "Fallback"]);
    let failure = option::weighted(0.2, (kinds, version(), time(), 1..4_u32));
    let verdicts = select(vec!["NoBoot", "Fallback", "Health", "Unknown"]);
    let verdict = option::weighted(0.2, (verdicts, version(), time()));
    let crashes = prop_oneof![3 => Just(0), 1 => 1..4_u32];
    (crashes, time(), failure, verdict).prop_map(|(crashes, failed_at, failure, verdict)| History {
        crashes,
        failed_at,
        failure,
        verdict,
    })
}

/// What the node was about to reboot from, what its agent does, and since when it is up again.
#[derive(Debug, Clone)]
struct Boot {
    rebooting: bool,
    activity: Option<&'static str>,
    booted: Option<(bool, &'static str)>,
}

fn boot() -> impl Strategy<Value = Boot> {
    let activity = option::weighted(0.3, select(vec!["Draining", "Activating", "Rebooting", "Verifying"]));
    let booted = option::weighted(0.4, (any::<bool>(), time()));
    (prop::bool::weighted(0.4), activity, booted).prop_map(|(rebooting, activity, booted)| Boot {
        rebooting,
        activity,
        booted,
    })
}

/// An original agent knows of crashes alone; the verdict is ours.
fn history_of_an_original(history: &History) -> Fields {
    let mut fields = Fields::new();
    if history.crashes > 0 {
        fields.insert("crash_count".to_owned(), json!(history.crashes));
        fields.insert("state_transition_failure_timestamp".to_owned(), json!(history.failed_at));
    }
    if let Some((kind, version, time)) = history.verdict {
        fields.insert("failed".to_owned(), json!({"kind": kind, "version": version, "time": time}));
    }
    fields
}

fn ours(history: &History, boot: &Boot, offered: &str, lock: Option<&str>) -> Fields {
    let mut fields = history_of_an_original(history);
    let mut tell = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    tell("agent_version", json!("0.1.0"));
    tell("version_lock", json!(lock));
    tell("activity", json!(boot.activity));
    let offers: &[&str] = if offered == "1.21.0" { &["1.21.0", "1.20.0"] } else { &["1.20.0"] };
    tell("available_versions", json!(offers));
    if let Some((kind, version, time, attempts)) = history.failure {
        tell("failure", json!({"kind": kind, "version": version, "time": time, "attempts": attempts}));
    }
    if boot.rebooting {
        tell("rebooting", json!({"version": "1.20.0", "from_version": "1.19.0", "boot_id": "boot-1"}));
    }
    if let Some((up, since)) = boot.booted {
        let (holds, reason) = if up { ("True", "NewBoot") } else { ("False", "AwaitBoot") };
        let booted =
            json!({"type": "Booted", "status": holds, "reason": reason, "message": "", "lastTransitionTime": since});
        tell("conditions", json!([booted]));
    }
    fields
}
