//! `cargo bench-apiserver -- hostile`: attacks on one replica, beside agents who report, wait, and come with new tokens.

mod attacks;
mod load;
mod tokens;

use super::site::Site;
use crate::bench::hostile;

use load::Attacked;

/// Agents of the honest load, and one more whose token was stolen.
const AGENTS: usize = 41;

/// Attacks, and prints.
///
/// # Errors
/// When the cluster cannot be set up, or the honest load cannot be made.
pub(super) async fn run(args: &hostile::Args) -> anyhow::Result<()> {
    let site = Site::start(AGENTS, args.programs.as_deref()).await?;
    let attacked = Attacked::new(site)?;
    let attacks = attacks::all(attacked.stolen());
    hostile::run(&attacked, attacks, args).await
}
