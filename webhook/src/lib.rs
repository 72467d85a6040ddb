//! The webhook: judges UpdatePolicy objects at admission with the parser that the controller reads them with.
//!
//! ```text
//! POST /validate -> routes (AdmissionReview v1) -> admit (old + new -> verdict) -> answer
//! ```
//!
//! It judges one object alone so far: what one policy says. What it means beside others is not judged yet.

pub mod admit;
mod args;
pub mod routes;
mod run;

pub use args::Args;
pub use run::run;
