//! An agent of the original operator, v1.4.0, as the cluster and a host see it: what it sends, in which order, how often it
//! tries again, how long it waits and what it makes of an answer.
//!
//! ```text
//! kubernetes (own watches of shadow and Node) ─┐
//! host (update API)                            ├─► agent (the loop) ─► transition ─► host | apiserver
//! time_scale (its limits and pauses, scaled)   ┘                    └─► report ────► apiserver
//! ```
//!
//! It is there to be compatible with, so it keeps what is odd about the original: it looks at nothing but whether an answer
//! is a success, activates while it stages, asks to restore its node before that is allowed and once more afterwards, reports
//! twice after a boot, and waits for ever on an open request. It shares no code with our own agent.
//!
//! Its pauses and limits are the original's, divided by one factor. Where the original runs `apiclient` for each request to
//! the host, this one sends the request itself.

mod agent;
mod apiserver;
mod args;
mod host;
mod http;
mod kubernetes;
mod report;
mod run;
mod shadow;
mod time_scale;
mod transition;

pub use apiserver::SERVER_NAME;
pub use args::Args;
pub use run::run;
