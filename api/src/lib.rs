//! The types that the operator's programs share, and the one parser for each of them.
//!
//! ```text
//! UpdatePolicy        (raw, as stored) --policy::parse--> Policy   (what the rules read)
//! BottlerocketShadow  (raw, as stored) --shadow::decode-> Shadow   (an Order and a Report)
//! Node annotations    (raw, as stored) --marks::decode--> Marks    (what the operator did to the Node)
//! agent <-> apiserver                    wire
//! ```
//!
//! Nothing in this crate does I/O, reads a clock or reads the environment.

pub mod amount;
pub mod condition;
pub mod crd;
pub mod duration;
pub mod event;
pub mod health;
pub mod hold;
pub mod label;
pub mod marks;
pub mod names;
pub mod policy;
pub mod schedule;
pub mod shadow;
pub mod text;
pub mod timestamp;
pub mod versions;
pub mod wire;

pub use hold::HoldReason;
pub use marks::{GoId, Marks};
pub use policy::{Policy, UpdatePolicy, UpdatePolicySpec, UpdatePolicyStatus};
pub use shadow::{BottlerocketShadow, BottlerocketShadowSpec, BottlerocketShadowStatus, Shadow, State};
