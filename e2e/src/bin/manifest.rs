//! Writes the manifest that people apply, from `config/default`.

use anyhow::Context;
use e2e::install::{FILE, build, workspace};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let text = build().await?;
    std::fs::write(workspace(FILE), text).with_context(|| format!("cannot write {FILE}"))
}
