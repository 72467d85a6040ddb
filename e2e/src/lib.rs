//! A real Kubernetes control plane, simulated Bottlerocket hosts and an outside observer: what the cluster tests and the
//! demo run on.

pub mod audit;
pub mod bench;
pub mod certmanager;
pub mod controlplane;
pub mod demo;
pub mod distribution;
pub mod fleet;
pub mod host;
pub mod image;
pub mod install;
pub mod observer;
pub mod original;
pub mod prometheus;
pub mod real_nodes;
pub mod workload;
