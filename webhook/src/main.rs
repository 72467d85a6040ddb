//! The webhook.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = webhook::Args::parse();
    let outcome = match runtime::shutdown::block_on(webhook::run(args)) {
        Ok(outcome) => outcome,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Both are standard error: the second is for when nothing is logged yet, or errors are filtered out.
            if tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!(error = format!("{error:#}"), "webhook failed");
            } else {
                eprintln!("webhook: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
