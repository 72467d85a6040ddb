//! What to run.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A program with its arguments. It gets none of this process's environment except `PATH`, so that a developer's `KUBECONFIG`,
/// proxy or log filter does not reach it; `HOME` is the control plane's folder.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Program {
    /// The program at `path`, without arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), args: Vec::new(), environment: Vec::new() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The same in another network namespace, given by its link under `/proc`. Its process id is the program's own.
    #[must_use]
    pub(crate) fn in_network(self, namespace: &Path) -> Self {
        let mut link = OsString::from("--net=");
        link.push(namespace);
        let enter =
            Self::new("/usr/bin/env").args([OsStr::new("nsenter"), &link, OsStr::new("--"), self.path.as_os_str()]);
        Self { environment: self.environment, ..enter.args(self.args) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn arguments(&self) -> impl Iterator<Item = &OsStr> {
        self.args.iter().map(OsString::as_os_str)
    }

    pub(super) fn environment(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.environment.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}
