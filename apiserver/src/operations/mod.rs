//! What a request has done, and what is done without one: facts are read from the cluster, a rule is asked, and what it says is
//! written. The rules are elsewhere and know nothing of this.

mod attend;
mod authenticate;
mod disrupt;
mod drain;
mod node;
mod restore;
mod version_lock;

pub use attend::attend;
pub use authenticate::authenticate;
pub use disrupt::{NotDisrupted, disrupt};
pub use drain::{Outcome, drain, vetoed};
pub use node::read_node;
pub use restore::restore;
pub use version_lock::record_lock;
