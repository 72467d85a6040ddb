//! What must never happen.

use controller::check::Broken;

/// What must never happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    /// A start, with more nodes in flight than allowed.
    InFlight,
    /// An approval, with more nodes disrupted than allowed.
    Disrupted,
    /// A start or an approval, with more nodes unavailable than allowed.
    Unavailable,
    /// A start or an approval, with nodes of two zones out where only one may be.
    Topology,
    /// A start or an approval while paused, or a disruption or an approval that is left long after that.
    Paused,
    /// A start or an approval of a node that is held by annotation, or a disruption or an approval that is left long after that.
    Held,
    /// A start or an approval under a policy that is not there or not the node's.
    Owner,
    /// A disruption that begins when its approval has expired.
    Late,
    /// An approval that holds for too long.
    Expiry,
    /// An approval that outlasts its window, or a start of an original agent outside one.
    Window,
    /// A start or an approval for a version that too many nodes have failed on.
    Halted,
    /// A start on a version out of the policy's range, or too young.
    Version,
    /// A node is restored that is not Ready, or has not booted.
    Health,
    /// A reboot without a record, a cordon and a drain, or into another version.
    Reboot,
    /// A cordon, a record or a spec is left, or an administrator's cordon is gone.
    NotRestored,
    /// A node has not reached its version long after the last fault.
    NoProgress,
    /// The check has objected to a plan.
    Refused(Broken),
}
