//! Which pods of a node go, when each is asked for, and what the answers mean: the rules of a drain, without I/O.

mod answer;
mod select;
mod tracker;
mod unfinished;

pub use answer::{Answer, Refused, classify, pause};
pub use select::{PodFacts, Selection, Stay, ready_elsewhere, select, to_go};
pub use tracker::Tracker;
pub use unfinished::UnfinishedDrains;
