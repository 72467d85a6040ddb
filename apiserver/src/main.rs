//! The apiserver's program.

use std::process::ExitCode;

use apiserver::args::Args;
use clap::Parser;

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match runtime::shutdown::block_on(apiserver::run::run(args)) {
        Ok(outcome) => outcome,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Both are standard error: the second is for when nothing is logged yet, or errors are filtered out.
            if tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!(error = format!("{error:#}"), "apiserver ended");
            } else {
                eprintln!("apiserver: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
