//! The types that the operator's programs share, and the one parser for each of them.
//!
//! ```text
//! UpdatePolicy        (raw, as stored) --policy::parse--> Policy   (what the rules read)
//! BottlerocketShadow  (raw, as stored) --shadow::decode-> Shadow   (a Desired and an Observed)
//! Node annotations    (raw, as stored) --record::decode-> DisruptionRecord
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
pub mod in_flight;
pub mod label;
pub mod names;
pub mod policy;
pub mod record;
pub mod schedule;
pub mod shadow;
pub mod text;
pub mod timestamp;
pub mod versions;
pub mod wire;

pub use hold::HoldReason;
pub use policy::{Policy, UpdatePolicy, UpdatePolicySpec, UpdatePolicyStatus};
pub use record::{ApprovalId, DisruptionRecord};
pub use shadow::{BottlerocketShadow, BottlerocketShadowSpec, BottlerocketShadowStatus, Shadow, State};
