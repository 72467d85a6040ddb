//! `cargo bench-apiserver`.

use std::process::ExitCode;

use clap::Parser as _;
use e2e::bench::apiserver::{Args, run};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-apiserver: {error:#}");
            ExitCode::FAILURE
        }
    }
}
