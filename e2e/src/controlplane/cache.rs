//! Where built programs are kept between runs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What is built: `go.mod` and `go.sum` of the tool module, as they were when this crate was compiled.
pub(super) const GO_MOD: &str = include_str!("../../controlplane/go.mod");
pub(super) const GO_SUM: &str = include_str!("../../controlplane/go.sum");

/// Bytes of the digest that a folder's name carries: 48 bits, far more than one machine's few versions need.
const NAME_BYTES: usize = 6;

/// The folders of this project in the user's cache.
#[derive(Debug, Clone)]
pub(super) struct Cache(PathBuf);

impl Cache {
    pub(super) fn in_home(cache_home: &Path) -> Self {
        Self(cache_home.join("bottlerocket-update-operator"))
    }

    /// The folder of the programs that `GO_MOD` and `GO_SUM` describe.
    pub(super) fn programs(&self) -> PathBuf {
        self.0.join(folder_name(GO_MOD, GO_SUM))
    }

    /// Where they are built, next to where they end up, so that the finished folder can be renamed.
    pub(super) fn building(&self) -> PathBuf {
        self.programs().with_extension("building")
    }

    /// Locked by whoever builds.
    pub(super) fn build_lock(&self) -> PathBuf {
        self.programs().with_extension("lock")
    }

    /// The files whose locks bound how many control planes run at once.
    pub(super) fn slots(&self) -> PathBuf {
        self.0.join("slots")
    }
}

/// Derived from what is built, so that another version gets another folder and a second clone shares the first one's.
fn folder_name(go_mod: &str, go_sum: &str) -> String {
    let digest = Sha256::new().chain_update(go_mod).chain_update(go_sum).finalize();
    let mut name = String::from("controlplane-");
    for byte in digest.iter().take(NAME_BYTES) {
        // Writing to a String does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_start_of_the_digest_of_both_files() {
        // printf 'module m\nsum\n' | sha256sum
        assert_eq!(folder_name("module m\n", "sum\n"), "controlplane-5b92640e75ce");
    }

    #[test]
    fn a_change_of_either_file_changes_the_name() {
        let name = folder_name("module m\n", "sum\n");
        assert_ne!(name, folder_name("module n\n", "sum\n"));
        assert_ne!(name, folder_name("module m\n", "sun\n"));
    }

    #[test]
    fn building_and_lock_lie_beside_the_programs() {
        let cache = Cache::in_home(Path::new("/home/user/.cache"));
        let programs = cache.programs();
        assert!(programs.starts_with("/home/user/.cache/bottlerocket-update-operator"));
        assert_eq!(programs.parent(), cache.building().parent());
        assert_eq!(programs.parent(), cache.build_lock().parent());
        assert_ne!(cache.building(), programs);
    }
}
