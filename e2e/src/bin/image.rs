//! Writes the image as an archive, and prints its size.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use e2e::image::{Identity, Size, archive, check, programs, read};

/// Builds the image from the local toolchain alone.
#[derive(Debug, Parser)]
struct Args {
    /// The archive that is written: an OCI image layout in a tar file.
    #[arg(long, default_value = "target/image.tar")]
    output: PathBuf,
    /// What the image is called.
    #[arg(long, default_value_t = Identity::shipped().reference)]
    reference: String,
    /// A folder with the four programs, linked statically, in the place of building them.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Runs each program in an empty root: it starts, looks a name up, and knows the time zones. Takes Linux and root.
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Args { output, reference, programs: ready, check: wanted } = Args::parse();
    let folder = match ready {
        Some(folder) => folder,
        None => programs(true).await?,
    };
    if wanted {
        check(&folder).await?;
        println!("each program runs in an empty root, looks a name up and knows the time zones");
    }
    let programs = read(&folder)?;
    for program in &programs {
        println!("{:10} {}", program.name, Size(program.bytes.len() as u64));
    }
    let image = archive(&Identity::operator(&reference), &programs)?;
    std::fs::write(&output, &image).with_context(|| format!("cannot write {}", output.display()))?;
    println!("{reference} {} in {}", Size(image.len() as u64), output.display());
    Ok(())
}
