//! The benchmark.

use anyhow::ensure;

use super::args::{Args, Instead};
use super::site::Site;
use super::table::{Figures, render};
use super::{drains, hostile, original, polls, reports};

/// Measures, and prints.
///
/// # Errors
/// When the cluster cannot be set up, or the apiserver does not do what is asked of it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    if let Some(Instead::Hostile(args)) = &args.instead {
        return hostile::run(args).await;
    }
    ensure!(
        args.debug_build || !cfg!(debug_assertions),
        "this is a debug build: run it with --release, or say --debug-build"
    );
    ensure!(args.agents >= 4, "the drains alone need four nodes");
    let site = Site::start(args.agents, args.programs.as_deref()).await?;
    println!("reports, {} at a time for {:?}", args.at_a_time, args.window());
    let busy = reports::as_many_as_go(&site, args.at_a_time, args.window()).await?;
    println!("the same in the original's way");
    let original = original::reports(&site, args.at_a_time, args.window()).await;
    println!("reports at the rate of a cluster at work, for {:?}", args.paced());
    let paced = reports::at_a_clusters_pace(&site, args.paced()).await?;
    println!("every agent waits for a change");
    let polls = polls::wait(&site).await?;
    println!(
        "a node with {} pods behind one budget, which is freed; then {} callers who go away",
        drains::PODS,
        drains::CALLERS
    );
    let freed = drains::freed_budget(&site).await?;
    let abandoned = drains::abandoned(&site).await?;
    let figures =
        Figures { agents: args.agents, at_a_time: args.at_a_time, busy, original, paced, polls, freed, abandoned };
    println!("\n{}", render(&figures));
    Ok(())
}
