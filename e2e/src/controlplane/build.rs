//! Building the programs into the cache, once for all who want them.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, bail, ensure};

use super::assets::missing;
use super::cache::Cache;
use super::go;
use super::lock::Lock;
use super::screen::{Progress, minutes, say};
use super::toolset::Toolset;

/// How often there is a line while somebody else builds, who has lines of their own.
const PROGRESS: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

/// Builds the programs into `cache`, or waits until another process has. A build that was interrupted leaves nothing that
/// looks finished: the folder gets its name only when it is whole.
pub(super) fn into_cache(cache: &Cache, tools: &Toolset) -> anyhow::Result<()> {
    let started = Instant::now();
    let programs = cache.programs(tools);
    // Held until the end of the function.
    let _lock = lock(&cache.build_lock(tools), tools, started)?;
    if programs.is_dir() && missing(&programs, tools.programs).is_empty() {
        return Ok(());
    }
    go::require()?;
    let building = cache.building(tools);
    for leftover in [&building, &programs] {
        match fs::remove_dir_all(leftover) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", leftover.display()));
            }
            _ => {}
        }
    }
    say(&format!("building {}, once for this machine: minutes on two processors", tools.title));
    build(&building, tools, started)?;
    fs::rename(building.join("bin"), &programs).with_context(|| format!("cannot create {}", programs.display()))?;
    fs::remove_dir_all(&building).with_context(|| format!("cannot remove {}", building.display()))?;
    say(&format!("built {} in {}: {}", tools.title, minutes(started.elapsed()), programs.display()));
    Ok(())
}

/// Waits for the lock, which ends at the latest with the process that holds it.
fn lock(path: &Path, tools: &Toolset, started: Instant) -> anyhow::Result<Lock> {
    let parent = path.parent().context("the cache has no parent folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let mut progress = Progress::new(started, PROGRESS);
    loop {
        if let Some(lock) = Lock::try_take(path)? {
            return Ok(lock);
        }
        if started.elapsed() > go::DEADLINE {
            bail!("{} was still locked by another build after {}", path.display(), minutes(go::DEADLINE));
        }
        progress.say(|elapsed| format!("waiting for another build of {}: {elapsed}", tools.title));
        thread::sleep(POLL);
    }
}

fn build(folder: &Path, tools: &Toolset, started: Instant) -> anyhow::Result<()> {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot create {}", bin.display()))?;
    for (name, text) in [("go.mod", tools.go_mod), ("go.sum", tools.go_sum)].iter().chain(tools.sources) {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if !tools.programs.is_empty() {
        go::install_tools(folder, &bin, tools, started)?;
    }
    for (built, wanted) in tools.renamed {
        fs::rename(bin.join(built), bin.join(wanted)).with_context(|| format!("the build made no {wanted}"))?;
    }
    if let Some((module, manifests)) = tools.manifests {
        copy_manifests(&go::module_folder(folder, module)?.join(manifests), &bin)?;
    }
    let absent = missing(&bin, tools.programs);
    ensure!(absent.is_empty(), "the build made no {}", absent.join(", "));
    Ok(())
}

/// Copies YAML files without their lines of Helm's language.
fn copy_manifests(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|extension| extension == "yaml"))
        else {
            continue;
        };
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let lines: Vec<_> = text.lines().filter(|line| !line.contains("{{")).collect();
        fs::write(to.join(name), lines.join("\n")).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}
