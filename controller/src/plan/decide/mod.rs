//! The table: what is decided for one node by itself, phase by phase.
//!
//! Each line asks the rules below it, in the order in which they count. What there is a limited number of is only asked for here, and
//! given out in [`super::allocate`].

mod abort;
mod adjust;
mod approve;
mod disrupted;
mod restore;
mod silent;
mod stage;
mod unschedule;
mod withdrawn;

use api::HoldReason;
use api::shadow::Desired;

use super::decision::Decision;
use super::hold::Hold;
use super::node_view::NodeView;
use super::phase::Phase;
use super::rules::Rules;
use super::verdict;
use crate::action::Verb;

pub(super) use approve::withdraw;
pub(super) use unschedule::unscheduled;

/// What is decided for `node`.
pub(super) fn decide<'a>(node: &NodeView<'a>, rules: &Rules<'a>) -> Decision<'a> {
    let Some(shadow) = node.readable else { return without_shadow(node) };
    if !node.managed && !node.has_record {
        // Nothing of the operator's is left on the Node.
        return Decision::write(Verb::Delete, shadow, Desired::default());
    }
    let kept_out = || verdict::kept_out(node, rules.now);
    match node.phase {
        Phase::Unreported | Phase::Unreadable => without_shadow(node),
        Phase::Unadopted => Decision::wait(),
        Phase::Resting => stage::at_rest(node, shadow, rules),
        Phase::Staging => unschedule::ineligible(node, shadow, rules)
            .or_else(|| unschedule::late_original(node, shadow, rules))
            .or_else(|| adjust::adjusted(node, shadow, rules.snapshot))
            .unwrap_or_else(|| silent::waits_for_agent(node, rules.now)),
        Phase::Staged => {
            unschedule::ineligible(node, shadow, rules).unwrap_or_else(|| approve::staged(node, shadow, rules))
        }
        Phase::Approved => unschedule::ineligible(node, shadow, rules)
            .or_else(|| approve::withdrawn(node, shadow, rules))
            .unwrap_or_else(|| approve::kept(node, shadow, rules)),
        Phase::WithdrawnTooLate => abort::held_by_annotation(node, shadow, rules.now)
            .unwrap_or_else(|| withdrawn::reinstated_or_dropped(node, shadow, rules)),
        Phase::Disrupting => abort::held_by_annotation(node, shadow, rules.now)
            .or_else(|| abort::acknowledged(node, shadow, rules))
            .unwrap_or_else(|| disrupted::goes_on(node, shadow, rules)),
        Phase::Booted => abort::acknowledged(node, shadow, rules)
            .or_else(|| restore::healthy(node, shadow, rules))
            .unwrap_or_else(|| stage::unhealthy(node, rules, kept_out())),
        Phase::Failed => abort::failed(node, shadow, rules.now).unwrap_or_else(kept_out),
        Phase::Inconsistent => abort::to_idle(shadow, rules.now),
        Phase::Restoring => silent::waits_for_agent(node, rules.now),
        Phase::Restored => restore::finished(node, shadow, rules.now),
        Phase::Returning => silent::waits_for_agent(node, rules.now).with(kept_out()),
    }
}

/// There is nothing to write to.
fn without_shadow<'a>(node: &NodeView<'_>) -> Decision<'a> {
    match node.phase {
        Phase::Unreported => Decision::hold(Hold::new(HoldReason::NoStatus, "the agent has not reported yet")),
        _ => Decision::wait(),
    }
}
