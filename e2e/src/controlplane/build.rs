//! Building the programs into the cache, once for all who want them.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::assets::missing;
use super::cache::{Cache, GO_MOD, GO_SUM};
use super::go;
use super::screen::{Progress, minutes, say};

/// How often there is a line while somebody else builds, who has lines of their own.
const PROGRESS: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

/// Builds the programs into `cache`, or waits until another process has. A build that was interrupted leaves nothing that
/// looks finished: the folder gets its name only when it is whole.
pub(super) fn into_cache(cache: &Cache) -> anyhow::Result<()> {
    let started = Instant::now();
    let programs = cache.programs();
    // Held until the end of the function.
    let _lock = lock(&cache.build_lock(), started)?;
    if missing(&programs).is_empty() {
        return Ok(());
    }
    go::require()?;
    let building = cache.building();
    for leftover in [&building, &programs] {
        match fs::remove_dir_all(leftover) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", leftover.display()));
            }
            _ => {}
        }
    }
    say("building the control plane, once for this machine: about five minutes on two processors");
    build(&building, started)?;
    fs::rename(building.join("bin"), &programs).with_context(|| format!("cannot create {}", programs.display()))?;
    fs::remove_dir_all(&building).with_context(|| format!("cannot remove {}", building.display()))?;
    say(&format!("built the control plane in {}: {}", minutes(started.elapsed()), programs.display()));
    Ok(())
}

/// Waits for the lock, which ends at the latest with the process that holds it.
fn lock(path: &Path, started: Instant) -> anyhow::Result<File> {
    let parent = path.parent().context("the cache has no parent folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut progress = Progress::new(started, PROGRESS);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
            Err(TryLockError::WouldBlock) if started.elapsed() > go::DEADLINE => {
                bail!("{} was still locked by another build after {}", path.display(), minutes(go::DEADLINE));
            }
            Err(TryLockError::WouldBlock) => {
                progress.say(|elapsed| format!("waiting for another build of the control plane: {elapsed}"));
                thread::sleep(POLL);
            }
        }
    }
}

fn build(folder: &Path, started: Instant) -> anyhow::Result<()> {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot create {}", bin.display()))?;
    for (name, text) in [("go.mod", GO_MOD), ("go.sum", GO_SUM)] {
        fs::write(folder.join(name), text).with_context(|| format!("cannot write {name} in {}", folder.display()))?;
    }
    go::install_tools(folder, &bin, GO_MOD, started)?;
    // The main package of etcd is called `server`.
    fs::rename(bin.join("server"), bin.join("etcd")).context("the build made no etcd")?;
    let absent = missing(&bin);
    ensure!(absent.is_empty(), "the build made no {}", absent.join(", "));
    Ok(())
}
