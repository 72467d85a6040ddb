//! Which pods of a node go, when each is asked for, and what the answers mean: the rules of a drain, without I/O.

mod answer;
mod memory;
mod select;
mod tracker;

pub use answer::{Answer, Refused, classify, pause};
pub use memory::Memory;
pub use select::{PodFacts, Selection, Stay, ready_elsewhere, select, to_go};
pub use tracker::Tracker;
