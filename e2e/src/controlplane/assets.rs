//! The programs of a control plane: found ready, or built once.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::build;
use super::cache::Cache;
use super::environment::Environment;
use super::screen::say;
use super::toolset::{CONTROL_PLANE, Toolset};

/// A folder that holds all programs of a [`Toolset`].
#[derive(Debug, Clone)]
pub(super) struct Assets(PathBuf);

impl Assets {
    /// The folder `KUBEBUILDER_ASSETS` names when it holds all of them; otherwise the one in the user's cache, which is built
    /// first where it is missing. That takes minutes and says so on standard error. It blocks.
    pub(super) fn locate(environment: &Environment) -> anyhow::Result<Self> {
        if let Some(folder) = &environment.ready_assets {
            match missing(folder, CONTROL_PLANE.programs).as_slice() {
                [] => return Ok(Self(folder.clone())),
                names => say(&format!(
                    "KUBEBUILDER_ASSETS ({}) lacks {}: using the user's cache instead",
                    folder.display(),
                    names.join(", ")
                )),
            }
        }
        Self::cached(environment, &CONTROL_PLANE)
    }

    /// The folder of a set in the user's cache, which is built first where it is missing; as [`Assets::locate`].
    pub(super) fn cached(environment: &Environment, tools: &Toolset) -> anyhow::Result<Self> {
        let cache = Cache::in_home(&environment.cache_home);
        let folder = cache.programs(tools);
        if !folder.is_dir() || !missing(&folder, tools.programs).is_empty() {
            build::into_cache(&cache, tools).with_context(|| format!("{} could not be built", tools.title))?;
        }
        Ok(Self(folder))
    }

    /// The path of one of the programs, or of what lies beside them.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Which of the programs are not there as executable files.
pub(super) fn missing(folder: &Path, programs: &[&'static str]) -> Vec<&'static str> {
    let executable = |name: &&str| {
        let file = folder.join(name).metadata();
        file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    programs.iter().copied().filter(|name| !executable(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_executable_files_count() {
        let folder = tempfile::tempdir().unwrap();
        for name in CONTROL_PLANE.programs {
            fs::write(folder.path().join(name), "").unwrap();
            fs::set_permissions(folder.path().join(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        assert!(missing(folder.path(), CONTROL_PLANE.programs).is_empty());

        fs::set_permissions(folder.path().join("etcd"), PermissionsExt::from_mode(0o644)).unwrap();
        fs::remove_file(folder.path().join("kwok")).unwrap();
        assert_eq!(missing(folder.path(), CONTROL_PLANE.programs), ["etcd", "kwok"]);
    }

    #[test]
    fn a_complete_ready_folder_is_preferred_to_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        for name in CONTROL_PLANE.programs {
            fs::write(folder.path().join(name), "").unwrap();
            fs::set_permissions(folder.path().join(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        let environment = Environment {
            ready_assets: Some(folder.path().to_path_buf()),
            cache_home: "/nonexistent".into(),
            path: "/nonexistent".into(),
        };
        let assets = Assets::locate(&environment).unwrap();
        assert_eq!(assets.program("kubectl"), folder.path().join("kubectl"));
    }
}
