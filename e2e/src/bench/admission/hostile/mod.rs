//! `cargo bench-admission -- hostile`: attacks on one replica of the webhook, beside somebody who edits policies.

mod attacks;
mod huge;
mod load;
mod relay;

use super::cluster::fill;
use crate::bench::hostile;
use crate::controlplane::ControlPlane;
use crate::fleet::{Programs, admission};

use load::Attacked;

/// What the edits happen beside.
const NODES: usize = 500;
const POLICIES: usize = 50;

/// Attacks, and prints.
///
/// # Errors
/// When the cluster cannot be set up, or the edits cannot be made.
pub(super) async fn run(args: &hostile::Args) -> anyhow::Result<()> {
    hostile::open_files()?;
    let programs = match &args.programs {
        Some(folder) => Programs::ready_made(folder, "webhook")?,
        None => Programs::build_only("webhook").await?,
    };
    let plane = ControlPlane::start().await?;
    let webhook = admission::install_from(&plane, &programs).await?;
    println!("{NODES} nodes and {POLICIES} policies");
    let policies = fill(&plane, NODES, POLICIES).await?;
    let attacks = attacks::all(&policies).await?;
    let attacked = Attacked::new(plane, webhook, policies).await?;
    hostile::run(&attacked, attacks, args).await
}
