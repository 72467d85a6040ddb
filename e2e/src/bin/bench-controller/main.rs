//! What the controller costs and how fast it is: `cargo bench-controller [plan|makespan|memory|cluster]...`, all without an
//! argument. It prints figures and asserts nothing. Beside them stand those of the original operator, v1.4.0, as they were measured
//! on two cores.

mod cluster;
mod fleet;
mod makespan;
mod memory;
mod plan;
mod stub;

use std::process::ExitCode;

/// The parts, in the order in which they run.
const PARTS: [&str; 4] = ["plan", "makespan", "memory", "cluster"];

#[tokio::main]
async fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = asked.iter().find(|part| !PARTS.contains(&part.as_str())) {
        eprintln!("bench-controller: {unknown} is none of {}", PARTS.join(", "));
        return ExitCode::FAILURE;
    }
    match run(&asked).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-controller: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(asked: &[String]) -> anyhow::Result<()> {
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|name| name == part);
    if cfg!(debug_assertions) {
        println!("built without optimisation: the figures say little");
    }
    if wanted("plan") {
        plan::print()?;
    }
    if wanted("makespan") {
        makespan::print()?;
    }
    if wanted("memory") {
        memory::print().await?;
    }
    if wanted("cluster") {
        cluster::print().await?;
    }
    Ok(())
}
