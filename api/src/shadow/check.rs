//! Whether a report can be stored.

use thiserror::Error;

use super::{BottlerocketShadowStatus, MAX_AVAILABLE_VERSIONS, Observed};
use crate::{text, timestamp};

/// Longest version, in characters; the lengths here are those of the CRD's schema.
pub const MAX_VERSION: usize = 128;
/// Longest message.
pub const MAX_MESSAGE: usize = 1024;
/// Longest agent version, and longest boot id.
const MAX_WORD: usize = 64;

/// A field of a report that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct InvalidReport {
    field: &'static str,
    problem: String,
}

/// Checks a report: lengths, one printable line each, and what the rules can read. Which state follows which is not looked at:
/// that is data for the controller. The apiserver refuses what does not pass, and our agent sends no such thing.
///
/// # Errors
/// The first field that cannot be stored.
pub fn check(status: &BottlerocketShadowStatus) -> Result<(), InvalidReport> {
    let versions = status.available_versions.as_deref().unwrap_or_default();
    let failure = status.failure.as_ref();
    let rebooting = status.rebooting.as_ref();
    let bounds = [
        ("current_version", Some(&status.current_version), MAX_VERSION),
        ("target_version", Some(&status.target_version), MAX_VERSION),
        ("available_versions", versions.iter().max_by_key(|version| version.len()), MAX_VERSION),
        ("message", status.message.as_ref(), MAX_MESSAGE),
        ("agent_version", status.agent_version.as_ref(), MAX_WORD),
        ("version_lock_before", status.version_lock_before.as_ref(), MAX_VERSION),
        ("version_lock", status.version_lock.as_ref(), MAX_VERSION),
        (
            "state_transition_failure_timestamp",
            status.state_transition_failure_timestamp.as_ref(),
            timestamp::MAX_LENGTH as usize,
        ),
        ("drain_not_before", status.drain_not_before.as_ref(), timestamp::MAX_LENGTH as usize),
        ("host_unreachable_since", status.host_unreachable_since.as_ref(), timestamp::MAX_LENGTH as usize),
        ("failure.version", failure.map(|failure| &failure.version), MAX_VERSION),
        ("failure.time", failure.map(|failure| &failure.time), timestamp::MAX_LENGTH as usize),
        ("rebooting.version", rebooting.map(|rebooting| &rebooting.version), MAX_VERSION),
        ("rebooting.from_version", rebooting.map(|rebooting| &rebooting.from_version), MAX_VERSION),
        ("rebooting.boot_id", rebooting.map(|rebooting| &rebooting.boot_id), MAX_WORD),
    ];
    for (field, text, longest) in bounds {
        let Some(text) = text else { continue };
        if text.chars().nth(longest).is_some() {
            return Err(invalid(field, format!("longer than {longest} characters")));
        }
        if let Some(c) = text.chars().find(|c| !text::is_printable(*c)) {
            return Err(invalid(field, format!("has {c:?}; a text is one printable line")));
        }
    }
    if versions.len() > MAX_AVAILABLE_VERSIONS {
        let problem = format!("more than {MAX_AVAILABLE_VERSIONS} versions");
        return Err(invalid("available_versions", problem));
    }
    if failure.and_then(|failure| failure.attempts).is_some_and(|attempts| !(1..=1_000_000).contains(&attempts)) {
        return Err(invalid("failure.attempts", "out of range".to_owned()));
    }
    Observed::try_from(status).map_err(|(field, problem)| invalid(field, problem))?;
    Ok(())
}

fn invalid(field: &'static str, problem: String) -> InvalidReport {
    InvalidReport { field, problem }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::shadow::{AgentFailure, FailureKind, RebootIntent, State};

    fn original() -> BottlerocketShadowStatus {
        serde_json::from_value(json!({
            "current_version": "1.19.0", "target_version": "1.20.0", "current_state": "Idle", "crash_count": 0,
            "state_transition_failure_timestamp": null,
        }))
        .unwrap()
    }

    type Spoil = fn(&mut BottlerocketShadowStatus);

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let failure = || AgentFailure {
            kind: FailureKind::Drain,
            version: "1.20.0".to_owned(),
            time: "2026-11-22T10:00:00Z".to_owned(),
            attempts: Some(1),
        };
        assert_eq!(check(&BottlerocketShadowStatus { failure: Some(failure()), ..original() }), Ok(()));
        let cases: [(&str, Spoil); 10] = [
            ("status.current_version", |status| status.current_version = "1.19".to_owned()),
            ("status.target_version", |status| status.target_version = "99999999999999999999.0.0".to_owned()),
            ("current_version", |status| status.current_version = format!("1.0.0-{}", "a".repeat(128))),
            ("status.crash_count", |status| status.crash_count = -1),
            ("message", |status| status.message = Some("m".repeat(1025))),
            ("available_versions", |status| status.available_versions = Some(vec!["1.0.0".to_owned(); 33])),
            ("status.state_transition_failure_timestamp", |status| {
                status.state_transition_failure_timestamp = Some("yesterday".to_owned());
            }),
            ("status.drain_not_before", |status| status.drain_not_before = Some("soon".to_owned())),
            ("host_unreachable_since", |status| status.host_unreachable_since = Some("1".repeat(65))),
            ("rebooting.boot_id", |status| {
                status.rebooting = Some(RebootIntent {
                    version: "1.20.0".to_owned(),
                    from_version: "1.19.0".to_owned(),
                    boot_id: "b".repeat(65),
                });
            }),
        ];
        for (field, spoil) in cases {
            let mut status = original();
            spoil(&mut status);
            assert_eq!(check(&status).unwrap_err().field, field);
        }
        let many = AgentFailure { attempts: Some(0), ..failure() };
        let error = check(&BottlerocketShadowStatus { failure: Some(many), ..original() });
        assert_eq!(error.unwrap_err().field, "failure.attempts");
    }

    #[test]
    fn a_text_that_is_no_printable_line_is_named() {
        let cases: [(&str, Spoil); 6] = [
            ("message", |status| status.message = Some("\u{1b}[2Jnothing to see".to_owned())),
            ("message", |status| status.message = Some("Staged\nbrs-b  Idle".to_owned())),
            ("agent_version", |status| status.agent_version = Some("0.1\t0".to_owned())),
            ("version_lock", |status| status.version_lock = Some("1.20\u{202e}0".to_owned())),
            ("version_lock_before", |status| status.version_lock_before = Some("late\u{200b}st".to_owned())),
            ("rebooting.boot_id", |status| {
                status.rebooting = Some(RebootIntent {
                    version: "1.20.0".to_owned(),
                    from_version: "1.19.0".to_owned(),
                    boot_id: "\u{9b}31m".to_owned(),
                });
            }),
        ];
        for (field, spoil) in cases {
            let mut status = original();
            spoil(&mut status);
            let refused = check(&status).unwrap_err();
            assert_eq!(refused.field, field);
            assert!(text::is_line(&refused.to_string()), "{refused}");
        }
        let message = Some("3 Pods übrig: shop/web (blocked by budget web)".to_owned());
        assert_eq!(check(&BottlerocketShadowStatus { message, ..original() }), Ok(()));
    }

    #[test]
    fn odd_transitions_are_none_of_our_business() {
        for state in State::ALL {
            assert_eq!(check(&BottlerocketShadowStatus { current_state: state, ..original() }), Ok(()));
        }
    }

    proptest! {
        #[test]
        fn whatever_passes_can_be_read_back_by_the_rules(version in ".{0,140}", time in ".{0,70}", count in any::<i64>()) {
            let status = BottlerocketShadowStatus {
                current_version: version,
                state_transition_failure_timestamp: Some(time),
                crash_count: count,
                ..original()
            };
            if check(&status).is_ok() {
                prop_assert!(Observed::try_from(&status).is_ok());
            }
        }
    }
}
