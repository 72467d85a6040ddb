//! The samples, as people apply them.

use api::{Policy, UpdatePolicy};
use e2e::controlplane::wait::eventually;

use crate::site::{PATIENCE, on_site, refused, samples};

#[test]
fn every_sample_is_accepted_and_followed() {
    on_site(async |site| {
        for (name, manifests) in samples("") {
            let answer = site.dry_run(&manifests).await;
            assert!(answer.accepted, "{name}: {}", answer.says);
            for document in manifests.split("\n---\n") {
                let policy: UpdatePolicy = serde_saphyr::from_str(document).unwrap();
                assert!(Policy::try_from(&policy).is_ok(), "{name}");
            }
        }
    });
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
