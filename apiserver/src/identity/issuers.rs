//! Who issues tokens in this cluster.
//!
//! It is read from the apiserver's own token, and learnt from every token that Kubernetes has authenticated. Both are needed:
//! when a cluster changes its issuer, the agents' tokens name the new one within minutes, and the apiserver's own only within
//! the better part of an hour.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::interval;

use super::token_claims::issuer;
use crate::token::Token;

/// An issuer is known for this long after it was seen last: the kubelet replaces every token that is older than a day.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// Issuers that are known at most. A cluster has one, and two while it changes it.
const CAPACITY: usize = 8;

/// How often the apiserver's own token is read again.
const EVERY: Duration = Duration::from_secs(60);

/// The issuers seen lately.
#[derive(Debug, Default)]
pub struct Issuers(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Whether there is a token of our own to judge others by.
    judged: bool,
    last: Vec<(String, Timestamp)>,
}

impl Issuers {
    /// The apiserver's own token names this issuer.
    pub fn saw_own(&self, issuer: &str, now: Timestamp) {
        self.saw(issuer, now);
        self.seen().judged = true;
    }

    /// A token that Kubernetes has authenticated names this issuer.
    pub fn saw(&self, issuer: &str, now: Timestamp) {
        let mut seen = self.seen();
        seen.last.retain(|(known, at)| known != issuer && now.duration_since(*at) <= REMEMBERED);
        if seen.last.len() >= CAPACITY {
            seen.last.remove(0);
        }
        seen.last.push((issuer.to_owned(), now));
    }

    /// Whether a token of this issuer may be one of this cluster's. Without a token of our own every one may.
    #[must_use]
    pub fn knows(&self, issuer: &str, now: Timestamp) -> bool {
        let seen = self.seen();
        let known = |(known, at): &(String, Timestamp)| known == issuer && now.duration_since(*at) <= REMEMBERED;
        !seen.judged || seen.last.iter().any(known)
    }

    /// Locked for plain operations only, so a poisoned lock is as good as any.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the apiserver's own token again and again. Where there is none, or it is no JWT, issuers are not judged.
pub async fn follow_own_token(issuers: &Issuers, file: Option<&Path>, now: impl Fn() -> Timestamp) {
    let Some(file) = file else {
        return std::future::pending().await;
    };
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        match tokio::fs::read_to_string(file).await {
            Ok(text) => match issuer(&Token::new(text.trim().to_owned())) {
                Some(issuer) => issuers.saw_own(&issuer, now()),
                None => tracing::debug!("the apiserver's own token is no JWT: issuers are not judged by it"),
            },
            Err(error) => tracing::warn!(%error, "cannot read the apiserver's own token"),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use tokio::time::sleep;

    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    #[test]
    fn without_a_token_of_our_own_no_issuer_is_judged() {
        let issuers = Issuers::default();
        assert!(issuers.knows("anybody", at(0)));
        issuers.saw("somebody", at(0));
        assert!(issuers.knows("anybody", at(0)));
        issuers.saw_own("us", at(0));
        assert!(!issuers.knows("anybody", at(0)) && issuers.knows("us", at(0)) && issuers.knows("somebody", at(0)));
    }

    #[test]
    fn an_issuer_stays_known_for_as_long_as_a_pod_holds_a_token() {
        let issuers = Issuers::default();
        issuers.saw_own("old", at(0));
        issuers.saw_own("new", at(1));
        assert!(issuers.knows("old", at(24)) && !issuers.knows("old", at(25)));
        assert!(issuers.knows("new", at(25)) && !issuers.knows("new", at(26)));
    }

    #[test]
    fn of_many_issuers_the_latest_are_known() {
        let issuers = Issuers::default();
        for number in 0..100 {
            issuers.saw_own(&number.to_string(), at(0));
        }
        assert!(issuers.knows("99", at(0)) && issuers.knows("92", at(0)) && !issuers.knows("91", at(0)));
        issuers.saw("92", at(0));
        issuers.saw("100", at(0));
        assert!(issuers.knows("92", at(0)), "what was seen again is not the oldest");
    }

    fn token(issuer: &str) -> String {
        format!("e30.{}.c2ln\n", URL_SAFE_NO_PAD.encode(format!(r#"{{"iss":"{issuer}"}}"#)))
    }

    #[tokio::test(start_paused = true)]
    async fn the_apiservers_own_token_is_read_again_and_whatever_is_no_token_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let issuers = Issuers::default();
        let course = async {
            let mut knows = Vec::new();
            for text in [None, Some("abc".to_owned()), Some(token("us")), Some(token("newer")), Some("abc".to_owned())]
            {
                if let Some(text) = text {
                    std::fs::write(&file, text).unwrap();
                }
                sleep(EVERY + Duration::from_secs(1)).await;
                knows.push(["us", "newer", "anybody"].map(|issuer| issuers.knows(issuer, at(0))));
            }
            knows
        };
        let knows = tokio::select! {
            () = follow_own_token(&issuers, Some(&file), || at(0)) => panic!("it ends"),
            knows = course => knows,
        };
        let (unjudged, both) = ([true; 3], [true, true, false]);
        assert_eq!(knows, [unjudged, unjudged, [true, false, false], both, both]);
    }
}
