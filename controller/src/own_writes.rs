//! Writes of our own that no watch has shown yet.
//!
//! A plan that counts nodes in flight must count the node that was started a millisecond ago, whose new spec the watch has not
//! brought back. So each write stays here until a watch shows a resourceVersion at least as new. Nothing expires: a write
//! whose outcome is unknown makes its shadow unreadable for the plan until an uncached read has settled it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use api::BottlerocketShadow;
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;

use crate::action::Action;
use crate::snapshot::{MayName, ShadowFacts, WatchedShadow};

/// What became of a write.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The object as the API server answered.
    Stored(Box<BottlerocketShadow>),
    /// The object is gone.
    Gone,
    /// Nobody knows: the answer to this action was lost, or an approval that it withdraws was looked for in vain. What is stored may
    /// still change, and the action may have to be finished.
    Unknown(Box<Action>),
}

/// The writes that no watch has shown yet, by shadow.
#[derive(Debug, Default)]
pub struct OwnWrites {
    stored: BTreeMap<String, WatchedShadow>,
    unknown: BTreeMap<String, Box<Action>>,
}

impl OwnWrites {
    /// Takes note of what became of a write to `shadow`.
    pub fn note(&mut self, shadow: &str, outcome: Outcome) {
        match outcome {
            Outcome::Stored(object) => {
                self.unknown.remove(shadow);
                self.stored.insert(shadow.to_owned(), WatchedShadow::from(&DeserializeGuard(Ok(*object))));
            }
            Outcome::Gone => {
                self.unknown.remove(shadow);
                self.stored.remove(shadow);
            }
            Outcome::Unknown(action) => {
                self.unknown.insert(shadow.to_owned(), action);
            }
        }
    }

    /// Forgets the writes that `watched`, the objects as a watch shows them, have caught up with; also those to objects that
    /// are gone, since an object that was written to had been seen.
    pub fn forget_seen<'a>(&mut self, watched: impl Iterator<Item = &'a WatchedShadow>) {
        let watched: BTreeMap<_, _> = watched.map(|object| (object.name_any(), object)).collect();
        self.stored.retain(|name, own| watched.get(name).is_some_and(|seen| is_newer(own, seen)));
        self.unknown.retain(|name, _| watched.contains_key(name));
    }

    /// The newest that is known of `object`: our own write where no watch has shown it yet.
    #[must_use]
    pub fn newest<'a>(&'a self, object: &'a WatchedShadow) -> &'a WatchedShadow {
        self.stored.get(&object.name_any()).filter(|own| is_newer(own, object)).unwrap_or(object)
    }

    /// Takes the shadows whose state is not known for unreadable. Each may name the policy it was last seen to name, or the one
    /// that the write was to put in its place.
    pub fn obscure_unknown(&self, shadows: &mut BTreeMap<String, Arc<ShadowFacts>>) {
        for action in self.unknown.values() {
            let Some(facts) = shadows.get_mut(&action.node) else { continue };
            let Some(shadow) = facts.readable().filter(|shadow| shadow.name == action.shadow) else { continue };
            let named = [&shadow.desired.policy, &action.before.policy, &action.desired.policy];
            let may_name = MayName::OneOf(named.into_iter().flatten().cloned().collect());
            let reason = "the outcome of the last write is not known yet".to_owned();
            *facts = Arc::new(ShadowFacts::Unreadable {
                node: action.node.clone(),
                reason,
                may_name,
                failed: shadow.observed.as_ref().and_then(|observed| observed.failed.clone()),
            });
        }
    }

    /// The shadows whose state is not known and has to be read, with the action that left it so.
    #[must_use]
    pub const fn unknown(&self) -> &BTreeMap<String, Box<Action>> {
        &self.unknown
    }
}

fn is_newer(own: &WatchedShadow, seen: &WatchedShadow) -> bool {
    let version = |object: &WatchedShadow| object.resource_version().unwrap_or_default();
    own.uid() == seen.uid() && compare(&version(own), &version(seen)) == Ordering::Greater
}

/// Orders two resourceVersions of one resource: decimal numbers of any length without leading zeros (KEP-5504; every
/// released API server has written them so). Others are not comparable; they count as not newer.
#[must_use]
pub fn compare(one: &str, other: &str) -> Ordering {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !number(one) || !number(other) {
        return Ordering::Equal;
    }
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::shadow::{BottlerocketShadowSpec, Desired};

    use crate::action::Verb;

    fn at(version: &str) -> BottlerocketShadow {
        let mut shadow = BottlerocketShadow::new("brs-a", BottlerocketShadowSpec::default());
        shadow.metadata.uid = Some("u".to_owned());
        shadow.metadata.resource_version = Some(version.to_owned());
        shadow
    }

    fn unknown() -> Outcome {
        Outcome::Unknown(Box::new(Action {
            verb: Verb::Start,
            node: "a".to_owned(),
            shadow: "brs-a".to_owned(),
            uid: "u".to_owned(),
            resource_version: "9".to_owned(),
            before: Desired::default(),
            desired: Desired::default(),
        }))
    }

    fn seen(version: &str) -> WatchedShadow {
        WatchedShadow::from(&DeserializeGuard(Ok(at(version))))
    }

    fn version(object: &WatchedShadow) -> String {
        object.resource_version().unwrap()
    }

    #[test]
    fn a_write_counts_until_a_watch_shows_it() {
        let mut own = OwnWrites::default();
        own.note("brs-a", Outcome::Stored(Box::new(at("10"))));
        let stale = seen("9");
        own.forget_seen([&stale].into_iter());
        assert_eq!(version(own.newest(&stale)), "10");
        let caught_up = seen("10");
        own.forget_seen([&caught_up].into_iter());
        assert!(own.stored.is_empty());
    }

    #[test]
    fn what_others_wrote_after_us_is_newer() {
        let mut own = OwnWrites::default();
        own.note("brs-a", Outcome::Stored(Box::new(at("10"))));
        assert_eq!(version(own.newest(&seen("11"))), "11");
    }

    #[test]
    fn an_unknown_outcome_stays_until_it_is_settled_or_the_object_is_gone() {
        let mut own = OwnWrites::default();
        own.note("brs-a", unknown());
        let newer = seen("99");
        own.forget_seen([&newer].into_iter());
        assert!(own.unknown().contains_key("brs-a"), "a newer object may still not show our write");
        own.note("brs-a", Outcome::Stored(Box::new(at("100"))));
        assert!(own.unknown().is_empty());
        own.note("brs-a", unknown());
        own.forget_seen([].into_iter());
        assert!(own.unknown().is_empty());
    }

    #[test]
    fn a_shadow_whose_state_is_not_known_may_name_the_policy_before_the_write_or_the_one_after() {
        let desired = |policy: &str| Desired { policy: Some(policy.to_owned()), ..Desired::default() };
        let Outcome::Unknown(mut action) = unknown() else { unreachable!() };
        (action.before, action.desired) = (desired("before"), desired("after"));
        let mut own = OwnWrites::default();
        own.note("brs-a", Outcome::Unknown(action));
        let mut raw = at("9");
        raw.spec.policy = Some("before".to_owned());
        raw.metadata.owner_references =
            serde_json::from_value(serde_json::json!([{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "n"}]))
                .unwrap();
        let shadow = api::Shadow::try_from(&raw).unwrap();
        let mut shadows = BTreeMap::from([("a".to_owned(), Arc::new(ShadowFacts::Readable(shadow)))]);
        own.obscure_unknown(&mut shadows);
        assert!(shadows["a"].readable().is_none());
        let policies = ["after", "another", "before"].map(|name| (name.to_owned(), ())).into();
        let began: Vec<_> = shadows["a"].began_under(&policies).map(|(name, ())| name).collect();
        assert_eq!(began, ["after", "before"]);
    }

    #[test]
    fn versions_are_compared_as_numbers_of_any_length() {
        assert_eq!(compare("9", "10"), Ordering::Less);
        assert_eq!(compare("99999999999999999999999", "100000000000000000000000"), Ordering::Less);
        assert_eq!(compare("10", "10"), Ordering::Equal);
        assert_eq!(compare("abc", "10"), Ordering::Equal);
    }
}
