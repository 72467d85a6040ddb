//! `cargo bench-apiserver`: what one replica of the apiserver bears, beside the methods of the original operator, on the same
//! control plane in the same run.
//!
//! ```text
//! Site (nodes, agents' pods and tokens, one replica) ─► reports ─► polls ─► drains ─► table
//!                            original: a review for each request; five slots that include the wait for a pod's end
//! ```

mod args;
mod drains;
mod hostile;
mod original;
mod polls;
mod reports;
mod run;
mod site;
mod table;

pub use args::{Args, Instead};
pub use run::run;
