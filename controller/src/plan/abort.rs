//! A hold set while a node is being drained: the disruption is broken off and given back, as long as nothing is activated.

use api::{
    HoldReason,
    shadow::{Activity, Observed},
};

use super::{Hold, advance::back_to_idle, draft::Draft, phase::Phase};
use crate::action::Verb;

/// Gives back the nodes that are held by annotation and disrupted but not activated yet. The drain stops because its approval is gone.
/// An original agent has activated while it staged: its node finishes.
pub(super) fn break_off_what_is_held(draft: &mut Draft<'_>) {
    for at in draft.open_in(&[Phase::Begun, Phase::Disrupting]) {
        let situation = &draft.situations[at];
        if situation.has_failed {
            // It is kept out, and nothing more is done to it.
            continue;
        }
        let (Some(reason), Ok(Some(_))) = (&situation.node.hold, &situation.node.record) else { continue };
        let ours =
            situation.observed().is_some_and(|observed| observed.agent_version.is_some() && !is_activating(observed));
        if let Some(shadow) = situation.readable().filter(|_| ours) {
            let hold = Hold::new(HoldReason::HeldByAnnotation, format!("held by annotation: {reason}"));
            draft.act(at, Verb::Reset, back_to_idle(shadow, draft.now));
            draft.hold(at, hold);
        }
    }
}

/// Whether the agent has said that it activates or reboots, which it does before it begins. What it says after the snapshot was
/// taken refuses the write.
fn is_activating(observed: &Observed) -> bool {
    observed.rebooting.is_some() || matches!(observed.activity, Some(Activity::Activating | Activity::Rebooting))
}
