//! One node as the steps see it: the facts, and what follows from them alone.

use std::cell::OnceCell;

use api::{
    Shadow,
    health::HealthGate,
    shadow::{Failed, Observed},
};
use semver::Version;

use super::{
    booted::{Booted, booted},
    digest::Digest,
    gate::{Closed, gate},
    in_flight::{has_failed, in_flight},
    offers::Offers,
    ownership::{Owner, owner},
    phase::{Phase, phase},
    verdict,
};
use crate::snapshot::{NodeFacts, PolicyFacts, ShadowFacts, Snapshot};

/// One node as the steps see it.
#[derive(Debug)]
pub(super) struct Situation<'a> {
    /// The Node.
    pub(super) node: &'a NodeFacts,
    /// Its shadow.
    pub(super) shadow: Option<&'a ShadowFacts>,
    /// Its shadow, if there is one that can be read.
    readable: Option<&'a Shadow>,
    /// What the agent reported.
    observed: Option<&'a Observed>,
    /// What steps ask of every node.
    pub(super) digest: Digest<'a>,
    /// Whose it is.
    pub(super) owner: Owner<'a>,
    /// The policies that its order names or may name, where they still exist.
    began_under: Vec<&'a PolicyFacts>,
    /// Where among the offers that is which it tells of versions.
    pub(super) offer: Option<usize>,
    /// How far its update is.
    pub(super) phase: Phase,
    /// Whether it counts for the limits.
    pub(super) in_flight: bool,
    /// Whether it is kept out of them by a verdict that is stored.
    pub(super) has_failed: bool,
    /// Whether it has come up, of a node that was to reboot.
    pub(super) booted: Option<Booted>,
    /// The verdict that stands on it, stored or due.
    pub(super) failed: Option<Box<Failed>>,
    /// The policy whose health gate it is to pass; `None` is Ready, within the default time.
    gated_by: Option<(&'a PolicyFacts, &'a HealthGate)>,
    /// What the gate has answered, once it was asked.
    gate: OnceCell<Result<(), Box<Closed>>>,
}

impl<'a> Situation<'a> {
    pub(super) fn of(
        snapshot: &'a Snapshot,
        node: &'a NodeFacts,
        shadow: Option<&'a ShadowFacts>,
        offers: &mut Offers<'a>,
    ) -> Self {
        let owner = owner(&snapshot.policies, node);
        let began_under = began_under(snapshot, shadow);
        let readable = shadow.and_then(ShadowFacts::readable);
        let observed = readable.and_then(|shadow| shadow.observed.as_ref());
        let policy = owner.policy().map(|policy| policy.name.as_str());
        let mut situation = Self {
            node,
            shadow,
            readable,
            observed,
            digest: Digest::of(node, readable),
            gated_by: gated_by(&began_under, owner.policy()),
            offer: readable.zip(observed).map(|(shadow, observed)| offers.add(policy, &shadow.desired, observed)),
            owner,
            began_under,
            phase: phase(node, shadow),
            in_flight: in_flight(node, shadow, snapshot.now),
            has_failed: shadow.is_some_and(|shadow| has_failed(node, shadow)),
            booted: booted(node, shadow, snapshot.now),
            failed: None,
            gate: OnceCell::new(),
        };
        situation.failed = verdict::standing(&situation, snapshot).map(Box::new);
        if situation.has_failed && situation.phase == Phase::Booted && situation.gate(snapshot).is_ok() {
            // It is given back, and counts again until it is.
            (situation.has_failed, situation.in_flight) = (false, true);
        }
        situation
    }

    /// What counts as healthy; `None` is Ready, within the default time.
    pub(super) fn health(&self) -> Option<&'a HealthGate> {
        self.gated_by.map(|(_, health)| health)
    }

    /// The policy that says so.
    pub(super) fn gated_by(&self) -> Option<&'a PolicyFacts> {
        self.gated_by.map(|(policy, _)| policy)
    }

    /// Whether the node passes its health gate. It is asked once for a plan, however many rules want to know: a check reads the whole
    /// Node.
    pub(super) fn gate(&self, snapshot: &Snapshot) -> Result<(), &Closed> {
        self.gate.get_or_init(|| gate(self, snapshot).map_err(Box::new)).as_ref().copied().map_err(AsRef::as_ref)
    }

    /// The shadow, if there is one that can be read.
    pub(super) const fn readable(&self) -> Option<&'a Shadow> {
        self.readable
    }

    /// What the agent reported.
    pub(super) const fn observed(&self) -> Option<&'a Observed> {
        self.observed
    }

    /// Whether an agent of the original operator serves the node: it has reported and told no version of its own.
    pub(super) const fn has_original_agent(&self) -> bool {
        self.digest.has_original_agent
    }

    /// The version the node is asked to run.
    pub(super) fn desired_version(&self) -> Option<&'a Version> {
        self.readable.and_then(|shadow| shadow.desired.version.as_ref())
    }

    /// The policies whose limits the node counts for while it is in flight: the one it began under and the one that applies
    /// to it now.
    pub(super) fn counts_for(&self) -> impl Iterator<Item = &'a PolicyFacts> + use<'a> {
        let now = self.owner.policy();
        let began = self.began_under.clone().into_iter();
        now.into_iter().chain(began.filter(move |began| now.is_none_or(|now| now.name != began.name)))
    }
}

/// The gate of the policy the node began under, or else of the one that applies to it now, as far as they can be read.
fn gated_by<'a>(
    began_under: &[&'a PolicyFacts],
    now: Option<&'a PolicyFacts>,
) -> Option<(&'a PolicyFacts, &'a HealthGate)> {
    let mut all = began_under.iter().copied().chain(now);
    all.find_map(|policy| Some((policy, &policy.accepted.as_ref().ok()?.health)))
}

/// The policies that the node's order names or may name, where they still exist.
fn began_under<'a>(snapshot: &'a Snapshot, shadow: Option<&'a ShadowFacts>) -> Vec<&'a PolicyFacts> {
    shadow.into_iter().flat_map(|shadow| shadow.began_under(&snapshot.policies)).map(|(_, policy)| policy).collect()
}
