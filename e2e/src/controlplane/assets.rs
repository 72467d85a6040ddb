//! The programs of a control plane: found ready, or built once.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::build;
use super::cache::Cache;
use super::environment::Environment;
use super::screen::say;

/// The programs of a control plane, by the names of their files.
pub(super) const PROGRAMS: [&str; 6] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"];

/// A folder that holds all of [`PROGRAMS`].
#[derive(Debug, Clone)]
pub(super) struct Assets(PathBuf);

impl Assets {
    /// The folder `KUBEBUILDER_ASSETS` names when it holds all of them; otherwise the one in the user's cache, which is built
    /// first where it is missing. That takes minutes and says so on standard error. It blocks.
    pub(super) fn locate(environment: &Environment) -> anyhow::Result<Self> {
        if let Some(folder) = &environment.ready_assets {
            match missing(folder).as_slice() {
                [] => return Ok(Self(folder.clone())),
                names => say(&format!(
                    "KUBEBUILDER_ASSETS ({}) lacks {}: using the user's cache instead",
                    folder.display(),
                    names.join(", ")
                )),
            }
        }
        let cache = Cache::in_home(&environment.cache_home);
        let folder = cache.programs();
        if !missing(&folder).is_empty() {
            build::into_cache(&cache).context("the control plane's programs could not be built")?;
        }
        Ok(Self(folder))
    }

    /// The path of one of [`PROGRAMS`].
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Which of [`PROGRAMS`] are not there as executable files.
pub(super) fn missing(folder: &Path) -> Vec<&'static str> {
    let executable = |name: &&str| {
        let file = folder.join(name).metadata();
        file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    PROGRAMS.into_iter().filter(|name| !executable(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_executable_files_count() {
        let folder = tempfile::tempdir().unwrap();
        for name in PROGRAMS {
            fs::write(folder.path().join(name), "").unwrap();
            fs::set_permissions(folder.path().join(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        assert!(missing(folder.path()).is_empty());

        fs::set_permissions(folder.path().join("etcd"), PermissionsExt::from_mode(0o644)).unwrap();
        fs::remove_file(folder.path().join("kwok")).unwrap();
        assert_eq!(missing(folder.path()), ["etcd", "kwok"]);
    }

    #[test]
    fn a_complete_ready_folder_is_preferred_to_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        for name in PROGRAMS {
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
