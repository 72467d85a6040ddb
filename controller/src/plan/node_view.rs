//! One node as the rules see it: the facts, and what follows from them alone. [`super::view`] makes it.

use std::cell::OnceCell;

use api::health::HealthGate;
use api::shadow::{Failed, Observed};
use api::{Shadow, State};
use jiff::Timestamp;
use semver::Version;

use super::booted::Booted;
use super::gate::{self, Closed};
use super::ownership::Owner;
use super::phase::Phase;
use crate::snapshot::{NodeFacts, PolicyFacts, ShadowFacts, Snapshot};

/// One node as the rules see it. What every rule asks of every node stands here itself: the objects of a large cluster lie all over
/// the memory, and to go back to each of them would take several times as long as everything that is decided.
#[derive(Debug)]
pub(super) struct NodeView<'a> {
    /// The Node.
    pub(super) node: &'a NodeFacts,
    /// Its shadow.
    pub(super) shadow: Option<&'a ShadowFacts>,
    /// Its shadow, if there is one that can be read.
    pub(super) readable: Option<&'a Shadow>,
    /// What the agent reported.
    pub(super) observed: Option<&'a Observed>,
    /// The node's name.
    pub(super) name: &'a str,
    /// Whether it carries the updater interface label.
    pub(super) managed: bool,
    /// Whether it carries a disruption record.
    pub(super) has_record: bool,
    /// Whether it is Ready.
    pub(super) ready: bool,
    /// Whether it is cordoned, by whomever.
    pub(super) cordoned: bool,
    /// The state it is asked for.
    pub(super) desired_state: Option<State>,
    /// The state it reports.
    pub(super) observed_state: Option<State>,
    /// Whether it is asked for nothing at all, like a node that was never updated.
    pub(super) has_default_spec: bool,
    /// Whether an agent of the original operator serves it.
    pub(super) has_original_agent: bool,
    /// Whether anything about it could be a blocking reason for some version.
    pub(super) may_be_blocked: bool,
    /// Failures in a row, and drains that did not end.
    pub(super) failures: u32,
    /// The version somebody wants on it first.
    pub(super) update_now: Option<&'a Version>,
    /// Whose it is.
    pub(super) owner: Owner<'a>,
    /// The policies that its spec names or may name, where they still exist.
    pub(super) began_under: Vec<&'a PolicyFacts>,
    /// The index of its offer.
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
    /// What the health gate has answered, once it was asked.
    pub(super) gate: OnceCell<Result<(), Box<Closed>>>,
}

impl<'a> NodeView<'a> {
    /// What counts as healthy, and the policy that says so; `None` is Ready, within the default time. It is the gate of the policy the
    /// node began under, or else of the one that applies to it now, as far as they can be read.
    pub(super) fn health_gate(&self) -> Option<(&'a PolicyFacts, &'a HealthGate)> {
        let mut all = self.began_under.iter().copied().chain(self.owner.policy());
        all.find_map(|policy| Some((policy, &policy.accepted.as_ref().ok()?.health)))
    }

    /// Whether the node passes its health gate. It is asked once for a plan, however many rules want to know: a check reads the whole
    /// Node.
    pub(super) fn gate(&self, snapshot: &Snapshot) -> Result<(), &Closed> {
        let ask = || {
            let shadow = self.readable.zip(self.observed);
            gate::gate(self.node, shadow, self.booted, self.health_gate(), snapshot).map_err(Box::new)
        };
        self.gate.get_or_init(ask).as_ref().copied().map_err(AsRef::as_ref)
    }

    /// By when the node must be up and healthy. After that it has failed.
    pub(super) fn gate_deadline(&self) -> Option<Timestamp> {
        gate::deadline(self.booted?, self.health_gate())
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

    /// Whether it is one of them.
    pub(super) fn counts_for_policy(&self, policy: &PolicyFacts) -> bool {
        self.counts_for().any(|counted| counted.name == policy.name)
    }
}
