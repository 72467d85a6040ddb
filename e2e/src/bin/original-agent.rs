//! A simulated agent of the original operator, for fleets that mix it with ours.

use std::process::ExitCode;

use clap::Parser as _;
use e2e::original::{Args, run};

/// It ends without an error whatever happened, as the original does.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    if let Err(error) = run(Args::parse()).await {
        tracing::error!(error = format!("{error:#}"), "ending");
    }
    ExitCode::SUCCESS
}
