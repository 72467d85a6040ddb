//! Evicting the pods of a node, inside the request that asks for it: there is no work behind it to hand over or to stop.

mod answer;
mod memory;
mod run;
mod select;
mod telling;
mod tracker;

pub use answer::{Answer, Refused, classify, pause};
pub use memory::Memory;
pub use run::{Outcome, drain};
pub use select::{PodFacts, Selection, Stay, ready_elsewhere, select, to_go};
pub use telling::vetoed;
pub use tracker::Tracker;
