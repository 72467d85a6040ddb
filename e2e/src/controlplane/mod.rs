//! A real Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler as processes of this
//! machine, with KWOK in the place of the kubelets.
//!
//! ```text
//! environment ─► cache, assets ◄─ build ◄─ go      which programs, and from where
//! slots ─► site { folder, processes ◄─ spawner }    what one control plane holds, and releases when it is dropped
//! pki, kubeconfig, ports ─► flags ─► start          how its servers are started
//! ControlPlane ─► kubectl, access, wait, stages     what tests do with it
//! gateway                                           a link to its API that can be made bad
//! underlay ─► relay                                 a network for nodes that are real, and this machine's way into it
//! shared                                            one for several tests
//! ```
//!
//! [`ControlPlane::start`] is the way in. Dropping a control plane stops everything and removes its folder; when the dropping
//! thread panics, as in a test that fails, the folder stays with every log and a dump of the objects, and standard error says
//! where.

mod access;
mod assets;
mod build;
mod built;
mod cache;
mod dump;
mod enrolment;
mod environment;
mod flags;
mod folder;
mod gateway;
mod go;
mod janitor;
mod kubeconfig;
mod kubectl;
mod lock;
mod pki;
mod plane;
mod ports;
mod process;
mod processes;
mod program;
mod relay;
mod screen;
mod shared;
mod site;
mod slots;
mod spawner;
pub mod stages;
mod start;
mod tokens;
mod toolset;
mod underlay;
pub mod wait;

pub(crate) use access::token_for_pod;
pub use built::prometheus_operator_folder;
pub(crate) use built::{NodePrograms, certmanager_folder, node_programs};
pub(crate) use enrolment::Enrolment;
pub use gateway::{Gateway, Link};
pub use kubectl::kubectl_program;
pub use plane::ControlPlane;
pub(crate) use ports::free as free_port;
pub use process::{Process, Signal};
pub(crate) use processes::Processes;
pub use program::Program;
pub use shared::Shared;
pub(crate) use underlay::{CONTROL_PLANE, Underlay, address, pod_network};
