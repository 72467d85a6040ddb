//! Attacks on a real server with honest load beside them: what `cargo bench-apiserver -- hostile` and
//! `cargo bench-admission -- hostile` have in common.
//!
//! ```text
//! fresh process ─► honest load alone ─► honest load and one attack ─► Outcome ─► table
//!                     127.2.x.y            127.1.x.y, on threads of their own
//! ```

mod address;
mod args;
mod attack;
mod connections;
mod files;
mod gains;
mod ledger;
mod memory;
mod requests;
mod resets;
mod run;
mod server;
mod table;
mod victim;

pub(super) use address::honest;
pub use args::Args;
pub(super) use attack::{Attack, Field};
pub(super) use connections::connections;
pub(super) use files::open_files;
pub(super) use ledger::{Ledger, every};
pub(super) use requests::{Ask, Body, Shape, ask};
pub(super) use resets::reset;
pub(super) use run::run;
pub(super) use server::{From, Server};
pub(super) use victim::{Kind, Victim};
