//! Creating, reading and writing a node's shadow.

mod fresh;
mod report;
mod waiters;

pub use fresh::fresh;
pub use report::patch;
pub use waiters::Waiters;
