//! What tests take of the machine's distribution: programs that are there or not, and whether they must be.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Where this process finds programs.
pub(crate) fn path() -> OsString {
    #[expect(clippy::disallowed_methods, reason = "the edge that reads where programs are")]
    std::env::var_os("PATH").unwrap_or_default()
}

/// The program in the first folder of `path` that has it.
pub(crate) fn find(path: &OsStr, program: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Whether what the environment variable is called after must be here: without it a test says so and does nothing.
#[must_use]
pub fn is_required(variable: &str) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the switch for machines that must have it all")]
    std::env::var(variable).is_ok_and(|value| value == "required")
}
