//! The controller.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = controller::Args::parse();
    match runtime::shutdown::block_on(controller::run(args)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            tracing::error!(error = format!("{error:#}"), "controller failed");
            eprintln!("controller: {error:#}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("controller: {error}");
            ExitCode::FAILURE
        }
    }
}
