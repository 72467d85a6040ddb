//! What is the same for every node of a plan: windows, releases, halts, and which version each offer comes to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use semver::Version;

use super::halt::{Failures, Halts};
use super::limits::Limits;
use super::node_view::NodeView;
use super::offers::{Offer, Offers};
use super::releases::{Choice, Release, Releases, choose};
use super::view::View;
use super::window::{Window, window};
use crate::snapshot::Snapshot;

/// What is the same for every node of a plan. Nothing changes it.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Timestamp,
    pub(super) windows: BTreeMap<&'a str, Window>,
    pub(super) releases: Releases<'a>,
    pub(super) halts: Halts<'a>,
    offers: Offers<'a>,
    /// Which version nodes take that tell an offer, by its number.
    choices: Vec<Choice<'a>>,
    /// When time alone changes one of them.
    choices_change_at: Option<Timestamp>,
}

impl<'a> Rules<'a> {
    /// From everything that is seen. The view's offers move here.
    pub(super) fn of(snapshot: &'a Snapshot, view: &mut View<'a>, limits: &Limits<'a>) -> Self {
        let failures = Failures::count(&view.nodes);
        let releases = Releases::of(snapshot, view, &failures);
        let offers = std::mem::take(&mut view.offers);
        let windows = snapshot.policies.values();
        let windows = windows.filter_map(|policy| Some((policy.name.as_str(), window(policy, snapshot)?)));
        let policy = |offer: &Offer<'_>| offer.policy.and_then(|name| snapshot.policies.get(name));
        let choices = offers.iter().map(|(offer, _)| choose(&releases, policy(offer), offer, snapshot.now));
        let (choices, changes): (Vec<_>, Vec<_>) = choices.unzip();
        Self {
            snapshot,
            now: snapshot.now,
            windows: windows.collect(),
            halts: Halts::of(snapshot, failures, |policy| limits.matched(policy)),
            releases,
            offers,
            choices,
            choices_change_at: changes.into_iter().flatten().min(),
        }
    }

    /// What the node tells of versions; `None` if it has not reported.
    pub(super) fn offer(&self, node: &NodeView<'_>) -> Option<&Offer<'a>> {
        self.offers.get(node.offer?)
    }

    /// Which version the node takes.
    pub(super) fn choice(&self, node: &NodeView<'_>) -> &Choice<'a> {
        node.offer.and_then(|offer| self.choices.get(offer)).unwrap_or(&Choice::Current)
    }

    /// When time alone changes a window, or the version that some node takes.
    pub(super) fn change_at(&self) -> Option<Timestamp> {
        let windows = self.windows.values().flat_map(|window| [window.closes_at, window.next_opens_at]);
        windows.flatten().chain(self.choices_change_at).min()
    }

    /// Which nodes failed on which version, as a sentence, by policy that is halted on a version that still matters to it.
    pub(super) fn halted(&self) -> BTreeMap<String, String> {
        let newest = self.newest();
        let taken: BTreeSet<_> = self.taken().collect();
        self.halts.sentences(|policy, version| {
            newest.get(policy).is_none_or(|newest| *newest <= version) || taken.contains(&(policy, version))
        })
    }

    /// The windows and the releases, for the statuses.
    pub(super) fn into_parts(self) -> (BTreeMap<String, Window>, BTreeMap<String, BTreeMap<Version, Release>>) {
        let windows = self.windows.into_iter().map(|(policy, window)| (policy.to_owned(), window));
        (windows.collect(), self.releases.into_all())
    }

    /// The versions that nodes take, by policy.
    fn taken(&self) -> impl Iterator<Item = (&'a str, &'a Version)> {
        self.offers.iter().zip(&self.choices).filter_map(|((offer, _), choice)| Some((offer.policy?, choice.taken()?)))
    }

    /// The newest version that a node of each policy runs or takes.
    fn newest(&self) -> BTreeMap<&'a str, &'a Version> {
        let mut newest = BTreeMap::new();
        for ((offer, _), choice) in self.offers.iter().zip(&self.choices) {
            let Some(policy) = offer.policy else { continue };
            for version in [offer.current].into_iter().chain(choice.taken()) {
                let known = newest.entry(policy).or_insert(version);
                *known = (*known).max(version);
            }
        }
        newest
    }
}
