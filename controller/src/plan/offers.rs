//! What nodes tell of versions. Thousands of nodes tell a few different things: each is judged once, and the nodes refer to it.

use std::collections::BTreeMap;

use api::shadow::{Order, Report};
use semver::Version;

use super::has_original_agent;

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
    pub(super) ordered: Option<&'a Version>,
    /// Whether agents of the original operator serve them.
    pub(super) original: bool,
    /// An administrator's version-lock.
    pub(super) lock: Option<&'a str>,
}

impl<'a> Offer<'a> {
    fn of(policy: Option<&'a str>, order: &'a Order, report: &'a Report) -> Self {
        Self {
            policy,
            current: &report.current_version,
            target: &report.target_version,
            available: &report.available_versions,
            ordered: order.version.as_ref(),
            original: has_original_agent(report),
            lock: report.version_lock.as_deref(),
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
    /// Adds what a node tells to which the policy of that name applies, and says where that is.
    pub(super) fn add(&mut self, policy: Option<&'a str>, order: &'a Order, report: &'a Report) -> usize {
        let offer = Offer::of(policy, order, report);
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

#[cfg(test)]
mod tests {
    use api::State;

    use super::*;

    fn report(current: u64) -> Report {
        Report {
            agent_version: Some("0.1.0".to_owned()),
            available_versions: vec![Version::new(1, 51, 0)],
            ..Report::new(State::Idle, Version::new(1, current, 0), Version::new(1, 51, 0))
        }
    }

    #[test]
    fn nodes_that_tell_the_same_share_an_offer_wherever_they_stand() {
        let (order, reports) = (Order::default(), [50, 51, 50, 51, 51].map(report));
        let mut offers = Offers::default();
        let numbers: Vec<_> = reports.iter().map(|report| offers.add(Some("default"), &order, report)).collect();
        assert_eq!(numbers, [0, 1, 0, 1, 1]);
        let nodes: Vec<_> = offers.iter().map(|(offer, nodes)| (offer.current.minor, nodes)).collect();
        assert_eq!(nodes, [(50, 2), (51, 3)]);
    }

    #[test]
    fn whatever_bears_on_the_version_a_node_takes_makes_another_offer() {
        let (rests, report) = (Order::default(), report(50));
        let ordered = Order { version: Some(Version::new(1, 51, 0)), ..Order::default() };
        let others = [
            Report { agent_version: None, ..report.clone() },
            Report { target_version: Version::new(1, 52, 0), ..report.clone() },
            Report { available_versions: Vec::new(), ..report.clone() },
            Report { version_lock: Some("v1.50.0".to_owned()), ..report.clone() },
        ];
        let mut offers = Offers::default();
        let mut numbers = vec![offers.add(None, &rests, &report)];
        numbers.extend(others.iter().map(|other| offers.add(None, &rests, other)));
        numbers.extend([offers.add(None, &ordered, &report), offers.add(Some("default"), &rests, &report)]);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_does_not_bear_on_it_makes_no_other() {
        let (order, report) = (Order::default(), report(50));
        let other = Report { crash_count: 3, message: Some("busy".to_owned()), ..report.clone() };
        let mut offers = Offers::default();
        assert_eq!(offers.add(None, &order, &report), offers.add(None, &order, &other));
    }
}
