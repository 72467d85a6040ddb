//! The webhook: judges UpdatePolicy objects at admission with the parser that the controller reads them with.
//!
//! ```text
//! POST /validate -> routes (AdmissionReview v1) -> admit::judge (old + new + cluster -> decision) -> answer
//! POST /advise   -> routes                      -> admit::advise (the same, and refuses nothing) -> answer
//! watches ------> cluster (nodes' labels, policies, which are in flight) ---------^ for warnings, once it is there
//! ```
//!
//! Policies are judged on `review_threads`, away from the threads that serve.
//!
//! Two routes because two failure policies: what cannot be followed must not be stored, and nothing may stop a pause or a
//! deletion.

pub mod admit;
mod args;
pub mod cluster;
mod metrics;
pub mod review_threads;
pub mod routes;
mod run;
pub mod warn;
mod watch;

pub use args::Args;
pub use metrics::Metrics;
pub use run::run;
