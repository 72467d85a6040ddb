//! What a test tells KWOK, which plays the kubelets: annotations of Nodes and pods.

/// The stages that obey the annotations below.
pub(super) const STAGES: &str = include_str!("stages.yaml");

/// On a Node: `off` makes it not Ready and takes its address away. Any other value, or none, makes it Ready. Pods that are
/// Ready by then stay so, as they do in a cluster until the node controller has missed the kubelet for a while: [`READY`] is
/// for those that should not. No other pod becomes Ready, or leaves Pending, before the node is on again.
pub const POWER: &str = "simulator.brupop.bottlerocket.aws/power";
/// On a Node that is on: what `status.nodeInfo.bootID` becomes.
pub const BOOT_ID: &str = "simulator.brupop.bottlerocket.aws/boot-id";
/// On a Node that is on: what `status.nodeInfo.osImage` becomes.
pub const OS_IMAGE: &str = "simulator.brupop.bottlerocket.aws/os-image";
/// On a Node that is on: what `status.nodeInfo.kernelVersion` becomes.
pub const KERNEL_VERSION: &str = "simulator.brupop.bottlerocket.aws/kernel-version";
/// On a Node that is on: what `status.nodeInfo.kubeletVersion` becomes.
pub const KUBELET_VERSION: &str = "simulator.brupop.bottlerocket.aws/kubelet-version";
/// On a pod: `false` makes a running pod not Ready. Any other value, or none, makes it Ready, unless its node is off.
pub const READY: &str = "simulator.brupop.bottlerocket.aws/ready";
/// On a pod: how long it takes to end after its deletion, in whole seconds, such as `5s`; longer than its grace is allowed.
/// Without it a pod ends at once. It is counted from the second in which the deletion was asked for.
pub const TERMINATION: &str = "simulator.brupop.bottlerocket.aws/termination";

/// A condition of pods that wait for their node to be on.
pub const NODE_IS_OFF: &str = "simulator.brupop.bottlerocket.aws/NodeIsOff";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_know_every_name() {
        for annotation in [POWER, READY, TERMINATION, BOOT_ID, OS_IMAGE, KERNEL_VERSION, KUBELET_VERSION] {
            assert!(STAGES.contains(&format!("\"{annotation}\"")), "{annotation}");
        }
    }

    #[test]
    fn nothing_takes_finalizers_away() {
        let fields = STAGES.lines().filter(|line| !line.starts_with('#'));
        assert!(!fields.into_iter().any(|line| line.contains("finalizers")));
    }
}
