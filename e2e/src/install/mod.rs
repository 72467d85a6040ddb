//! What people install: the manifest that is built from `config`, and its parts.
//!
//! ```text
//! config/default ─► kustomize ─► bottlerocket-update-operator.yaml ─► Manifest ─► tests, fleets, the demo
//! ```

mod kustomize;
mod manifest;

pub use kustomize::{build, build_with};
pub use manifest::Manifest;

use std::path::{Path, PathBuf};

/// The manifest's file, in the workspace.
pub const FILE: &str = "bottlerocket-update-operator.yaml";

/// A path in the workspace.
#[must_use]
pub fn workspace(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
