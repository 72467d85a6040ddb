//! The agent of one Bottlerocket node.

use std::process::ExitCode;

use agent::args::Args;
use anyhow::Context;
use clap::Parser;

fn main() -> ExitCode {
    let args = Args::parse();
    let termination_log = args.termination_log.clone();
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            agent::run::say_last_words(&termination_log, &error);
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args) -> anyhow::Result<()> {
    runtime::logging::init(&args.log)?;
    runtime::shutdown::block_on_this_thread(agent::run::run(args)).context("cannot start the runtime")?
}
