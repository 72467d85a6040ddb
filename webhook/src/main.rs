//! The webhook.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = webhook::Args::parse();
    match runtime::shutdown::block_on(webhook::run(args)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            tracing::error!(error = format!("{error:#}"), "webhook failed");
            eprintln!("webhook: {error:#}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("webhook: {error}");
            ExitCode::FAILURE
        }
    }
}
