//! The one place where the harness reads the environment.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context;

/// What the harness takes from the environment it runs in.
#[derive(Debug, Clone)]
pub(super) struct Environment {
    /// `KUBEBUILDER_ASSETS`: a folder with ready programs, by the convention of controller-runtime's envtest.
    pub(super) ready_assets: Option<PathBuf>,
    /// `XDG_CACHE_HOME`, or `.cache` in the home directory.
    pub(super) cache_home: PathBuf,
    /// `PATH`: all that the programs are given of this environment.
    pub(super) path: OsString,
}

impl Environment {
    /// Fails when neither `XDG_CACHE_HOME` nor `HOME` is set.
    #[expect(clippy::disallowed_methods, reason = "the edge that reads the environment for the harness")]
    pub(super) fn read() -> anyhow::Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let cache_home = set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")))
            .context("neither XDG_CACHE_HOME nor HOME is set: there is no place for the control plane's programs")?;
        Ok(Self {
            ready_assets: set("KUBEBUILDER_ASSETS").map(PathBuf::from),
            cache_home,
            path: set("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()),
        })
    }
}
