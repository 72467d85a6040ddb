//! Writes the CustomResourceDefinitions into the folder given as the one argument.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: crdgen FOLDER")?;
    for (file, text) in api::crd::files()? {
        std::fs::write(std::path::Path::new(&folder).join(file), text)?;
    }
    Ok(())
}
