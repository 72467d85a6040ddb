//! Where built programs are kept between runs.

use std::path::{Path, PathBuf};

use super::toolset::Toolset;

/// The folders of this project in the user's cache.
#[derive(Debug, Clone)]
pub(super) struct Cache(PathBuf);

impl Cache {
    pub(super) fn in_home(cache_home: &Path) -> Self {
        Self(cache_home.join("bottlerocket-update-operator"))
    }

    /// The folder of a set of programs.
    pub(super) fn programs(&self, tools: &Toolset) -> PathBuf {
        self.0.join(tools.folder_name())
    }

    /// Where they are built, next to where they end up, so that the finished folder can be renamed.
    pub(super) fn building(&self, tools: &Toolset) -> PathBuf {
        self.programs(tools).with_extension("building")
    }

    /// Locked by whoever builds.
    pub(super) fn build_lock(&self, tools: &Toolset) -> PathBuf {
        self.programs(tools).with_extension("lock")
    }

    /// The files whose locks bound how many control planes run at once.
    pub(super) fn slots(&self) -> PathBuf {
        self.0.join("slots")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controlplane::toolset::CONTROL_PLANE;

    #[test]
    fn building_and_lock_lie_beside_the_programs() {
        let cache = Cache::in_home(Path::new("/home/user/.cache"));
        let programs = cache.programs(&CONTROL_PLANE);
        assert!(programs.starts_with("/home/user/.cache/bottlerocket-update-operator"));
        assert_eq!(programs.parent(), cache.building(&CONTROL_PLANE).parent());
        assert_eq!(programs.parent(), cache.build_lock(&CONTROL_PLANE).parent());
        assert_ne!(cache.building(&CONTROL_PLANE), programs);
    }
}
