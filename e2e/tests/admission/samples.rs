//! The samples, as people apply them.

use api::{Policy, UpdatePolicy};
use e2e::controlplane::wait::eventually;
use jiff::Timestamp;
use semver::Version;
use serde_json::{Value, json};

use crate::site::{PATIENCE, on_site, refused, samples};

#[test]
fn every_sample_is_accepted_and_followed() {
    on_site(async |site| {
        for (name, manifests) in samples("") {
            let answer = site.dry_run(&manifests).await;
            assert!(answer.accepted, "{name}: {}", answer.says);
            let warnings = answer.says.lines().filter(|line| line.starts_with("Warning:"));
            let surprising = warnings.filter(|warning| !is_expected(&name, warning)).collect::<Vec<_>>();
            assert!(surprising.is_empty(), "{name}: {surprising:?}");
            for document in manifests.split("\n---\n") {
                let policy: UpdatePolicy = serde_saphyr::from_str(document).unwrap();
                assert!(Policy::try_from(&policy).is_ok(), "{name}");
            }
        }
    });
}

/// There are no nodes here and nothing is stored; and one sample is there to be warned of.
fn is_expected(sample: &str, warning: &str) -> bool {
    let unlimited = sample == "everything-at-once" && warning.contains("spec.maxConcurrentUpdates: \"unlimited\"");
    let unstored = sample == "canary-then-rest" && warning.contains("there is no policy \"canary\" now");
    unlimited || unstored || warning.contains("spec.nodeSelector: selects no node that there is now")
}

/// The one policy of a sample.
fn only_policy(name: &str) -> Policy {
    let (_, manifest) = samples("").into_iter().find(|(other, _)| other == name).unwrap();
    let policy: UpdatePolicy = serde_saphyr::from_str(&manifest).unwrap();
    Policy::try_from(&policy).unwrap()
}

#[test]
fn the_business_hours_sample_is_closed_at_work_and_over_the_turn_of_the_year() {
    let schedule = only_policy("business-hours-freeze").schedule;
    for (at, open) in [
        ("2026-07-06T06:59:59+02:00", true),  // Monday, before work
        ("2026-07-06T07:00:00+02:00", false), // and at work
        ("2026-07-08T12:00:00+02:00", false), // Wednesday
        ("2026-07-08T18:59:59+02:00", false),
        ("2026-07-08T19:00:00+02:00", true),
        ("2026-07-09T06:59:59+02:00", true), // the morning after
        ("2026-07-09T07:00:00+02:00", false),
        ("2026-07-10T23:00:00+02:00", true), // Friday night, then the weekend
        ("2026-07-11T12:00:00+02:00", true),
        ("2026-07-12T23:59:59+02:00", true),
        ("2026-11-25T18:59:59+01:00", false), // in winter by the same clock
        ("2026-11-25T19:00:00+01:00", true),
        ("2026-12-24T20:00:00+01:00", false), // a night of the freeze
        ("2027-01-04T06:59:59+01:00", false),
        ("2027-01-04T19:00:00+01:00", true),
    ] {
        let instant: Timestamp = at.parse().unwrap();
        assert_eq!(schedule.is_open_at(instant), open, "{at}");
    }
}

#[test]
fn the_pinned_sample_takes_patches_of_its_minor_version_only() {
    let versions = only_policy("pinned-range").versions;
    let range = versions.constraint.unwrap();
    for (patch, matches) in [((1, 50, 0), false), ((1, 50, 1), true), ((1, 50, 7), true), ((1, 51, 0), false)] {
        let version = Version::new(patch.0, patch.1, patch.2);
        assert_eq!(range.matches(&version), matches, "{version}");
    }
    assert_eq!(versions.minimum_age.unwrap().as_hours(), 7 * 24);
}

#[test]
fn the_strict_health_sample_lets_pass_only_a_node_that_denies_every_pressure() {
    let health = only_policy("strict-health-gate").health;
    let passes = |node: &Value| health.checks.iter().all(|check| check.passes(node));
    let pressure = ["MemoryPressure", "DiskPressure", "PIDPressure"];
    let node = |status: &dyn Fn(&str) -> &'static str| {
        let conditions = pressure.map(|kind| json!({"type": kind, "status": status(kind)}));
        json!({"status": {"conditions": conditions}})
    };
    assert!(passes(&node(&|_| "False")));
    for kind in pressure {
        assert!(!passes(&node(&|other| if other == kind { "True" } else { "False" })), "{kind}");
        assert!(!passes(&node(&|other| if other == kind { "Unknown" } else { "False" })), "{kind}");
    }
    assert!(!passes(&json!({"status": {"conditions": []}})), "a node that says nothing does not pass");
    assert_eq!((health.min_ready.as_secs(), health.timeout.as_mins()), (300, 20));
}

#[test]
fn every_invalid_sample_is_refused_with_the_message_beside_it() {
    on_site(async |site| {
        for (name, manifests) in samples("invalid") {
            if name == "after-cycle" {
                continue;
            }
            let answer = site.dry_run(&manifests).await;
            assert!(!answer.accepted, "{name}");
            let expected = refused(&manifests);
            assert!(answer.says.contains(expected), "{name}: {}\ninstead of\n{expected}", answer.says);
        }
    });
}

#[test]
fn the_policy_that_closes_a_cycle_is_refused() {
    on_site(async |site| {
        let (_, manifests) = samples("invalid").into_iter().find(|(name, _)| name == "after-cycle").unwrap();
        let expected = refused(&manifests);
        // The first policy is stored; the webhook hears of it a moment later.
        let answer = site.apply(&manifests).await;
        assert!(!answer.accepted, "{}", answer.says);
        eventually("the cycle to be named", PATIENCE, async || {
            let answer = site.apply(&manifests).await;
            assert!(!answer.accepted, "{}", answer.says);
            Ok(answer.says.contains(expected).then_some(()))
        })
        .await
        .unwrap();
        site.delete(manifests.split("\n---\n").next().unwrap()).await;
    });
}
