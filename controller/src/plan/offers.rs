//! What nodes tell of versions. Thousands of nodes tell a few different things: each is judged once, and the nodes refer to it.

use std::collections::BTreeMap;

use api::shadow::{Desired, Observed};
use api::versions;
use semver::Version;

use super::agent;

/// What some nodes of one policy tell of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Offer<'a> {
    /// The name of the policy that applies to them.
    pub(super) policy: Option<&'a str>,
    /// What they run.
    pub(super) current: &'a Version,
    /// What their hosts would update to by themselves.
    pub(super) target: &'a Version,
    /// What their hosts are offered.
    pub(super) available: &'a [Version],
    /// What they are asked for.
    pub(super) desired: Option<&'a Version>,
    /// Whether agents of the original operator serve them.
    pub(super) original: bool,
    /// An administrator's version-lock.
    pub(super) lock: Option<&'a str>,
}

impl<'a> Offer<'a> {
    fn of(policy: Option<&'a str>, desired: &'a Desired, observed: &'a Observed) -> Self {
        Self {
            policy,
            current: &observed.current_version,
            target: &observed.target_version,
            available: &observed.available_versions,
            desired: desired.version.as_ref(),
            original: agent::is_original(observed),
            lock: observed.version_lock.as_deref(),
        }
    }
}

/// The different offers there are, with the number of nodes that tell each.
#[derive(Debug, Default)]
pub(super) struct Offers<'a> {
    all: Vec<(Offer<'a>, usize)>,
    numbers: BTreeMap<Offer<'a>, usize>,
}

impl<'a> Offers<'a> {
    /// Adds the offer of a node under this policy, and returns its index.
    pub(super) fn add(&mut self, policy: Option<&'a str>, desired: &'a Desired, observed: &'a Observed) -> usize {
        let offer = Offer::of(policy, desired, observed);
        let number = *self.numbers.entry(offer).or_insert(self.all.len());
        match self.all.get_mut(number) {
            Some((_, nodes)) => *nodes += 1,
            None => self.all.push((offer, 1)),
        }
        number
    }

    pub(super) fn get(&self, number: usize) -> Option<&Offer<'a>> {
        self.all.get(number).map(|(offer, _)| offer)
    }

    /// Each, with the number of nodes that tell it, in the order in which they were added.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Offer<'a>, usize)> {
        self.all.iter().map(|(offer, nodes)| (offer, *nodes))
    }
}

/// Whether `lock`, an administrator's version-lock, names `version`.
pub(super) fn is_locked_to(lock: Option<&str>, version: &Version) -> bool {
    lock.and_then(versions::locked).as_ref() == Some(version)
}

#[cfg(test)]
mod tests {
    use api::State;

    use super::*;

    fn observed(current: u64) -> Observed {
        Observed {
            agent_version: Some("0.1.0".to_owned()),
            available_versions: vec![Version::new(1, 51, 0)],
            ..Observed::new(State::Idle, Version::new(1, current, 0), Version::new(1, 51, 0))
        }
    }

    #[test]
    fn nodes_that_tell_the_same_share_an_offer_wherever_they_stand() {
        let (desired, reports) = (Desired::default(), [50, 51, 50, 51, 51].map(observed));
        let mut offers = Offers::default();
        let numbers: Vec<_> = reports.iter().map(|observed| offers.add(Some("default"), &desired, observed)).collect();
        assert_eq!(numbers, [0, 1, 0, 1, 1]);
        let nodes: Vec<_> = offers.iter().map(|(offer, nodes)| (offer.current.minor, nodes)).collect();
        assert_eq!(nodes, [(50, 2), (51, 3)]);
    }

    #[test]
    fn whatever_bears_on_the_version_a_node_takes_makes_another_offer() {
        let (rests, observed) = (Desired::default(), observed(50));
        let desired = Desired { version: Some(Version::new(1, 51, 0)), ..Desired::default() };
        let others = [
            Observed { agent_version: None, ..observed.clone() },
            Observed { target_version: Version::new(1, 52, 0), ..observed.clone() },
            Observed { available_versions: Vec::new(), ..observed.clone() },
            Observed { version_lock: Some("v1.50.0".to_owned()), ..observed.clone() },
        ];
        let mut offers = Offers::default();
        let mut numbers = vec![offers.add(None, &rests, &observed)];
        numbers.extend(others.iter().map(|other| offers.add(None, &rests, other)));
        numbers.extend([offers.add(None, &desired, &observed), offers.add(Some("default"), &rests, &observed)]);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_does_not_bear_on_it_makes_no_other() {
        let (desired, observed) = (Desired::default(), observed(50));
        let other = Observed { crash_count: 3, message: Some("busy".to_owned()), ..observed.clone() };
        let mut offers = Offers::default();
        assert_eq!(offers.add(None, &desired, &observed), offers.add(None, &desired, &other));
    }
}
