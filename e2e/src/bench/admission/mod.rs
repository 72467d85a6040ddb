//! `cargo bench-admission`: what the admission of one policy costs, and with `hostile` what it costs beside those who mean harm.

mod args;
mod calls;
mod cluster;
mod hostile;

pub use args::{Args, Instead};
pub use calls::run;
