//! Prints what an admission call costs in a large cluster.

use clap::Parser as _;
use e2e::bench::admission::{Args, run};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run(Args::parse()).await
}
